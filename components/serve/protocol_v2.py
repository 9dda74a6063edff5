"""The Open Inference Protocol V2, in JSON and with binary tensors: columns in, outputs out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from modelway.components.serve.errors import RequestError, shown
from modelway.components.serve.json import read_object, write_object
from modelway.components.serve.signature import DATATYPES, Values
from modelway.components.serve.tensors import read_values, write_values

Array = np.ndarray[Any, Any]

_OUTPUT_TYPES = {
    "bool": "BOOL",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    **{f"{sign.lower()}int{bits}": f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)},
}


class Request(NamedTuple):
    """What a client asks for.

    Attributes:
        columns: The rows, by column.
        outputs: The outputs wanted; empty: all of them.
        id: The client's own name for the request, to be repeated in the answer.
        binary: For each output named, whether it is wanted as a binary tensor.
        all_binary: Whether the others are.
    """

    columns: dict[str, Values]
    outputs: tuple[str, ...] = ()
    id: str = ""
    binary: Mapping[str, bool] = {}
    all_binary: bool = False


def decode_v2(body: bytes, json_length: int | None = None) -> Request:
    """Reads an inference request: one named tensor per column, of shape [rows] or [rows, 1].

    Args:
        body: The request's body.
        json_length: How much of it is JSON, where binary tensors follow; None: all of it.

    Raises:
        RequestError: 400; it is not JSON or not such a request.
    """
    if json_length is not None and json_length > len(body):
        raise RequestError(400, f"the body has {len(body):,} bytes, fewer than its JSON is said to have")
    document = read_object(body if json_length is None else body[:json_length])
    blobs = _Blobs(b"" if json_length is None else body[json_length:])
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise RequestError(400, "`inputs` must be a list of tensors, one per column")
    columns: dict[str, Values] = {}
    for tensor in inputs:
        name, values = _tensor(tensor, blobs.take)
        if name in columns:
            raise RequestError(400, f"the tensor {shown(name)} is given twice")
        columns[name] = values
    if blobs.left:
        raise RequestError(400, f"{blobs.left:,} bytes follow the last binary tensor")
    wanted = document.get("outputs") or []
    if not isinstance(wanted, list) or not all(
        isinstance(one, dict) and isinstance(one.get("name"), str) for one in wanted
    ):
        raise RequestError(400, "`outputs` must be a list of objects with a `name`")
    identity = document.get("id", "")
    if not isinstance(identity, str):
        raise RequestError(400, f"`id` must be text, but is {shown(identity)}")
    binary = {one["name"]: _parameter(one, "binary_data") for one in wanted if "parameters" in one}
    all_binary = bool(_parameter(document, "binary_data_output"))
    names = tuple(one["name"] for one in wanted)
    return Request(
        columns, names, identity, {name: bool(value) for name, value in binary.items() if value is not None}, all_binary
    )


def encode_v2(outputs: Mapping[str, Array], name: str, *, version: str, identity: str = "") -> dict[str, Any]:
    """An inference answer, each output of shape [rows] or [rows, classes], its data row by row.

    A value that is not finite, such as a prediction of NaN, is null: JSON has no other word for it.
    """
    answer: dict[str, Any] = {"model_name": name, "model_version": version} if version else {"model_name": name}
    if identity:
        answer["id"] = identity
    answer["outputs"] = [{**_described(key, values), "data": plain(values.ravel())} for key, values in outputs.items()]
    return answer


def encode_binary_v2(
    outputs: Mapping[str, Array], name: str, *, version: str, request: Request
) -> tuple[bytes, int | None]:
    """An inference answer, of which the outputs that the request wants so are binary tensors.

    Returns:
        The body, and how much of it is JSON; None where all of it is.
    """
    answer = encode_v2(outputs, name, version=version, identity=request.id)
    blobs = []
    for output in answer["outputs"]:
        if request.binary.get(output["name"], request.all_binary):
            blobs.append(write_values(outputs[output["name"]], output["datatype"]))
            del output["data"]
            output["parameters"] = {"binary_data_size": len(blobs[-1])}
    head = write_object(answer)
    return b"".join([head, *blobs]), len(head) if blobs else None


def datatype_of(dtype: np.dtype[Any]) -> str:
    """The protocol's datatype of an array's; text and all else is BYTES."""
    return _OUTPUT_TYPES.get(dtype.name, "BYTES")


def plain(values: Array) -> list[Any]:
    """An array's values as JSON has them."""
    if values.dtype.kind in "biu":
        return list(values.tolist())
    if values.dtype.kind != "f":
        return [str(value) for value in values]
    listed: list[Any] = values.tolist()
    if all(map(math.isfinite, listed if values.ndim == 1 else values.ravel().tolist())):
        return listed
    written = values.astype(object)
    written[~np.isfinite(values)] = None
    return list(written.tolist())


class _Blobs:
    """What follows the JSON, taken from the front."""

    def __init__(self, content: bytes) -> None:
        self._content, self._place = content, 0

    @property
    def left(self) -> int:
        return len(self._content) - self._place

    def take(self, name: str, size: int) -> bytes:
        if size > self.left:
            raise RequestError(400, f"the body ends within the binary tensor {shown(name)}")
        self._place += size
        return self._content[self._place - size : self._place]


def _described(name: str, values: Array) -> dict[str, Any]:
    return {"name": name, "datatype": datatype_of(values.dtype), "shape": list(values.shape)}


def _parameter(of: dict[str, Any], name: str) -> Any:
    parameters = of.get("parameters")
    return parameters.get(name) if isinstance(parameters, dict) else None


def _tensor(tensor: object, blob: Callable[[str, int], bytes]) -> tuple[str, Values]:
    if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
        raise RequestError(400, "each of `inputs` must be an object with a `name`")
    name, datatype, shape, data = tensor["name"], tensor.get("datatype"), tensor.get("shape"), tensor.get("data")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise RequestError(
            400,
            f"the tensor {shown(name)} has the datatype {shown(datatype)}; known are {', '.join(sorted(DATATYPES))}",
        )
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise RequestError(400, f"the tensor {shown(name)} has no `shape`, a list of whole numbers")
    if len(shape) not in {1, 2} or shape[1:] not in ([], [1]):
        raise RequestError(
            400, f"the tensor {shown(name)} has the shape {shown(shape)}; a column is [rows] or [rows, 1]"
        )
    if data is None:
        size = _parameter(tensor, "binary_data_size")
        if type(size) is int and size >= 0:
            return name, Values(read_values(name, datatype, count=shape[0], content=blob(name, size)), datatype)
    if not isinstance(data, list):
        raise RequestError(400, f"the tensor {shown(name)} has no list of `data`")
    if len(shape) == 2 and data and all(isinstance(row, list) for row in data):
        if any(len(row) != 1 for row in data):
            raise RequestError(400, f"the tensor {shown(name)} has rows that hold other than one value")
        data = [row[0] for row in data]
    if len(data) != shape[0]:
        raise RequestError(400, f"the tensor {shown(name)} has the shape {shown(shape)}, but {len(data)} values")
    return name, Values(data, datatype)
