"""Requests made of real rows: right ones in both protocols, and ones with something wrong."""

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
_MOST_NULL_REQUESTS = 50
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
        """The rows of a frame as models take them: float64, datetime64 and text."""
        return cls(tensors_of(frame), tuple(numbers))

    def __len__(self) -> int:
        return len(self.numbers)

    def v2(self, rows: Sequence[int]) -> bytes:
        """An inference request of some rows, by their places here."""
        return _v2([Tensor(one.name, one.datatype, [one.values[row] for row in rows]) for one in self.tensors])

    def v1(self, rows: Sequence[int]) -> bytes:
        """A `:predict` request of some rows, by their places here."""
        return _v1([{one.name: one.values[row] for one in self.tensors} for row in rows])

    @property
    def batch(self) -> tuple[int, ...]:
        """As many rows, from the first, as the server takes in one request."""
        fitting = REQUEST_BYTES // (2 * max(len(self.v1([0])), len(self.v2([0])))) if len(self) else 0
        return tuple(range(min(len(self), max(1, fitting))))

    def describe(self, row: int) -> str:
        """A row in words: its number, and what it lacks."""
        missing = [one.name for one in self.tensors if one.values[row] is None]
        lacks = f", which has no value in {', '.join(missing[:3])}" if missing else ""
        return f"row {self.numbers[row]} of the test split{lacks}"


@dataclass(frozen=True)
class Malformed:
    """A request with something wrong.

    Attributes:
        kind: What is wrong.
        detail: More about it, to be read after the kind.
        path: Where it is sent.
        body: What is sent.
        may_be_answered: Whether an answer is right, too: a model may know what to do about a missing value.
    """

    kind: str
    detail: str
    path: str
    body: bytes
    may_be_answered: bool = False


def malformed(sample: Sample) -> Iterator[Malformed]:
    """One request after the other, each with one thing wrong with the sample's first row."""
    row = [Tensor(one.name, one.datatype, one.values[:1]) for one in sample.tensors]
    first, *others = row
    wrong: Any = "no number" if first.datatype == "FP64" else 1.5
    named = {one.name: one.values[0] for one in row}
    rest = {one.name: one.values[0] for one in others}
    yield Malformed("missing column", first.name, V2, _v2(others))
    yield Malformed("missing column in V1", first.name, V1, _v1([rest]))
    yield Malformed("wrong type", first.name, V2, _v2([Tensor(first.name, first.datatype, [wrong]), *others]))
    yield Malformed("wrong type in V1", first.name, V1, _v1([{**named, first.name: wrong}]))
    yield Malformed("unknown column", "no_such_column", V2, _v2([*row, Tensor("no_such_column", "FP64", [1.0])]))
    yield Malformed(
        "wrong shape", first.name, V2, _v2([Tensor(first.name, first.datatype, [*first.values] * 2), *others])
    )
    yield Malformed("empty body", "", V2, b"")
    yield Malformed("broken JSON", "", V2, _v2(row)[:-2])
    yield Malformed("too large", f"{REQUEST_BYTES + 1:,} bytes", V2, b" " * (REQUEST_BYTES + 1))
    most = _MOST_NULL_REQUESTS if len(row) <= _MANY_COLUMNS else _FEWER_NULL_REQUESTS  # of which each takes long
    step = -(-len(row) // most)
    for start in range(0, len(row), step):
        names = [one.name for one in row[start : start + step]]
        yield Malformed("null", ", ".join(names[:3]), V2, _v2([_emptied(one, names) for one in row]), True)
    yield Malformed("null in every column", "", V2, _v2([_emptied(one, [one.name]) for one in row]), True)


def _emptied(tensor: Tensor, names: Sequence[str]) -> Tensor:
    return Tensor(tensor.name, tensor.datatype, [None]) if tensor.name in names else tensor


def _v2(tensors: Sequence[Tensor]) -> bytes:
    return json.dumps(infer_request(tensors)).encode()


def _v1(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps({"instances": rows}).encode()
