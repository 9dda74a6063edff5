"""Proposes the columns of a contract from data, for people to review."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import polars as pl

MOST_CATEGORIES = 30


def proposed_columns(
    table: pl.DataFrame, *, label: str, task: str, unused: Collection[str] = (), group: str | None = None
) -> dict[str, dict[str, Any]]:
    """The `columns` of a contract that these rows keep.

    Args:
        table: The rows, as they were read without a contract.
        label: The column to predict.
        task: What kind of prediction it is.
        unused: The columns that nothing uses, which get a type and a share of missing values alone.
        group: The column whose equal values mark rows that are alike: they count as one.
    """
    return {name: _column(table[name]) for name in table.columns}


def _column(series: pl.Series) -> dict[str, Any]:
    """A column's part of the contract: its present values, with a little room."""
    column: dict[str, Any] = {"type": _type(series)}
    nulls = series.null_count() / len(series)
    if nulls:
        column["max_nulls"] = min(1.0, math.ceil(nulls * 110) / 100)
    values = series.drop_nulls()
    if column["type"] in {"integer", "number"} and len(values):
        low, high = float(values.min()), float(values.max())  # type: ignore[arg-type]
        room = 0.1 * (high - low)
        column["minimum"] = 0 if 0 <= low <= room else _round(low - room, math.floor)
        column["maximum"] = 0 if -room <= high <= 0 else _round(high + room, math.ceil)
    if column["type"] == "string" and 0 < values.n_unique() <= MOST_CATEGORIES and values.n_unique() < len(values):
        column["categories"] = sorted(values.unique().to_list())
    if _is_identifier(series):
        column["unique"] = True
    return column


def _type(series: pl.Series) -> str:
    dtype = series.dtype
    if dtype == pl.Boolean:
        return "boolean"
    if dtype.is_integer():
        return "integer"
    if dtype.is_numeric() or dtype == pl.Null:
        return "number"
    if dtype == pl.Date:
        return "date"
    return "datetime" if dtype.is_temporal() else "string"


def _round(value: float, towards: Any) -> float | int:
    """To two significant digits, away from the data."""
    if value == 0:
        return 0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    result = round(towards(value / unit) * unit, 12)
    return int(result) if result == int(result) else result


def _is_identifier(series: pl.Series) -> bool:
    """Whether every row has its own value, in a type that identifies."""
    distinct = series.n_unique() == len(series) and not series.null_count() and len(series) > MOST_CATEGORIES
    return distinct and (series.dtype.is_integer() or series.dtype == pl.String)
