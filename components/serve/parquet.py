"""Blocks of columns as a Parquet file in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import polars as pl

Array = np.ndarray[Any, Any]


def prepare() -> None:
    """Imports what writes the files, which takes a while."""
    import polars  # noqa: F401


def to_parquet(blocks: Sequence[Mapping[str, Array]]) -> bytes:
    """Writes blocks of rows, which need not have the same columns; what a block lacks is missing.

    Args:
        blocks: Columns of shape (rows,): numbers (missing: NaN), texts (missing: None), times (missing: NaT).
    """
    import polars as pl

    alike: dict[tuple[str, ...], list[Mapping[str, Array]]] = {}
    for block in blocks:
        alike.setdefault(tuple(block), []).append(block)
    frames = [
        pl.DataFrame([_series(name, [part[name] for part in parts]) for name in names])
        for names, parts in alike.items()
    ]
    written = BytesIO()
    pl.concat(frames, how="diagonal").write_parquet(written, compression="zstd")
    return written.getvalue()


def _series(name: str, parts: Sequence[Array]) -> pl.Series:
    import polars as pl

    values = np.concatenate(parts)
    if values.dtype == object:
        return pl.Series(name, [None if value is None else str(value) for value in values.tolist()], pl.String)
    return pl.Series(name, values, nan_to_null=True)
