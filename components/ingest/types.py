"""Conversion of columns to their contract's types, where no value is lost uncounted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import polars as pl
import polars.exceptions

from modelway.components.core.config.contract import Column, ColumnType, Contract
from modelway.components.core.tables.parquet import as_text

POSITION, VALUE = "position", "value"
MOST_UNPARSED = 0.5  # of the present values; with more it is another column

_MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]
_FLAGS = {"true": True, "t": True, "yes": True, "y": True, "1": True, "1.0": True}
_FLAGS |= {"false": False, "f": False, "no": False, "n": False, "0": False, "0.0": False}


@dataclass(frozen=True)
class TypedTable:
    """A table with its contract's types.

    Attributes:
        rows: The table.
        unparsed: By column the values that are not of its type and are missing in the table: frames of their row's
            number, ``position``, and of the value as text, ``value``.
    """

    rows: pl.DataFrame
    unparsed: dict[str, pl.DataFrame] = field(default_factory=dict)


def with_contract_types(table: pl.DataFrame, contract: Contract, *, strict: Collection[str] = ()) -> TypedTable:
    """Converts each column to its contract's type if no value is lost by it.

    In a column whose type the contract judges by what was seen, or of which it allows a share of bad rows, values that
    do not parse become missing, unless more than half of those present are such.

    Args:
        table: The table.
        contract: The types.
        strict: Columns where every value must parse, whatever the contract says.
    """
    columns, unparsed = [], {}
    for name in table.columns:
        if name in contract.columns:
            column = contract.columns[name]
            most = MOST_UNPARSED if name not in strict and _lets_pass(column) else 0.0
            converted, values = _convert(table[name], column.type, most=most)
            columns.append(converted)
            if values is not None:
                unparsed[name] = values
    return TypedTable(table.with_columns(columns), unparsed)


def _lets_pass(column: Column) -> bool:
    return column.allowed is not None or column.seen_for("type") is not None


def _convert(series: pl.Series, column_type: ColumnType, *, most: float) -> tuple[pl.Series, pl.DataFrame | None]:
    """A column with its type, and the values that are missing for that; the column as it is if they are too many."""
    candidate = parse_series(series, column_type)
    if candidate is None:
        return series, None
    present = _without_markers(series, column_type).is_not_null()
    is_bad = present & candidate.is_null()
    if column_type == "date" and (moments := parse_series(series, "datetime")) is not None:
        is_bad |= (moments != candidate.cast(pl.Datetime("us"))).fill_null(value=False)
    bad = int(is_bad.sum())
    if not bad:
        return candidate, None
    if bad > most * int(present.sum()):
        return series, None
    rows = pl.DataFrame({POSITION: is_bad.arg_true(), VALUE: as_text(series.filter(is_bad))})
    return candidate.set(is_bad, None), rows


def parse_series(series: pl.Series, column_type: ColumnType) -> pl.Series | None:
    """Converts a series, with null for what does not parse; returns None if its type cannot be converted."""
    series = _without_markers(series, column_type)
    if series.dtype == pl.Null:
        return series.cast(_STORED[column_type])
    if column_type == "boolean":
        return _as_boolean(series)
    if column_type in {"integer", "number"}:
        return _as_number(series, column_type)
    if column_type in {"date", "datetime"}:
        return _as_time(series, column_type)
    return series if series.dtype == pl.String else None


def _without_markers(series: pl.Series, column_type: ColumnType) -> pl.Series:
    """Replaces text that stands for a missing value by null, unless the column is text."""
    if series.dtype != pl.String or column_type == "string":
        return series
    series = series.str.strip_chars()
    return series.set(series.is_in(_MISSING), None)


def is_present(series: pl.Series, column_type: ColumnType) -> pl.Series:
    """Which rows hold a value, rather than none or a text that stands for none."""
    return _without_markers(series, column_type).is_not_null()


_STORED: dict[ColumnType, pl.DataType] = {
    "boolean": pl.Boolean(),
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "string": pl.String(),
    "date": pl.Date(),
    "datetime": pl.Datetime("us"),
}


def _as_boolean(series: pl.Series) -> pl.Series | None:
    if series.dtype == pl.Boolean:
        return series
    if not (series.dtype == pl.String or series.dtype.is_numeric()):
        return None
    text = series.cast(pl.Float64) if series.dtype.is_float() or series.dtype.is_decimal() else series
    return text.cast(pl.String).str.to_lowercase().replace_strict(_FLAGS, default=None, return_dtype=pl.Boolean)


def _as_number(series: pl.Series, column_type: ColumnType) -> pl.Series | None:
    if not (series.dtype == pl.String or series.dtype.is_numeric()):
        return None
    numbers = series.cast(pl.Float64, strict=False)
    if column_type == "number":
        return numbers
    if series.dtype.is_integer():
        return series.cast(pl.Int64, strict=False)
    whole = numbers.set(numbers != numbers.round(), None).cast(pl.Int64, strict=False)
    exact = series.cast(pl.Int64, strict=False) if series.dtype == pl.String else whole
    return exact.fill_null(whole)


def _as_time(series: pl.Series, column_type: ColumnType) -> pl.Series | None:
    if series.dtype == pl.String:
        try:
            times = series.str.to_datetime(strict=False, time_unit="us")
        except polars.exceptions.ComputeError:  # no format matches the first value
            times = pl.Series(series.name, [None] * len(series), dtype=pl.Datetime("us"))
        if times.null_count() > series.null_count():
            days = series.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
            times = days if days.null_count() < times.null_count() else times
    elif isinstance(series.dtype, pl.Date | pl.Datetime):
        times = series.cast(pl.Datetime("us"))
    else:
        return None
    times = times.cast(pl.Datetime("us"))  # of another time zone: in UTC
    return times.cast(pl.Date) if column_type == "date" else times
