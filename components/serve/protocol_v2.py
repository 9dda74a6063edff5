"""The Open Inference Protocol V2, in JSON and with binary tensors: requests and responses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np

from modelway.components.serve.errors import RequestError, quote
from modelway.components.serve.json import decode_object, encode_object
from modelway.components.serve.signature import DATATYPES, Values
from modelway.components.serve.tensors import DTYPES, Array, decode_values, encode_values

_ID_LENGTH = 128  # the prediction log repeats it in each row
_MOST_ROWS = _LARGEST_BLOB = 1 << 31
_DATATYPES = {np.dtype(dtype).name: datatype for datatype, dtype in DTYPES.items()}


class Request(NamedTuple):
    """A request for predictions.

    Attributes:
        columns: The rows, by column.
        outputs: The requested outputs; empty: all.
        id: The client's id of the request, repeated in the response.
        binary: Whether an output is requested as a binary tensor, by its name.
        all_binary: Whether the outputs not in `binary` are.
    """

    columns: dict[str, Values]
    outputs: tuple[str, ...] = ()
    id: str = ""
    binary: Mapping[str, bool] = {}
    all_binary: bool = False


def decode_v2(body: bytes, json_length: int | None = None) -> Request:
    """Decodes an inference request: one named tensor per column, of shape [rows] or [rows, 1].

    Args:
        body: The request's body.
        json_length: How many of its bytes are JSON, before binary tensors; None: all.

    Raises:
        RequestError: 400; it is not JSON, or not such a request.
    """
    if json_length is not None and json_length > len(body):
        raise RequestError(400, f"the body has {len(body):,} bytes, fewer than Inference-Header-Content-Length says")
    document = decode_object(body[:json_length])
    blobs = BytesIO(b"" if json_length is None else body[json_length:])
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise RequestError(400, "`inputs` must be a list of tensors, one per column")
    columns: dict[str, Values] = {}
    for tensor in inputs:
        name, values = _tensor(tensor, blobs)
        if name in columns:
            raise RequestError(400, f"the tensor {quote(name)} is given twice")
        columns[name] = values
    rest = blobs.read()
    if rest:
        raise RequestError(400, f"{len(rest):,} bytes follow the last binary tensor")
    entries = document.get("outputs")
    if entries is None:
        entries = []
    if not isinstance(entries, list) or not all(
        isinstance(output, dict) and isinstance(output.get("name"), str) for output in entries
    ):
        raise RequestError(400, "`outputs` must be a list of objects with a `name`")
    request_id = document.get("id", "")
    if not isinstance(request_id, str) or len(request_id) > _ID_LENGTH or not request_id.isprintable():
        raise RequestError(
            400, f"`id` must be at most {_ID_LENGTH} printable characters of text, but is {quote(request_id)}"
        )
    flags = {output["name"]: _flag(output, "binary_data") for output in entries}
    binary = {name: flag for name, flag in flags.items() if flag is not None}
    all_binary = _flag(document, "binary_data_output") or False
    return Request(columns, tuple(flags), request_id, binary, all_binary)


def encode_v2(outputs: Mapping[str, Array], name: str, *, version: str, request: Request) -> tuple[bytes, int | None]:
    """Encodes a response, each output of shape [rows] or [rows, classes], its data row by row.

    An output is a binary tensor where the request wants it in that form. In JSON, a value that is not finite, such as a
    prediction of NaN, becomes null, since JSON has no such numbers.

    Returns:
        The body, and how many of its bytes are JSON; None: all.
    """
    answer: dict[str, Any] = {"model_name": name}
    if version:
        answer["model_version"] = version
    if request.id:
        answer["id"] = request.id
    answer["outputs"], blobs = [], []
    for key, values in outputs.items():
        datatype = datatype_of(values.dtype)
        output: dict[str, Any] = {"name": key, "datatype": datatype, "shape": list(values.shape)}
        if request.binary.get(key, request.all_binary):
            blobs.append(encode_values(values, datatype))
            output["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            output["data"] = json_values(values.ravel())
        answer["outputs"].append(output)
    head = encode_object(answer)
    return b"".join([head, *blobs]), len(head) if blobs else None


def datatype_of(dtype: np.dtype[Any]) -> str:
    """Returns the protocol's datatype for an array's; text and all others are BYTES."""
    return _DATATYPES.get(dtype.name, "BYTES")


def json_values(values: Array) -> list[Any]:
    """Returns an array's values as JSON has them."""
    if values.dtype.kind in "biu":
        return list(values.tolist())
    if values.dtype.kind != "f":
        return [str(value) for value in values]
    items: list[Any] = values.tolist()
    if all(map(math.isfinite, items if values.ndim == 1 else values.ravel().tolist())):
        return items
    objects = values.astype(object)
    objects[~np.isfinite(values)] = None
    return list(objects.tolist())


def _parameter(owner: dict[str, Any], name: str) -> Any:
    parameters = owner.get("parameters")
    if parameters is None:
        return None
    if not isinstance(parameters, dict):
        raise RequestError(400, f"`parameters` must be an object, but is {quote(parameters)}")
    return parameters.get(name)


def _flag(owner: dict[str, Any], name: str) -> bool | None:
    value = _parameter(owner, name)
    if value is not None and not isinstance(value, bool):
        raise RequestError(400, f"the parameter `{name}` must be true or false, but is {quote(value)}")
    return value


def _tensor(tensor: object, blobs: BytesIO) -> tuple[str, Values]:
    if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
        raise RequestError(400, "each of `inputs` must be an object with a `name`")
    name, datatype, shape, data = tensor["name"], tensor.get("datatype"), tensor.get("shape"), tensor.get("data")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise RequestError(
            400,
            f"the tensor {quote(name)} has the datatype {quote(datatype)}; use {', '.join(sorted(DATATYPES))}",
        )
    if not isinstance(shape, list) or not all(type(size) is int and 0 <= size <= _MOST_ROWS for size in shape):
        raise RequestError(
            400, f"the tensor {quote(name)} has the shape {quote(shape)}; `shape` must be a list of whole numbers"
        )
    if len(shape) not in {1, 2} or shape[1:] not in ([], [1]):
        raise RequestError(
            400, f"the tensor {quote(name)} has the shape {quote(shape)}; a column is [rows] or [rows, 1]"
        )
    if data is None:
        size = _parameter(tensor, "binary_data_size")
        if size is not None:
            if type(size) is not int or size < 0:
                raise RequestError(
                    400,
                    f"the tensor {quote(name)} has a `binary_data_size` of {quote(size)}; it must be a number of bytes",
                )
            content = blobs.read(min(size, _LARGEST_BLOB))
            if len(content) < size:
                raise RequestError(400, f"the body ends within the binary tensor {quote(name)}")
            return name, Values(decode_values(name, datatype, count=shape[0], content=content), datatype)
    if not isinstance(data, list):
        raise RequestError(400, f"the tensor {quote(name)} has no list of `data`")
    if len(shape) == 2 and data and all(isinstance(row, list) for row in data):
        if any(len(row) != 1 for row in data):
            raise RequestError(400, f"the tensor {quote(name)} must have exactly one value in each row")
        data = [row[0] for row in data]
    if len(data) != shape[0]:
        raise RequestError(400, f"the tensor {quote(name)} has the shape {quote(shape)}, but {len(data)} values")
    return name, Values(data, datatype)
