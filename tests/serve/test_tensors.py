from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from modelway.components.serve.errors import RequestError
from modelway.components.serve.protocol_v2 import Request, decode_v2, encode_binary_v2
from modelway.components.serve.tensors import decode_values, encode_values


@pytest.mark.parametrize(
    ("datatype", "values"),
    [
        ("FP64", np.array([1.5, np.nan])),
        ("FP32", np.array([1.5, -2.0], np.float32)),
        ("FP16", np.array([0.5], np.float16)),
        ("INT64", np.array([-(2**60), 7])),
        ("UINT8", np.array([0, 255], np.uint8)),
        ("BOOL", np.array([True, False])),
    ],
)
def test_numbers_come_back_as_they_were_sent(datatype: str, values: Any) -> None:
    decoded = decode_values("x", datatype, count=len(values), content=encode_values(values, datatype))
    np.testing.assert_array_equal(decoded, values)


def test_texts_come_back_as_they_were_sent() -> None:
    texts = ["", "Zürich", "north"]
    assert decode_values("x", "BYTES", count=3, content=encode_values(np.array(texts, dtype=object), "BYTES")) == texts
    assert encode_values(np.array(["ab"], dtype=object), "BYTES") == b"\x02\x00\x00\x00ab"


@pytest.mark.parametrize(
    ("datatype", "count", "content", "message"),
    [
        ("FP64", 2, bytes(15), "has 15 bytes, but needs 16"),
        ("BYTES", 1, b"\x02\x00", "does not hold UTF-8 texts"),
        ("BYTES", 1, b"\x01\x00\x00\x00\xff", "does not hold UTF-8 texts"),
        ("BYTES", 1, b"\x05\x00\x00\x00ab", "has 6 bytes, but needs 9"),
        ("BYTES", 2, b"\x01\x00\x00\x00a", "holds 1 texts, but its shape says 2"),
    ],
)
def test_bytes_that_are_no_such_values_are_refused(datatype: str, count: int, content: bytes, message: str) -> None:
    with pytest.raises(RequestError) as error:
        decode_values("x", datatype, count=count, content=content)
    assert error.value.status == 400
    assert message in error.value.message


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
    content, length = encode_binary_v2(outputs, "loans", version="3", request=request)
    assert length is not None
    label, probabilities = json.loads(content[:length])["outputs"]
    assert content.endswith(np.array([0.25, 0.75]).tobytes())
    assert probabilities == {**probabilities, "shape": [1, 2], "parameters": {"binary_data_size": 16}}
    assert "data" not in probabilities
    assert (label.get("data") == ["yes"]) == (by == "each")
    assert len(content) - length == (16 if by == "each" else 23)
