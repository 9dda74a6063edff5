from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from modelway.components.serve.errors import RequestError
from modelway.components.serve.protocol_v1 import decode_v1, encode_v1

SPLIT = {"columns": ["b", "a"], "data": [["x", 1], ["y", None]]}
RECORDS = [{"a": 1, "b": "x"}, {"a": None, "b": "y"}]


@pytest.mark.parametrize(
    "document",
    [
        {"instances": RECORDS},
        {"instances": [[1, "x"], [None, "y"]]},
        {"dataframe_records": RECORDS},
        {"dataframe_split": {**SPLIT, "index": [0, 1]}},
        SPLIT,
        {"inputs": {"a": [1, None], "b": ["x", "y"]}},
    ],
    ids=["instances", "lists", "records", "split", "split without a name", "columns"],
)
def test_the_same_rows_come_in_every_form(document: Any) -> None:
    columns = decode_v1(json.dumps(document).encode(), ["a", "b"]).columns
    assert {name: list(values.values) for name, values in columns.items()} == {"a": [1, None], "b": ["x", "y"]}


@pytest.mark.parametrize(
    ("document", "status", "message"),
    [
        ({}, 400, "must hold the rows as one of `instances`, `dataframe_records`"),
        ({"instances": RECORDS, "inputs": {}}, 400, "as one of"),
        ({"dataframe_split": 5}, 400, "`columns` must be a list"),
        ({"columns": ["a"], "data": [1]}, 400, "`data` must be a list of rows"),
        ({"columns": ["a", "a"], "data": [[1, 2]]}, 400, "the column 'a' is given twice"),
        ({"columns": ["a", "b"], "data": [[1]]}, 422, "row 0 has 1 values, but there are 2 columns"),
        ({"columns": ["a"], "data": []}, 422, "no rows"),
        ({"inputs": {"a": 1}}, 400, "an object of lists by column"),
        ({"dataframe_records": {}}, 400, "`dataframe_records` must be a list of rows"),
    ],
)
def test_what_holds_no_rows_is_refused(document: Any, status: int, message: str) -> None:
    with pytest.raises(RequestError) as error:
        decode_v1(json.dumps(document).encode(), ["a", "b"])
    assert error.value.status == status
    assert message in error.value.message


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b'{"instances": 5}', 400, "must be a list of rows"),
        (b'{"inputs": []}', 400, "must be an object of lists by column"),
        (b'{"instances": []}', 422, "no rows"),
        (b'{"instances": [1, 2]}', 400, "must all be objects by column"),
        (b'{"instances": [[1, 2], {"a": 1}]}', 400, "must all be objects by column"),
        (b'{"instances": [{"a": 1, "b": 2}, {"a": 1}]}', 422, "row 0 has the column 'b', but row 1 does not"),
        (b'{"instances": [{"a": 1}, {"a": 1, "c": 2}]}', 422, "row 1 has the column 'c', but row 0 does not"),
        (b'{"instances": [[1, 2], [1]]}', 422, "row 1 has 1 values, but there are 2 columns: a, b"),
    ],
)
def test_v1_rows_that_do_not_agree_are_refused(body: bytes, status: int, message: str) -> None:
    with pytest.raises(RequestError) as error:
        decode_v1(body, ["a", "b"])
    assert error.value.status == status
    assert message in error.value.message


def test_rows_and_columns_that_multiply_are_refused_before_they_do() -> None:
    names = [f"c{number}" for number in range(200_000)]
    rows = json.dumps({"instances": [dict.fromkeys(names, 0)] + [{}] * 200_000}).encode()
    with pytest.raises(RequestError, match="row 0 has the column"):
        decode_v1(rows, ["a"])
    with pytest.raises(RequestError, match="the column 'c199999' is given twice"):
        decode_v1(json.dumps({"columns": [*names, names[-1]], "data": []}).encode(), ["a"])


def test_v1_answers_predictions_and_probabilities_by_row() -> None:
    outputs = {"predict": np.array(["a", "b"], dtype=object), "predict_proba": np.array([[0.75, 0.25], [np.nan, 1.0]])}
    assert encode_v1(outputs) == {"predictions": ["a", "b"], "probabilities": [[0.75, 0.25], [None, 1.0]]}
