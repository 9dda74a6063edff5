"""Blocks of columns as a Parquet file in memory.

Written by arro3, Arrow's Rust library for Python: Polars costs the server a quarter of its memory and half of its
start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from modelway.components.core.bundle.bundle import MISSING_TIME

if TYPE_CHECKING:
    import arro3.core

Array = np.ndarray[Any, Any]


def prepare() -> None:
    """Imports what writes the files, which takes a while."""
    import arro3.core
    import arro3.io  # noqa: F401


def to_parquet(blocks: Sequence[Mapping[str, Array]]) -> bytes:
    """Writes blocks of rows, which need not have the same columns; what a block lacks is missing.

    Args:
        blocks: Columns of shape (rows,): numbers (missing: NaN), texts (missing: None), times (missing: NaT).
    """
    from arro3.core import Table
    from arro3.io import write_parquet

    sizes = [len(next(iter(block.values()))) for block in blocks]
    kinds = {name: values.dtype.kind for block in blocks for name, values in block.items()}
    columns: dict[str, Any] = {}
    for name, kind in kinds.items():
        listed: list[Any] = []
        for block, rows in zip(blocks, sizes, strict=True):
            listed += _listed(block[name]) if name in block else [None] * rows
        columns[name] = _column(listed, kind)
    texts: dict[str | Sequence[str], bool] = {name: kind not in _TYPES for name, kind in kinds.items()}
    written = BytesIO()
    write_parquet(
        Table.from_pydict(columns),
        written,
        compression="zstd(1)",
        dictionary_enabled=False,  # of numbers it makes the file larger, and the interpreter is held twice as long
        column_dictionary_enabled=texts,
    )
    return written.getvalue()


def _listed(values: Array) -> list[Any]:
    """Values as Arrow takes them, None for a missing one; times are microseconds since 1970."""
    kind = values.dtype.kind
    if kind == "M":
        times = values.astype("datetime64[us]").view(np.int64).tolist()
        return [None if at == MISSING_TIME else at for at in times]
    listed: list[Any] = values.tolist()
    if kind == "f":
        return [None if value != value else value for value in listed]  # noqa: PLR0124 - NaN
    return listed if kind in _TYPES else [None if value is None else str(value) for value in listed]


# By the kind of a NumPy type; any other is text.
_TYPES = {"f": "float64", "i": "int64", "u": "uint64", "b": "bool", "M": "int64"}


def _column(values: list[Any], kind: str) -> arro3.core.Array:
    from arro3.core import Array as Column
    from arro3.core import DataType

    made = Column(values, type=getattr(DataType, _TYPES.get(kind, "string"))())
    return made.cast(DataType.timestamp("us")) if kind == "M" else made
