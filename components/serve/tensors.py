"""Binary tensors: the binary data extension of the Open Inference Protocol V2, as in Triton and KServe.

Numbers are little-endian, a BOOL is one byte, and a text is its length in bytes as four bytes, little-endian, and then
its UTF-8. Only NaN can stand for a missing value.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from modelway.components.serve.errors import RequestError, quote

Array = np.ndarray[Any, Any]

DTYPES: dict[str, str] = {
    "BOOL": "?",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
    **{f"{sign}INT{bits}": f"<{'u' if sign else 'i'}{bits // 8}" for sign in ("", "U") for bits in (8, 16, 32, 64)},
}
_LENGTH = struct.Struct("<I")


def decode_values(name: str, datatype: str, *, count: int, content: bytes) -> list[str] | Array:
    """Decodes a tensor of shape (count,).

    Raises:
        RequestError: 400; the content has another number of values, or is invalid.
    """
    if datatype == "BYTES":
        return _texts(name, count, content=content)
    dtype = np.dtype(DTYPES[datatype])
    if len(content) != count * dtype.itemsize:
        raise _size_error(name, count * dtype.itemsize, size=len(content))
    if datatype != "BOOL":
        return np.frombuffer(content, dtype)
    flags: Array = np.frombuffer(content, np.uint8) != 0
    return flags


def encode_values(values: Array, datatype: str) -> bytes:
    """Encodes values of any shape, row by row."""
    if datatype != "BYTES":
        return values.astype(DTYPES[datatype]).tobytes()
    texts = [str(value).encode() for value in values.ravel()]
    return b"".join(part for text in texts for part in (_LENGTH.pack(len(text)), text))


def _texts(name: str, count: int, *, content: bytes) -> list[str]:
    texts: list[str] = []
    place = 0
    try:
        while place < len(content):
            start = place + _LENGTH.size
            place = start + _LENGTH.unpack_from(content, place)[0]
            if place > len(content):
                raise _size_error(name, place, size=len(content))
            texts.append(content[start:place].decode())
    except (struct.error, UnicodeDecodeError) as error:
        raise RequestError(400, f"the binary tensor {quote(name)} has no UTF-8 texts with lengths") from error
    if len(texts) != count:
        raise RequestError(400, f"the binary tensor {quote(name)} holds {len(texts)} texts, but its shape says {count}")
    return texts


def _size_error(name: str, expected: int, *, size: int) -> RequestError:
    return RequestError(400, f"the binary tensor {quote(name)} has {size:,} bytes, but needs {expected:,}")
