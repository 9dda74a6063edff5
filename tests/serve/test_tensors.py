from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelway.components.serve.errors import RequestError
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
        ("BYTES", 1, b"\x02\x00", "has no UTF-8 texts"),
        ("BYTES", 1, b"\x01\x00\x00\x00\xff", "has no UTF-8 texts"),
        ("BYTES", 1, b"\x05\x00\x00\x00ab", "has 6 bytes, but needs 9"),
        ("BYTES", 2, b"\x01\x00\x00\x00a", "holds 1 texts, but its shape says 2"),
    ],
)
def test_bytes_that_are_no_such_values_are_refused(datatype: str, count: int, content: bytes, message: str) -> None:
    with pytest.raises(RequestError) as error:
        decode_values("x", datatype, count=count, content=content)
    assert error.value.status == 400
    assert message in error.value.message
