"""Requests made of real rows: valid ones in both protocols, and malformed ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelway.components.core.tables.inference import Tensor, infer_request, tensors_of
from modelway.components.probe.server import NAME, REQUEST_BYTES

if TYPE_CHECKING:
    import pandas as pd

V1 = f"/v1/models/{NAME}:predict"
V2 = f"/v2/models/{NAME}/infer"
_MAX_NULL_REQUESTS = 50
_MANY_COLUMNS, _FEWER_NULL_REQUESTS = 1_000, 10


@dataclass(frozen=True)
class Sample:
    """Rows to send.

    Attributes:
        tensors: The columns.
        numbers: Each row's number in the test split.
    """

    tensors: tuple[Tensor, ...]
    numbers: tuple[int, ...]

    @classmethod
    def of(cls, frame: pd.DataFrame, numbers: Sequence[int]) -> Sample:
        """Returns the rows of a frame as models take them: float64, datetime64 and text."""
        return cls(tensors_of(frame), tuple(numbers))

    def __len__(self) -> int:
        return len(self.numbers)

    def v2(self, rows: Sequence[int]) -> bytes:
        """Returns an inference request of the rows at some positions."""
        return _v2(
            [Tensor(tensor.name, tensor.datatype, [tensor.values[row] for row in rows]) for tensor in self.tensors]
        )

    def v1(self, rows: Sequence[int]) -> bytes:
        """Returns a `:predict` request of the rows at some positions."""
        return _v1([{tensor.name: tensor.values[row] for tensor in self.tensors} for row in rows])

    @property
    def batch(self) -> tuple[int, ...]:
        """The positions of as many rows, from the first, as the server takes in one request."""
        fitting = REQUEST_BYTES // (2 * max(len(self.v1([0])), len(self.v2([0])))) if len(self) else 0
        return tuple(range(min(len(self), max(1, fitting))))

    def describe(self, row: int) -> str:
        """Describes a row: its number, and the columns without a value."""
        missing = [tensor.name for tensor in self.tensors if tensor.values[row] is None]
        lacks = f", which has no value in {', '.join(missing[:3])}" if missing else ""
        return f"row {self.numbers[row]} of the test split{lacks}"


@dataclass(frozen=True)
class MalformedRequest:
    """A request with one thing wrong.

    Attributes:
        kind: What is wrong.
        detail: More about it, to be read after the kind.
        path: The path that it is sent to.
        body: Its body.
        may_be_answered: Whether it may be answered 200: a model may handle missing values.
    """

    kind: str
    detail: str
    path: str
    body: bytes
    may_be_answered: bool = False

    def describe(self) -> str:
        """Describes the request by its kind and detail."""
        return f"{self.kind} ({self.detail})" if self.detail else self.kind


def malformed_requests(sample: Sample) -> Iterator[MalformedRequest]:
    """Yields requests of the sample's first row, each with one thing wrong."""
    row = [Tensor(tensor.name, tensor.datatype, tensor.values[:1]) for tensor in sample.tensors]
    first, *rest = row
    bad_value: Any = "no number" if first.datatype == "FP64" else 1.5
    values = {tensor.name: tensor.values[0] for tensor in row}
    rest_values = {tensor.name: tensor.values[0] for tensor in rest}
    yield MalformedRequest("missing column", first.name, V2, _v2(rest))
    yield MalformedRequest("missing column in V1", first.name, V1, _v1([rest_values]))
    yield MalformedRequest("wrong type", first.name, V2, _v2([Tensor(first.name, first.datatype, [bad_value]), *rest]))
    yield MalformedRequest("wrong type in V1", first.name, V1, _v1([{**values, first.name: bad_value}]))
    yield MalformedRequest("unknown column", "no_such_column", V2, _v2([*row, Tensor("no_such_column", "FP64", [1.0])]))
    yield MalformedRequest("wrong shape", first.name, V2, _misshapen(first, rest))
    yield MalformedRequest("empty body", "", V2, b"")
    yield MalformedRequest("broken JSON", "", V2, _v2(row)[:-2])
    yield MalformedRequest("too large", f"{REQUEST_BYTES + 1:,} bytes", V2, b" " * (REQUEST_BYTES + 1))
    max_requests = _MAX_NULL_REQUESTS if len(row) <= _MANY_COLUMNS else _FEWER_NULL_REQUESTS  # each of them takes long
    step = -(-len(row) // max_requests)
    for start in range(0, len(row), step):
        names = [tensor.name for tensor in row[start : start + step]]
        yield MalformedRequest("null", ", ".join(names[:3]), V2, _v2([_emptied(tensor, names) for tensor in row]), True)
    yield MalformedRequest(
        "null in every column", "", V2, _v2([_emptied(tensor, [tensor.name]) for tensor in row]), True
    )


def _emptied(tensor: Tensor, names: Sequence[str]) -> Tensor:
    return Tensor(tensor.name, tensor.datatype, [None]) if tensor.name in names else tensor


def _misshapen(first: Tensor, rest: Sequence[Tensor]) -> bytes:
    """A request whose first column holds two values where its shape says one: alone it could be one of two rows."""
    request = infer_request([first, *rest])
    request["inputs"][0]["data"] = [*first.values] * 2
    return json.dumps(request).encode()


def _v2(tensors: Sequence[Tensor]) -> bytes:
    return json.dumps(infer_request(tensors)).encode()


def _v1(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps({"instances": rows}).encode()
