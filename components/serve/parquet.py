"""Writes blocks of rows as a Parquet file in memory.

This uses arro3, Arrow's Rust library for Python: Polars would cost the server a quarter of its memory and half of
its start-up time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np

from modelway.components.serve.tensors import Array

# By the kind of a NumPy type; any other is text.
_TYPES = {"f": "float64", "i": "int64", "u": "uint64", "b": "bool", "M": "int64"}


def import_writer() -> None:
    """Imports the Parquet writer, which takes a while."""
    import arro3.core
    import arro3.io  # noqa: F401


def to_parquet(blocks: Sequence[Mapping[str, Array]]) -> bytes:
    """Writes blocks of rows; a column that a block lacks is missing there.

    Args:
        blocks: Columns of shape (rows,): numbers (missing: NaN), texts (missing: None), times (missing: NaT).
    """
    from arro3.core import Array as Column
    from arro3.core import DataType, Table
    from arro3.io import write_parquet

    sizes = [len(next(iter(block.values()))) for block in blocks]
    kinds = {name: values.dtype.kind for block in blocks for name, values in block.items()}
    columns: dict[str, Any] = {}
    for name, kind in kinds.items():
        column: list[Any] = []
        for block, rows in zip(blocks, sizes, strict=True):
            column += _arrow_values(block[name]) if name in block else [None] * rows
        array = Column(column, type=getattr(DataType, _TYPES.get(kind, "string"))())
        columns[name] = array.cast(DataType.timestamp("us")) if kind == "M" else array
    texts: dict[str | Sequence[str], bool] = {name: kind not in _TYPES for name, kind in kinds.items()}
    buffer = BytesIO()
    write_parquet(
        Table.from_pydict(columns),
        buffer,
        compression="zstd(1)",
        dictionary_enabled=False,  # for numbers it makes the file larger and takes twice as long
        column_dictionary_enabled=texts,
    )
    return buffer.getvalue()


def _arrow_values(values: Array) -> list[Any]:
    """Returns values as Arrow takes them: None for a missing one, times as microseconds since 1970."""
    kind = values.dtype.kind
    if kind in "fM":
        objects = (values if kind == "f" else values.astype("datetime64[us]").view(np.int64)).astype(object)
        objects[np.isnan(values)] = None
        return list(objects.tolist())
    items: list[Any] = values.tolist()
    return items if kind in _TYPES else [None if value is None else str(value) for value in items]
