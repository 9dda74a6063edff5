"""The wire formats: the Open Inference Protocol V2 in JSON, and V1's ``:predict``; columns in, outputs out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelway.components.serve.errors import RequestError, shown
from modelway.components.serve.signature import DATATYPES, Values

Array = np.ndarray[Any, Any]

_OUTPUT_TYPES = {
    "bool": "BOOL",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    **{f"{sign.lower()}int{bits}": f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)},
}


@dataclass(frozen=True)
class Request:
    """What a client asks for.

    Attributes:
        columns: The rows, by column.
        outputs: The outputs wanted; empty: all of them.
        id: The client's own name for the request, to be repeated in the answer.
    """

    columns: dict[str, Values]
    outputs: tuple[str, ...] = ()
    id: str = ""


def decode_v2(body: bytes) -> Request:
    """Reads an inference request: one named tensor per column, of shape [rows] or [rows, 1].

    Raises:
        RequestError: 400; it is not JSON or not such a request.
    """
    document = _object(body)
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise RequestError(400, "`inputs` must be a list of tensors, one per column")
    columns: dict[str, Values] = {}
    for tensor in inputs:
        name, values = _tensor(tensor)
        if name in columns:
            raise RequestError(400, f"the tensor {shown(name)} is given twice")
        columns[name] = values
    wanted = document.get("outputs") or []
    if not isinstance(wanted, list) or not all(
        isinstance(one, dict) and isinstance(one.get("name"), str) for one in wanted
    ):
        raise RequestError(400, "`outputs` must be a list of objects with a `name`")
    identity = document.get("id", "")
    if not isinstance(identity, str):
        raise RequestError(400, f"`id` must be text, but is {shown(identity)}")
    return Request(columns, tuple(one["name"] for one in wanted), identity)


def decode_v1(body: bytes, names: Sequence[str]) -> Request:
    """Reads ``{"instances": [...]}``, whose rows are objects by column, or lists in the model's order of columns.

    Args:
        body: The request's body.
        names: The model's columns, in order.

    Raises:
        RequestError: 400 for what is no such request; 422 for rows that do not have the same columns.
    """
    instances = _object(body).get("instances")
    if not isinstance(instances, list):
        raise RequestError(400, "`instances` must be a list of rows")
    if not instances:
        raise RequestError(422, "the request holds no rows")
    if all(isinstance(row, dict) for row in instances):
        columns = {name: [row.get(name) for row in instances] for name in instances[0]}
        for number, row in enumerate(instances):
            if row.keys() != columns.keys():
                odd = min(row.keys() ^ columns.keys())
                has, lacks = (number, 0) if odd in row else (0, number)
                raise RequestError(422, f"row {has} has the column {shown(odd)}, but row {lacks} does not")
        return Request({name: Values(values) for name, values in columns.items()})
    if all(isinstance(row, list) for row in instances):
        for number, row in enumerate(instances):
            if len(row) != len(names):
                raise RequestError(
                    422,
                    f"row {number} has {len(row)} values, but the model takes {len(names)}: {', '.join(names)[:300]}",
                )
        return Request({name: Values([row[place] for row in instances]) for place, name in enumerate(names)})
    raise RequestError(400, "the rows of `instances` must be all objects by column, or all lists")


def encode_v2(outputs: Mapping[str, Array], name: str, version: str, identity: str) -> dict[str, Any]:
    """The answer: a tensor per output, its data flat, row by row; what is not finite is null."""
    answer: dict[str, Any] = {"model_name": name}
    if version:
        answer["model_version"] = version
    if identity:
        answer["id"] = identity
    answer["outputs"] = [
        {
            "name": key,
            "datatype": datatype_of(values.dtype),
            "shape": list(values.shape),
            "data": _plain(values.ravel()),
        }
        for key, values in outputs.items()
    ]
    return answer


def encode_v1(outputs: Mapping[str, Array]) -> dict[str, Any]:
    """``predictions`` of each row, and ``probabilities`` where the model gives them."""
    answer = {"predictions": _plain(outputs["predict"])}
    if "predict_proba" in outputs:
        answer["probabilities"] = _plain(outputs["predict_proba"])
    return answer


def datatype_of(dtype: np.dtype[Any]) -> str:
    """The protocol's datatype of an array's; text and all else is BYTES."""
    return _OUTPUT_TYPES.get(dtype.name, "BYTES")


def _plain(values: Array) -> list[Any]:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        written = values.astype(object)
        written[~np.isfinite(values)] = None
        return list(written.tolist())
    if values.dtype.kind in "fbiu":
        return list(values.tolist())
    return [str(value) for value in values]


def _object(body: bytes) -> dict[str, Any]:
    if not body.strip():
        raise RequestError(400, "the body is empty")
    try:
        document = json.loads(body, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise RequestError(400, "the body is nested too deeply") from error
    except ValueError as error:
        raise RequestError(400, f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise RequestError(400, "the body must be a JSON object")
    return document


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON number; write null for a missing value")


def _tensor(tensor: object) -> tuple[str, Values]:
    if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
        raise RequestError(400, "each of `inputs` must be an object with a `name`")
    name, datatype, shape, data = (tensor.get(key) for key in ("name", "datatype", "shape", "data"))
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise RequestError(
            400,
            f"the tensor {shown(name)} has the datatype {shown(datatype)}; known are {', '.join(sorted(DATATYPES))}",
        )
    if not isinstance(data, list):
        raise RequestError(400, f"the tensor {shown(name)} has no list of `data`")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise RequestError(400, f"the tensor {shown(name)} has no `shape`, a list of whole numbers")
    if len(shape) not in {1, 2} or shape[1:] not in ([], [1]):
        raise RequestError(
            400, f"the tensor {shown(name)} has the shape {shown(shape)}; a column is [rows] or [rows, 1]"
        )
    if len(shape) == 2 and data and all(isinstance(row, list) for row in data):
        if any(len(row) != 1 for row in data):
            raise RequestError(400, f"the tensor {shown(name)} has rows that hold other than one value")
        data = [row[0] for row in data]
    if len(data) != shape[0]:
        raise RequestError(400, f"the tensor {shown(name)} has the shape {shown(shape)}, but {len(data)} values")
    return str(name), Values(data, datatype)
