from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from modelway.components.serve.errors import RequestError
from modelway.components.serve.protocol_v2 import Request, decode_v2, encode_v2
from modelway.components.serve.signature import Values
from modelway.components.serve.tensors import encode_values

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
        (b"{}", "`inputs` must be a list"),
        (b'{"inputs": []}', "`inputs` must be a list"),
        (b'{"inputs": [3]}', "must be an object with a `name`"),
        (b'{"inputs": [{"name": 5}]}', "must be an object with a `name`"),
        (v2(datatype="FLOAT"), "has the datatype 'FLOAT'; use BOOL"),
        (v2(datatype=...), "has the datatype None"),
        (v2(data=...), "has no list of `data`"),
        (v2(data="1.5"), "has no list of `data`"),
        (v2(shape=...), "has the shape None; `shape` must be a list"),
        (v2(shape=[-2]), "has the shape [-2]; `shape` must be a list"),
        (v2(shape=[True, 1]), "`shape` must be a list"),
        (v2(shape=[10**4000]), "`shape` must be a list"),
        (v2(shape=[10**9]), "has the shape [1000000000], but 2 values"),
        (v2(data=..., parameters="x"), "`parameters` must be an object, but is 'x'"),
        (v2(data=..., parameters={"binary_data_size": "8"}), "'income' has a `binary_data_size` of '8'"),
        (v2(data=..., parameters={"binary_data_size": -1}), "a `binary_data_size` of -1"),
        (v2(data=..., parameters={"binary_data_size": 10**400}), "ends within the binary tensor 'income'"),
        (v2(shape=[1, 2]), "a column is [rows] or [rows, 1]"),
        (v2(shape=[]), "a column is [rows] or [rows, 1]"),
        (v2(shape=[3]), "has the shape [3], but 2 values"),
        (v2(shape=[2, 1], data=[[1, 2], [3]]), "exactly one value in each row"),
        (json.dumps({"inputs": [TENSOR, TENSOR]}).encode(), "'income' is given twice"),
        (json.dumps({"inputs": [TENSOR], "id": 5}).encode(), "`id` must be at most 128 printable characters"),
        (json.dumps({"inputs": [TENSOR], "id": "a" * 129}).encode(), "`id` must be at most 128 printable characters"),
        (json.dumps({"inputs": [TENSOR], "id": "a\r\nb"}).encode(), "`id` must be at most 128 printable characters"),
        (json.dumps({"inputs": [TENSOR], "id": "\ud800"}).encode(), "`id` must be at most 128 printable characters"),
        (
            json.dumps({"inputs": [TENSOR], "parameters": {"binary_data_output": "yes"}}).encode(),
            "`binary_data_output`",
        ),
        (
            json.dumps({"inputs": [TENSOR], "outputs": [{"name": "a", "parameters": {"binary_data": 1}}]}).encode(),
            "the parameter `binary_data` must be true or false, but is 1",
        ),
        (json.dumps({"inputs": [TENSOR], "outputs": ""}).encode(), "`outputs` must be a list"),
        (json.dumps({"inputs": [TENSOR], "outputs": ["predict"]}).encode(), "`outputs` must be a list"),
    ],
)
def test_what_is_no_inference_request_is_refused_with_400(body: bytes, message: str) -> None:
    with pytest.raises(RequestError) as error:
        decode_v2(body)
    assert error.value.status == 400
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
    content, length = encode_v2({"predict": values}, "loans", version="3", request=Request({}, id="a7"))
    assert length is None
    assert json.loads(content) == {
        "model_name": "loans",
        "model_version": "3",
        "id": "a7",
        "outputs": [{"name": "predict", "datatype": datatype, "shape": list(values.shape), "data": data}],
    }


def tensor(name: str, datatype: str, size: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [2], "parameters": {"binary_data_size": size}}


def test_binary_tensors_follow_the_json_in_order_beside_others() -> None:
    plain = {"name": "c", "datatype": "INT64", "shape": [2], "data": [1, 2]}
    head = json.dumps({"inputs": [tensor("a", "FP64", 16), plain, tensor("b", "BYTES", 11)]}).encode()
    body = head + np.array([1.0, 2.0]).tobytes() + encode_values(np.array(["no", "y"], dtype=object), "BYTES")
    columns = decode_v2(body, len(head)).columns
    assert list(columns["a"].values) == [1.0, 2.0]
    assert columns["b"].values == ["no", "y"]
    assert columns["c"].values == [1, 2]


@pytest.mark.parametrize(
    ("size", "bytes_sent", "json_length", "message"),
    [
        (16, 15, 0, "ends within the binary tensor 'a'"),
        (16, 17, 0, "1 bytes follow the last binary tensor"),
        (16, 16, 1000, "fewer than Inference-Header-Content-Length says"),
    ],
)
def test_a_body_of_another_length_is_refused(size: int, bytes_sent: int, json_length: int, message: str) -> None:
    head = json.dumps({"inputs": [tensor("a", "FP64", size)]}).encode()
    with pytest.raises(RequestError, match=message):
        decode_v2(head + bytes(bytes_sent), json_length or len(head))


@pytest.mark.parametrize("by", ["each", "all"])
def test_outputs_are_binary_where_they_are_asked_for_so(by: str) -> None:
    outputs = {"predict": np.array(["yes"], dtype=object), "predict_proba": np.array([[0.25, 0.75]])}
    request = Request({}, binary={"predict_proba": True}) if by == "each" else Request({}, all_binary=True)
    content, length = encode_v2(outputs, "loans", version="3", request=request)
    assert length is not None
    label, probabilities = json.loads(content[:length])["outputs"]
    assert content.endswith(np.array([0.25, 0.75]).tobytes())
    assert probabilities == {**probabilities, "shape": [1, 2], "parameters": {"binary_data_size": 16}}
    assert "data" not in probabilities
    assert (label.get("data") == ["yes"]) == (by == "each")
    assert len(content) - length == (16 if by == "each" else 23)
