"""The distributions of columns: bins from a sample, counted over every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from pydantic import BaseModel

from modelway.components.core.measures.time_parts import Days
from modelway.components.core.tables.parquet import as_numbers, as_text
from modelway.components.validate.counting import SAMPLE_ROWS, Counts, Tally, count, rows_per_group, sample_of, text_of

BINS = 10
MOST_CATEGORIES = 100

_SMALL_INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32)
_GREATEST = 2**62


class Distribution(BaseModel):
    """The distribution of one column's values.

    Attributes:
        kind: Whether the bins are ranges of numbers, the few numbers that occur, or values as text.
        edges: Numeric: upper edges (inclusive) of all range bins but the last, which is open. Discrete: the numbers,
            ascending; all others fall into one more bin. Times are in microseconds since 1970.
        of_times: Whether the edges are dates or times.
        values: Categorical: the values, the most frequent first; all others fall into one more bin.
        shares: The share of rows in each bin; the last one is that of missing values.
        chosen_by: Where only some values are listed: how many rows of each bin were used to choose them. Such rows lie
            in the listed bins more often than others, so they are no evidence of a difference.
    """

    kind: Literal["numeric", "discrete", "categorical"]
    edges: list[float] = []
    of_times: bool = False
    values: list[str] = []
    shares: list[float]
    chosen_by: list[int] = []


class TableStatistics(BaseModel):
    """The distributions of a table's columns, such as the baseline statistics of a training split.

    Attributes:
        data_hash: The SHA-256 of the source's content.
        rows: How many rows the distributions were counted over.
        rows_per_group: How many rows weigh as one, since the rows of a group are alike (Kish's design effect).
        columns: A distribution for each column, and for the parts of times, ``column.weekday`` and ``column.hour``.
        days: The days of each column of dates and times.
    """

    data_hash: str
    rows: int
    rows_per_group: float = 1.0
    columns: dict[str, Distribution]
    days: dict[str, Days] = {}

    @property
    def weight(self) -> float:
        """The effective number of independent rows."""
        return self.rows / self.rows_per_group

    def write(self, path: str | Path) -> None:
        """Writes the baseline as JSON."""
        Path(path).write_text(self.model_dump_json(), encoding="utf-8")


def measure(
    table: pl.DataFrame | pl.LazyFrame, columns: Sequence[str], *, data_hash: str, group: str | None = None
) -> TableStatistics:
    """Measures the distributions of some columns: deciles of numbers and times, shares of everything else.

    The bins come from a random sample of at most 100,000 rows, the same one each time; they are counted over every row.

    Args:
        table: The rows.
        columns: The columns to measure.
        data_hash: The SHA-256 of the source's content.
        group: A column whose equal values mark rows that are alike, such as those of one person.
    """
    lazy = table.lazy()
    return _count_bins(bins_of(sample_of(lazy, columns, limit=SAMPLE_ROWS)), lazy, data_hash=data_hash, group=group)


def measure_like(
    table: pl.DataFrame | pl.LazyFrame, baseline: TableStatistics, *, data_hash: str, group: str | None = None
) -> TableStatistics:
    """The distributions of those columns that a baseline has too, counted over every row in the baseline's bins."""
    schema = table.lazy().collect_schema()
    distributions = {name: distribution for name, distribution in baseline.columns.items() if name in schema}
    return _count_bins(distributions, table.lazy(), data_hash=data_hash, group=group)


def _count_bins(
    distributions: Mapping[str, Distribution], table: pl.LazyFrame, *, data_hash: str, group: str | None
) -> TableStatistics:
    counts = count(table, tally_of(distributions, table.collect_schema()))
    return TableStatistics(
        data_hash=data_hash,
        rows=counts.rows,
        rows_per_group=rows_per_group(table, group) if group is not None else 1.0,
        columns=distributions_of(distributions, counts),
    )


def bins_of(sample: pl.DataFrame) -> dict[str, Distribution]:
    """The bins of each column, from a sample in random order; nothing is counted yet.

    Numbers and times that take at most ten values have a bin for each. Others have deciles, and a value so frequent
    that it fills a decile alone is separated from those below it. Everything else has a bin for each value, or with
    more than a hundred values, for the hundred most frequent in half of the sample.
    """
    return {series.name: _bins(series) for series in sample.iter_columns()}


def _bins(series: pl.Series) -> Distribution:
    if not (series.dtype.is_numeric() or series.dtype.is_temporal()):
        return _categories(as_text(series))
    of_times = isinstance(series.dtype, pl.Date | pl.Datetime)
    numbers = as_numbers(series)
    values, times = np.unique(numbers[np.isfinite(numbers)], return_counts=True)
    if len(values) <= BINS:
        return Distribution(kind="discrete", edges=values.tolist(), of_times=of_times, shares=[])
    quantiles = np.quantile(np.repeat(values, times), np.linspace(0, 1, BINS + 1)[1:-1])
    frequent = values[times >= times.sum() / BINS]
    below = np.where(
        frequent == values[0],
        np.nextafter(frequent, -np.inf),
        values[np.maximum(np.searchsorted(values, frequent) - 1, 0)],
    )
    edges = np.unique(np.concatenate([quantiles, frequent, below])).tolist()
    return Distribution(kind="numeric", edges=edges, of_times=of_times, shares=[])


def _categories(texts: pl.Series) -> Distribution:
    """All values, or else those that are most frequent in the first half of a sample in random order."""
    frequent = most_frequent(texts)
    if len(frequent) <= MOST_CATEGORIES:
        return Distribution(kind="categorical", values=frequent["value"].to_list(), shares=[])
    half = texts.head(len(texts) // 2)
    frequent = most_frequent(half).head(MOST_CATEGORIES)
    sizes = frequent["rows"].to_list()
    chosen_by = [*sizes, half.count() - sum(sizes), half.null_count()]
    return Distribution(kind="categorical", values=frequent["value"].to_list(), shares=[], chosen_by=chosen_by)


def most_frequent(texts: pl.Series) -> pl.DataFrame:
    """How many ``rows`` each ``value`` has, the most frequent first."""
    counts = texts.alias("value").drop_nulls().value_counts(name="rows")
    return counts.sort(["rows", "value"], descending=[True, False])


def tally_of(distributions: Mapping[str, Distribution], schema: pl.Schema) -> Tally:
    """The tally that fills the bins.

    Args:
        distributions: The bins of each column, all of which the table has.
        schema: The table's columns as they are stored.
    """
    numbers: dict[str, pl.Expr] = {}
    values: dict[str, tuple[pl.Expr, Sequence[str]]] = {}
    for name, distribution in distributions.items():
        dtype = schema[name]
        if distribution.kind == "categorical":
            numbers[f"{name}/known"] = pl.col(name).is_not_null()
            if dtype == pl.Boolean:
                numbers |= {f"{name}/{flag}": pl.col(name) == flag for flag in (True, False)}
            else:
                values[name] = (text_of(name, dtype), distribution.values)
        elif dtype.is_numeric() or dtype.is_temporal() or dtype == pl.Boolean:
            value = _number(name, dtype)
            numbers[f"{name}/known"] = value.is_finite() if _is_float(dtype) else value.is_not_null()
            if _is_float(dtype):
                numbers[f"{name}/least"] = value == -np.inf
            for place, edge in enumerate(distribution.edges):
                within = _within(value, edge, cumulative=distribution.kind == "numeric", dtype=dtype)
                numbers[f"{name}/{place}"] = within
    return Tally(numbers, values)


def distributions_of(distributions: Mapping[str, Distribution], counts: Counts) -> dict[str, Distribution]:
    """The distributions that were counted by `tally_of`."""
    return {
        name: distribution.model_copy(update={"shares": _shares(name, distribution, counts=counts)})
        for name, distribution in distributions.items()
    }


def _shares(name: str, distribution: Distribution, *, counts: Counts) -> list[float]:
    """The share of rows in each bin; a column of another type than the bins' counts as missing throughout."""
    numbers = counts.numbers
    present = numbers.get(f"{name}/known", 0)
    if distribution.kind == "categorical":
        flags = {"true": numbers.get(f"{name}/True", 0), "false": numbers.get(f"{name}/False", 0)}
        value_counts = counts.values.get(name, flags)
        bin_rows = [value_counts.get(value, 0) for value in distribution.values]
    else:
        bin_rows = [numbers.get(f"{name}/{place}", 0) for place in range(len(distribution.edges))]
        if distribution.kind == "numeric":
            bin_rows = np.diff(bin_rows, prepend=numbers.get(f"{name}/least", 0)).tolist()
    bins = [*bin_rows, present - sum(bin_rows), counts.rows - present]
    return [number / max(counts.rows, 1) for number in bins]


def _number(name: str, dtype: pl.DataType) -> pl.Expr:
    """Each value as `as_numbers` converts it, as a whole number where it is one."""
    value = pl.col(name)
    if isinstance(dtype, pl.Date | pl.Datetime):
        return value.cast(pl.Datetime("us")).to_physical()
    if dtype.is_temporal():
        return value.to_physical()
    if dtype == pl.Boolean:
        return value.cast(pl.Int8)
    return value if dtype in _SMALL_INTEGERS or dtype.is_float() else value.cast(pl.Float64)


def _is_float(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() and dtype not in _SMALL_INTEGERS


def _within(value: pl.Expr, edge: float, *, cumulative: bool, dtype: pl.DataType) -> pl.Expr:
    """Whether a value is at most the edge, or equal to it; whole numbers are compared as such, which is faster."""
    if _is_float(dtype) or abs(edge) >= _GREATEST or not (cumulative or edge.is_integer()):
        bound = pl.lit(edge, pl.Float64)
    else:
        bound = pl.lit(int(np.floor(edge)), pl.Int64)
    return value <= bound if cumulative else value == bound
