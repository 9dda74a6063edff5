from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from modelway.components.serve.errors import RequestError
from modelway.components.serve.protocol_v1 import decode_v1, encode_v1
from modelway.components.serve.protocol_v2 import decode_v2, encode_v2
from modelway.components.serve.signature import Values

TENSOR = {"name": "income", "shape": [2], "datatype": "FP64", "data": [1.5, None]}


def v2(**changes: Any) -> bytes:
    tensor = {name: value for name, value in {**TENSOR, **changes}.items() if value is not ...}
    return json.dumps({"inputs": [tensor]}).encode()


@pytest.mark.parametrize(("shape", "data"), [([2], [1.5, None]), ([2, 1], [1.5, None]), ([2, 1], [[1.5], [None]])])
def test_a_column_is_a_tensor_of_rows_or_of_rows_by_one(shape: list[int], data: list[Any]) -> None:
    request = decode_v2(v2(shape=shape, data=data))
    assert request.columns == {"income": Values([1.5, None], "FP64")}


def test_the_id_and_the_outputs_wanted_are_read() -> None:
    body = json.dumps({"id": "a7", "inputs": [TENSOR], "outputs": [{"name": "predict"}]}).encode()
    request = decode_v2(body)
    assert (request.id, request.outputs) == ("a7", ("predict",))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty"),
        (b" \n", "the body is empty"),
        (b"{", "the body is not JSON"),
        (b"\xff\xfe\x00", "the body is not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "must be a JSON object"),
        (b"{}", "`inputs` must be a list"),
        (b'{"inputs": []}', "`inputs` must be a list"),
        (b'{"inputs": [3]}', "must be an object with a `name`"),
        (b'{"inputs": [{"name": 5}]}', "must be an object with a `name`"),
        (b'{"inputs": [{"name": "income", "shape": [1], "datatype": "FP64", "data": [NaN]}]}', "write null"),
        (v2(datatype="FLOAT"), "has the datatype 'FLOAT'; use BOOL"),
        (v2(datatype=...), "has the datatype None"),
        (v2(data=...), "has no list of `data`"),
        (v2(data="1.5"), "has no list of `data`"),
        (v2(shape=...), "has no `shape`"),
        (v2(shape=[-2]), "has no `shape`"),
        (v2(shape=[True, 1]), "has no `shape`"),
        (v2(shape=[1, 2]), "a column is [rows] or [rows, 1]"),
        (v2(shape=[]), "a column is [rows] or [rows, 1]"),
        (v2(shape=[3]), "has the shape [3], but 2 values"),
        (v2(shape=[2, 1], data=[[1, 2], [3]]), "exactly one value in each row"),
        (json.dumps({"inputs": [TENSOR, TENSOR]}).encode(), "'income' is given twice"),
        (json.dumps({"inputs": [TENSOR], "id": 5}).encode(), "`id` must be text"),
        (json.dumps({"inputs": [TENSOR], "outputs": ["predict"]}).encode(), "`outputs` must be a list"),
    ],
)
def test_what_is_no_inference_request_is_refused_with_400(body: bytes, message: str) -> None:
    with pytest.raises(RequestError) as error:
        decode_v2(body)
    assert error.value.status == 400
    assert message in error.value.message


def test_v1_rows_are_objects_by_column_or_lists_in_order() -> None:
    by_name = decode_v1(b'{"instances": [{"b": "x", "a": 1}, {"a": null, "b": "y"}]}', ["a", "b"])
    in_order = decode_v1(b'{"instances": [[1, "x"], [null, "y"]]}', ["a", "b"])
    assert by_name.columns == in_order.columns == {"a": Values([1, None]), "b": Values(["x", "y"])}


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


@pytest.mark.parametrize(
    ("values", "datatype", "data"),
    [
        (np.array([1, 2]), "INT64", [1, 2]),
        (np.array([1, 2], dtype=np.uint8), "UINT8", [1, 2]),
        (np.array([0.1, np.nan]), "FP64", [0.1, None]),
        (np.array([0.1], dtype=np.float32), "FP32", [float(np.float32(0.1))]),
        (np.array([True, False]), "BOOL", [True, False]),
        (np.array(["yes", "no"], dtype=object), "BYTES", ["yes", "no"]),
        (np.array(["yes", "no"]), "BYTES", ["yes", "no"]),
        (np.array([[0.25, 0.75], [np.inf, 0.0]]), "FP64", [0.25, 0.75, None, 0.0]),
    ],
)
def test_outputs_are_tensors_of_their_type(values: Any, datatype: str, data: list[Any]) -> None:
    answer = encode_v2({"predict": values}, "loans", version="3", request_id="a7")
    assert answer == {
        "model_name": "loans",
        "model_version": "3",
        "id": "a7",
        "outputs": [{"name": "predict", "datatype": datatype, "shape": list(values.shape), "data": data}],
    }


def test_v1_answers_predictions_and_probabilities_by_row() -> None:
    outputs = {"predict": np.array(["a", "b"], dtype=object), "predict_proba": np.array([[0.75, 0.25], [np.nan, 1.0]])}
    assert encode_v1(outputs) == {"predictions": ["a", "b"], "probabilities": [[0.75, 0.25], [None, 1.0]]}
