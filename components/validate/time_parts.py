"""What is compared of dates and times: their parts, since that time goes on is no drift."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

PARTS = ("weekday", "hour")
# A part is compared where rows of enough days hold it evenly: whole weeks, or so many that a day more does not matter.
_WEEK, _MANY_DAYS, _FULL_DAYS = 7, 14, 2


def time_parts(schema: pl.Schema, columns: Sequence[str]) -> dict[str, pl.Expr]:
    """Weekday and hour of each column of dates or times, which models get too, by ``column.part``.

    Month and year go on as time does, and are not compared. Of dates there is no hour.
    """
    parts = {}
    for column in columns:
        dtype = schema.get(column)
        if isinstance(dtype, pl.Date | pl.Datetime):
            parts[f"{column}.weekday"] = pl.col(column).dt.weekday()
        if isinstance(dtype, pl.Datetime):
            parts[f"{column}.hour"] = pl.col(column).dt.hour()
    return {name: part for name, part in parts.items() if name not in schema}


def days_of(table: pl.LazyFrame, columns: Sequence[str]) -> dict[str, int]:
    """How many days lie between the first and the last time of each column of dates or times, both counted."""
    schema = table.collect_schema()
    dates = [pl.col(name).cast(pl.Date) for name in columns if isinstance(schema.get(name), pl.Date | pl.Datetime)]
    if not dates:
        return {}
    spans = table.select((date.max() - date.min()).dt.total_days() for date in dates).collect(engine="streaming")
    return {name: days + 1 if days is not None else 0 for name, days in spans.row(0, named=True).items()}


def is_comparable(part: str, days: int) -> bool:
    """Whether rows of so many days show how a part is distributed: in fewer the dates decide its values."""
    return days >= _FULL_DAYS if part == "hour" else days >= _MANY_DAYS or (days > 0 and days % _WEEK == 0)
