"""Parts of dates and times as columns, and the days that they are of."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from modelway.components.core.measures.time_parts import Days


def time_parts(schema: pl.Schema, columns: Sequence[str]) -> dict[str, pl.Expr]:
    """Weekday and hour of each column of dates or times, which models get too, by ``column.part``.

    Month and year go on as time does, and are not compared. Of dates there is no hour. Times of a zone are in UTC, as
    models get them.
    """
    parts = {}
    for column in columns:
        dtype = schema.get(column)
        if isinstance(dtype, pl.Date | pl.Datetime):
            parts[f"{column}.weekday"] = _in_utc(column).dt.weekday()
        if isinstance(dtype, pl.Datetime):
            parts[f"{column}.hour"] = _in_utc(column).dt.hour()
    return {name: part for name, part in parts.items() if name not in schema}


def days_of(table: pl.LazyFrame, columns: Sequence[str]) -> dict[str, Days]:
    """The days of each column of dates or times."""
    schema = table.collect_schema()
    names = [name for name in columns if isinstance(schema.get(name), pl.Date | pl.Datetime)]
    if not names:
        return {}
    dates = {name: _in_utc(name).dt.date() for name in names}
    spans = {f"{name}/span": (date.max() - date.min()).dt.total_days() + 1 for name, date in dates.items()}
    weeks = {
        f"{name}/weeks": ((date - date.min()).dt.total_days() // 7).drop_nulls().n_unique()
        for name, date in dates.items()
    }
    row = table.select(**spans, **weeks).collect(engine="streaming").row(0, named=True)
    return {name: Days(row[f"{name}/span"] or 0, row[f"{name}/weeks"]) for name in names}


def _in_utc(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.Datetime("us"))
