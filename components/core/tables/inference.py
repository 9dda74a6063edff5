"""Rows as the Open Inference Protocol V2 sends them, which the probe and the smoke requests are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Tensor:
    """One column as it is sent: a value per row, None where it is missing."""

    name: str
    datatype: str
    values: list[Any]


def tensors_of(frame: pd.DataFrame) -> tuple[Tensor, ...]:
    """The columns of a frame as models take it: float64, datetime64 and text."""
    return tuple(_tensor(str(name), frame[name]) for name in frame.columns)


def infer_request(tensors: Sequence[Tensor]) -> dict[str, Any]:
    """An inference request of all rows of some columns, before it is written as JSON."""
    inputs = [
        {"name": tensor.name, "shape": [len(tensor.values)], "datatype": tensor.datatype, "data": tensor.values}
        for tensor in tensors
    ]
    return {"inputs": inputs}


def _tensor(name: str, column: pd.Series) -> Tensor:
    present = column.notna()
    if column.dtype.kind == "f":
        values = [value if there else None for value, there in zip(column.tolist(), present, strict=True)]
        return Tensor(name, "FP64", values)
    if column.dtype.kind == "M":
        column = column.astype(object)
        values = [value.isoformat() if there else None for value, there in zip(column, present, strict=True)]
        return Tensor(name, "BYTES", values)
    return Tensor(name, "BYTES", column.tolist())
