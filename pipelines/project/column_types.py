"""The types that columns of text are taken for, by the values that parse."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

from modelway.components.core.config.contract import ColumnType
from modelway.components.ingest.types import is_present, parse_series

LEAST_PARSED = 0.95  # of the present values: with fewer, text that is no number is no mistake but a code
LEAST_PARSED_OF_FEW = 0.99  # where so few values differ that each, such as `3+`, may be a category
MOST_CATEGORIES = 30
_PROBED_VALUES = 1_000


@dataclass(frozen=True)
class TypedTable:
    """A table whose columns of text have the types that they are taken for.

    Attributes:
        rows: The table.
        unparsed: By column, which rows hold a value that is not of its type, and is missing in the table.
        examples: Up to three such values, by column.
    """

    rows: pl.DataFrame
    unparsed: dict[str, pl.Series]
    examples: dict[str, tuple[str, ...]]

    def filter(self, numbers: pl.Series) -> TypedTable:
        """Some of the rows, by their numbers."""
        unparsed = {name: mask.gather(numbers) for name, mask in self.unparsed.items()}
        return TypedTable(self.rows[numbers], unparsed, self.examples)


def typed_table(table: pl.DataFrame, *, strict: Collection[str] = ()) -> TypedTable:
    """Takes columns of text for numbers, dates or booleans where nearly all of their values are.

    Args:
        table: The rows, as they were read without a contract.
        strict: Columns of which every value must be.
    """
    columns, unparsed, examples = [], {}, {}
    for series in table.iter_columns():
        typed = _typed(series, is_strict=series.name in strict) if series.dtype == pl.String else None
        if typed is None:
            continue
        columns.append(typed)
        is_bad = typed.is_null() & is_present(series, "number")
        if is_bad.any():
            unparsed[series.name] = is_bad
            values = series.filter(is_bad).unique(maintain_order=True).head(3)
            examples[series.name] = tuple(values.to_list())
    return TypedTable(table.with_columns(columns), unparsed, examples)


def column_type(dtype: pl.DataType) -> ColumnType:
    """The contract's word for a type."""
    if dtype == pl.Boolean:
        return "boolean"
    if dtype.is_integer():
        return "integer"
    if dtype.is_numeric() or dtype == pl.Null:
        return "number"
    if dtype == pl.Date:
        return "date"
    return "datetime" if dtype.is_temporal() else "string"


def _typed(series: pl.Series, *, is_strict: bool) -> pl.Series | None:
    """A column of text as what it is taken for; None: as text."""
    present = series.filter(is_present(series, "number"))
    if present.is_empty():
        return None
    is_few = present.n_unique() <= MOST_CATEGORIES
    least = 1.0 if is_strict else LEAST_PARSED_OF_FEW if is_few else LEAST_PARSED
    probe = present.head(_PROBED_VALUES)
    for kind in _KINDS:
        if _parsed(probe, kind).count() < 0.5 * len(probe):  # whole columns are slow to parse
            continue
        typed = _parsed(series, kind)
        if typed.count() >= least * len(present):
            return typed
    return None


_KINDS: tuple[ColumnType, ...] = ("number", "datetime", "boolean")


def _parsed(series: pl.Series, kind: ColumnType) -> pl.Series:
    """A column of text as numbers, times or booleans, with null for what is none."""
    if kind == "boolean":
        text = series.str.strip_chars().str.to_lowercase()
        return text.replace_strict({"true": True, "false": False}, default=None, return_dtype=pl.Boolean)
    typed = parse_series(series, kind)
    if typed is None:
        return series.clear(len(series))
    if kind == "number":
        is_code = series.str.contains(r"^\s*[-+]?0\d+\s*$").fill_null(value=False)  # no number begins so
        if int(is_code.sum()) > (1 - LEAST_PARSED_OF_FEW) * typed.count():
            return series.clear(len(series))
        whole = parse_series(series, "integer")
        return whole if whole is not None and whole.count() == typed.count() else typed
    days = typed.cast(pl.Date)
    return days if bool((days.cast(pl.Datetime("us")) == typed).all()) else typed
