"""Binary tensors: the binary data extension of the Open Inference Protocol V2, as Triton and KServe have it.

Numbers are little-endian, a BOOL is one byte, and each text is its length in bytes as four bytes, little-endian, and
then that many bytes of UTF-8. No value can be missing there but as NaN.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from modelway.components.serve.errors import RequestError, shown

Array = np.ndarray[Any, Any]

_DTYPES: dict[str, str] = {
    "BOOL": "?",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
    **{f"{sign}INT{bits}": f"<{'u' if sign else 'i'}{bits // 8}" for sign in ("", "U") for bits in (8, 16, 32, 64)},
}
_LENGTH = struct.Struct("<I")


def read_values(name: str, datatype: str, *, count: int, content: bytes) -> list[str] | Array:
    """A tensor's values, of shape (count,).

    Raises:
        RequestError: 400; there are fewer or more than that, or they are no such values.
    """
    if datatype == "BYTES":
        return _texts(name, count, content=content)
    dtype = np.dtype(_DTYPES[datatype])
    if len(content) != count * dtype.itemsize:
        raise _of_size(name, count * dtype.itemsize, found=len(content))
    if datatype != "BOOL":
        return np.frombuffer(content, dtype)
    flags: Array = np.frombuffer(content, np.uint8) != 0
    return flags


def write_values(values: Array, datatype: str) -> bytes:
    """The bytes of values of any shape, in rows' order."""
    if datatype != "BYTES":
        return values.astype(_DTYPES[datatype]).tobytes()
    texts = [str(value).encode() for value in values.ravel()]
    return b"".join(part for text in texts for part in (_LENGTH.pack(len(text)), text))


def _texts(name: str, count: int, *, content: bytes) -> list[str]:
    found: list[str] = []
    place = 0
    try:
        while place < len(content):
            start = place + _LENGTH.size
            place = start + _LENGTH.unpack_from(content, place)[0]
            if place > len(content):
                raise _of_size(name, place, found=len(content))
            found.append(content[start:place].decode())
    except (struct.error, UnicodeDecodeError) as error:
        raise RequestError(400, f"the binary tensor {shown(name)} holds no UTF-8 texts with their lengths") from error
    if len(found) != count:
        raise RequestError(400, f"the binary tensor {shown(name)} holds {len(found)} texts, but its shape says {count}")
    return found


def _of_size(name: str, wanted: int, *, found: int) -> RequestError:
    return RequestError(400, f"the binary tensor {shown(name)} has {found:,} bytes, but needs {wanted:,}")
