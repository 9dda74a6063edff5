"""Requests in rows: the V1 protocol of KServe and TensorFlow Serving, and the dataframes of MLflow's clients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelway.components.serve.errors import RequestError, quote
from modelway.components.serve.json import decode_object
from modelway.components.serve.protocol_v2 import Request, json_values
from modelway.components.serve.signature import Values
from modelway.components.serve.tensors import Array

_KEYS = ("instances", "dataframe_records", "dataframe_split", "inputs", "columns")


def decode_v1(body: bytes, names: Sequence[str]) -> Request:
    """Decodes a request in any of these forms.

    ``{"instances": [...]}`` or ``{"dataframe_records": [...]}``, rows as objects by column, or as lists in the model's
    order of columns; ``{"dataframe_split": {"columns": [...], "data": [...]}}``, or these two keys at the top, rows
    as lists in the order of `columns`; ``{"inputs": {...}}``, lists by column.

    Args:
        body: The request's body.
        names: The model's columns, in order.

    Raises:
        RequestError: 400; the body has none of these forms. 422; its rows do not have the same columns.
    """
    document = decode_object(body)
    keys = [key for key in _KEYS if key in document]
    if len(keys) != 1:
        raise RequestError(
            400, "the body must hold the rows as one of `instances`, " + ", ".join(f"`{key}`" for key in _KEYS[1:])
        )
    key = keys[0]
    if key in {"dataframe_split", "columns"}:
        return _split(document["dataframe_split"] if key == "dataframe_split" else document)
    if key == "inputs":
        return _by_column(document["inputs"])
    rows = document[key]
    if not isinstance(rows, list):
        raise RequestError(400, f"`{key}` must be a list of rows")
    if not rows:
        raise RequestError(422, "the request holds no rows")
    if all(isinstance(row, dict) for row in rows):
        return _records(rows)
    if all(isinstance(row, list) for row in rows):
        return _lists(rows, names)
    raise RequestError(400, f"the rows of `{key}` must all be objects by column, or all be lists")


def encode_v1(outputs: dict[str, Array]) -> dict[str, Any]:
    """Encodes each row's ``predictions``, and ``probabilities`` if the model has them."""
    answer = {"predictions": json_values(outputs["predict"])}
    if "predict_proba" in outputs:
        answer["probabilities"] = json_values(outputs["predict_proba"])
    return answer


def _records(rows: list[dict[str, Any]]) -> Request:
    names = rows[0].keys()
    for number, row in enumerate(rows):
        if row.keys() != names:
            odd = min(row.keys() ^ names)
            has, lacks = (number, 0) if odd in row else (0, number)
            raise RequestError(422, f"row {has} has the column {quote(odd)}, but row {lacks} does not")
    return Request({name: Values([row[name] for row in rows]) for name in names})


def _lists(rows: list[list[Any]], names: Sequence[str]) -> Request:
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise RequestError(
                422,
                f"row {number} has {len(row)} values, but there are {len(names)} columns: {', '.join(names)[:300]}",
            )
    return Request({name: Values([row[place] for row in rows]) for place, name in enumerate(names)})


def _split(table: object) -> Request:
    columns, rows = (table.get(key) if isinstance(table, dict) else None for key in ("columns", "data"))
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise RequestError(400, "`columns` must be a list of the columns' names")
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise RequestError(400, "`data` must be a list of rows, each a list in the order of `columns`")
    names: set[str] = set()
    for name in columns:
        if name in names:
            raise RequestError(400, f"the column {quote(name)} is given twice")
        names.add(name)
    if not rows:
        raise RequestError(422, "the request holds no rows")
    return _lists(rows, columns)


def _by_column(columns: object) -> Request:
    if not isinstance(columns, dict) or not all(isinstance(values, list) for values in columns.values()):
        raise RequestError(
            400, "`inputs` must be an object of lists by column; send a list of tensors to /v2/models/…/infer"
        )
    return Request({name: Values(values) for name, values in columns.items()})
