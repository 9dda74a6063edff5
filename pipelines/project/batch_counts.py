"""What a batch has of a column, in the numbers that the contract's lines are judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from modelway.components.core.config.contract import Column
from modelway.components.ingest.types import is_present, parse_series

MOST_EXAMPLES = 3


@dataclass(frozen=True)
class BatchCounts:
    """How many rows of a batch are what, by one column; rows of one group count as one.

    Attributes:
        rows: How many rows there are.
        unparsed: How many have a value that is not of the column's type.
        nulls: How many have no value.
        is_another: Whether more than half of the values are not of the type, so that it is another column.
        below: How many are below the contract's minimum.
        above: How many are above its maximum.
        minimum: The least value; None: there is none, or it is no number or time.
        maximum: The greatest value.
        categories: How many rows each value has; None: the contract names no categories.
        unseen: How many rows have a value that is not among these.
        examples: Some values that are not of the type.
    """

    rows: int
    unparsed: int
    nulls: int
    is_another: bool = False
    below: int = 0
    above: int = 0
    minimum: Any = None
    maximum: Any = None
    categories: Mapping[Any, int] | None = None
    unseen: int = 0
    examples: tuple[str, ...] = ()

    def new_categories(self, column: Column) -> dict[Any, int]:
        """The rows of each value that the contract does not name, the commonest first."""
        values = (self.categories or {}).items()
        new = {value: rows for value, rows in values if value not in (column.categories or ())}
        return dict(sorted(new.items(), key=lambda item: (-item[1], str(item[0]))))


def count_rows(table: pl.DataFrame, group: str | None) -> int:
    """How many rows a table has, or groups."""
    return len(table) if group is None else table[group].n_unique()


def batch_counts(table: pl.DataFrame, name: str, column: Column, *, group: str | None = None) -> BatchCounts | None:
    """Counts by a column whose values were not converted to the contract's type if one does not parse.

    Args:
        table: The batch.
        name: The column's name.
        column: What the contract says of it.
        group: The column whose equal values mark rows that count as one.

    Returns:
        The counts; None if the column cannot be converted to the type at all, as text cannot come from numbers.
    """
    values = parse_series(table[name], column.type)
    if values is None:
        return None
    is_unparsed = is_present(table[name], column.type) & values.is_null()
    if column.type == "date" and (moments := parse_series(table[name], "datetime")) is not None:
        is_unparsed |= (moments != values.cast(pl.Datetime("us"))).fill_null(value=False)  # a day with a time

    def count(rows: pl.Series) -> int:
        rows = rows.fill_null(value=False)
        return int(rows.sum()) if group is None else table[group].filter(rows).n_unique()

    values = values.set(is_unparsed, None)
    values = values.fill_nan(None) if values.dtype.is_float() else values
    is_null = values.is_null() & ~is_unparsed
    below = count(values < column.minimum) if column.minimum is not None else 0
    above = count(values > column.maximum) if column.maximum is not None else 0
    has_order = values.dtype.is_numeric() or values.dtype.is_temporal()
    examples = table[name].filter(is_unparsed).head(1000).unique(maintain_order=True).head(MOST_EXAMPLES)
    counts = BatchCounts(
        rows=count_rows(table, group),
        unparsed=count(is_unparsed),
        nulls=count(is_null),
        is_another=2 * int(is_unparsed.sum()) > int((~is_null).sum()),
        below=below,
        above=above,
        minimum=values.min() if has_order else None,
        maximum=values.max() if has_order else None,
        examples=tuple(map(str, examples.to_list())),
    )
    if column.categories is None:
        return counts
    is_unseen = values.is_not_null() & ~values.is_in(list(column.categories))
    rows = pl.len() if group is None else pl.col("group").n_unique()
    frame = pl.DataFrame({"value": values, "group": values if group is None else table[group]}).drop_nulls("value")
    by_value = frame.group_by("value", maintain_order=True).agg(rows.alias("rows"))
    categories = dict(zip(by_value["value"].to_list(), by_value["rows"].to_list(), strict=True))
    return replace(counts, categories=categories, unseen=count(is_unseen))
