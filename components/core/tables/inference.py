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
    datatype = "FP64" if column.dtype.kind == "f" else "BYTES"
    if column.dtype.kind == "M":
        column = column.map(lambda time: time.isoformat(), na_action="ignore")
    return Tensor(name, datatype, column.astype(object).where(column.notna(), None).tolist())
