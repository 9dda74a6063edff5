"""Slices: the parts of the test split that are judged on their own, and whether a part can be measured."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from modelway.components.core.config.model_policy import Slices
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Array, Predictions
from modelway.components.core.report.html import format_number

MOST_VALUES = 50


@dataclass(frozen=True)
class Slice:
    """Some rows of the test split: those with one value, or a range, of one column."""

    name: str
    rows: np.ndarray[Any, np.dtype[np.int64]]

    def after(self, row: int) -> Slice:
        """The same of the rows from one on, which is then the first."""
        return Slice(self.name, self.rows[self.rows >= row] - row)


def find_slices(table: pl.DataFrame, policy: Slices) -> Iterator[Slice]:
    """The slices of each column: by value, or by ranges of equal size where a number has many values.

    Raises:
        ModelwayError: a column is not in the data, or has too many values to be sliced by.
    """
    for column in policy.columns:
        if column not in table.columns:
            raise ModelwayError(
                f"the policy slices by {column!r}, which is not in the data",
                key="model.slices.columns",
                column=column,
                remedy=f"choose among {', '.join(table.columns[:12])}",
            )
        series = table[column].cast(pl.Float64) if table[column].dtype.is_decimal() else table[column]
        series = series.fill_nan(None) if series.dtype.is_float() else series
        if (series.dtype.is_numeric() or series.dtype.is_temporal()) and series.n_unique() > policy.bins:
            yield from _ranges(series, policy.bins)
        elif series.n_unique() > MOST_VALUES:
            raise ModelwayError(
                f"{column!r} has {series.n_unique()} values, too many to slice by",
                key="model.slices.columns",
                column=column,
                remedy=f"slice by columns with at most {MOST_VALUES} values, or by numbers",
            )
        else:
            yield from _values(series)


def why_not_measurable(predictions: Predictions, rows: Array, *, minimum_rows: int) -> str:
    """Why no metric can be measured on some rows: too few, or of one class; empty if it can."""
    count = len(rows)
    if count < minimum_rows:
        return f"{count:,} rows; the policy requires {minimum_rows:,} to judge a part of the split; bring more rows"
    if predictions.classes and len(np.unique(predictions.truth[rows])) < 2:
        return f"these {count:,} rows have one class only, so no metric can be measured; bring rows of every class"
    return ""


def _values(series: pl.Series) -> Iterator[Slice]:
    for value in sorted(series.unique().to_list(), key=str):
        matches = series.is_null() if value is None else (series == value).fill_null(value=False)
        yield Slice(f"{series.name}={'missing' if value is None else value}", matches.arg_true().to_numpy())


def _ranges(series: pl.Series, bins: int) -> Iterator[Slice]:
    order = series.to_physical() if series.dtype.is_temporal() else series
    cuts = [order.quantile(number / bins, "nearest") for number in range(1, bins)]
    below = order.filter(order < order.max())  # nothing is above the greatest value
    edges = sorted({cut for cut in cuts if cut is not None and cut != order.max()}) or [float(below.to_numpy().max())]
    text = partial(_edge_text, dtype=series.dtype)
    for low, high in itertools.pairwise((None, *edges, None)):
        if low is None:
            name, matches = f"{series.name}<={text(high)}", order <= high
        elif high is None:
            name, matches = f"{series.name}>{text(low)}", order > low
        else:
            name, matches = f"{text(low)}<{series.name}<={text(high)}", (order > low) & (order <= high)
        yield Slice(name, matches.fill_null(value=False).arg_true().to_numpy())
    if series.null_count():
        yield Slice(f"{series.name}=missing", series.is_null().arg_true().to_numpy())


def _edge_text(edge: Any, dtype: pl.DataType) -> str:
    if dtype.is_temporal():
        return str(pl.Series([int(edge)]).cast(dtype)[0])
    return format_number(edge)
