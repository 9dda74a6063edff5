"""A random sample of a table that may be larger than memory, and its columns in a few plain types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from modelway.components.core.tables.parquet import as_numbers, as_text
from modelway.components.validate.counting import rows_of, sample_of


@dataclass(frozen=True)
class Sample:
    """Some rows of a table, in the table's order.

    Attributes:
        table: The rows.
        total: How many rows the table has that they were drawn from.
    """

    table: pl.DataFrame
    total: int

    @property
    def is_complete(self) -> bool:
        """Whether these are all rows."""
        return len(self.table) == self.total

    @property
    def rows(self) -> str:
        """The number of rows in words; ``rows`` follows."""
        return f"{self.total:,}" if self.is_complete else f"a random sample of {len(self.table):,} of {self.total:,}"


def draw(table: pl.LazyFrame, columns: Sequence[str], *, limit: int) -> Sample:
    """Draws rows without replacement, the same ones each time; the table is streamed.

    Args:
        table: The table to draw from.
        columns: The columns to keep.
        limit: How many rows to draw at most.
    """
    row = "row"
    while row in columns:
        row += "_"
    numbered = table.select(columns).with_row_index(row)
    rows = sample_of(numbered, [row, *columns], limit=limit).sort(row)
    return Sample(rows.drop(row), rows_of(table))


def at_most(table: pl.DataFrame, limit: int) -> pl.DataFrame:
    """The table, or random rows of one that has more; the same ones each time."""
    return table.sample(limit, seed=0) if len(table) > limit else table


def plain_series(series: pl.Series) -> pl.Series:
    """Converts a column to numbers, dates or times, or booleans, with one kind of missing value, or else to text.

    Durations and times of day count as numbers.
    """
    if isinstance(series.dtype, pl.Duration | pl.Time):
        return series.to_physical().cast(pl.Int64)
    if series.dtype.is_decimal():
        series = series.cast(pl.Float64)
    if series.dtype.is_float():
        return series.fill_nan(None)
    if is_ordered(series) or series.dtype in {pl.Boolean, pl.Null}:
        return series
    return as_text(series)


def is_ordered(series: pl.Series) -> bool:
    """Whether its values are numbers or times."""
    return series.dtype.is_numeric() or series.dtype.is_temporal()


def ranks(series: pl.Series) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The dense rank of each number or time, from 0; missing as NaN.

    Ranks keep the order of the values, and stay exact as the 32-bit numbers that trees split by.
    """
    numbers = as_numbers(series)
    is_known = ~np.isnan(numbers)
    result = np.full(len(numbers), np.nan)
    result[is_known] = np.unique(numbers[is_known], return_inverse=True)[1]
    return result
