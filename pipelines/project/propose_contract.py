"""Proposes the columns of a contract from data, each line with its evidence, for people to review."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from modelway.components.core.config.contract import Contract
from modelway.components.core.config.project import Project
from modelway.pipelines.project.bounds import round_bounds
from modelway.pipelines.project.column_types import MOST_CATEGORIES, TypedTable, column_type, typed_table
from modelway.pipelines.project.keys import is_key
from modelway.pipelines.project.row_order import GROWTH, Mask, growth, rows_as_one

_CLOCK = re.compile(r"(^|[^a-z])(year|yr|timestamp|epoch)s?$", re.IGNORECASE)
_FIRST_YEAR = 1000  # numbers below it count the years of something
_EXTREMES = 0.01, 0.03, 0.1  # shares of rows
_CERTAIN_ROWS = 13  # that are enough to be certain of, where as many were seen and all weigh as one


def proposed_columns(
    table: pl.DataFrame, *, label: str, task: str, unused: Collection[str] = (), group: str | None = None
) -> dict[str, dict[str, Any]]:
    """The `columns` of a contract that these rows keep, and their evidence.

    Args:
        table: The rows, as they were read without a contract.
        label: The column to predict, which gets its classes and nothing else, and no evidence: it is judged strictly.
        task: What kind of prediction it is.
        unused: The columns that nothing uses, which get a type and a share of missing values alone.
        group: The column whose equal values mark rows that are alike: they count as one.
    """
    typed = typed_table(table, strict=(label, group or ""))
    return typed_columns(typed, label=label, task=task, unused=unused, group=group)


def proposed_contract(table: pl.DataFrame, project: Project) -> Contract:
    """A contract that these rows keep, for a project: by its label, task, group and the columns that it uses."""
    used = {*project.features.columns, *project.sensitive, project.data.label_time, project.data.split.column}
    columns = proposed_columns(
        table,
        label=project.label,
        task=project.task,
        unused=[name for name in table.columns if name not in used],
        group=project.data.split.group,
    )
    return Contract.model_validate({"columns": columns})


def typed_columns(
    typed: TypedTable, *, label: str, task: str, unused: Collection[str] = (), group: str | None = None
) -> dict[str, dict[str, Any]]:
    """`proposed_columns` of a table whose types are known.

    Args:
        typed: The rows.
        label: The column to predict.
        task: What kind of prediction it is.
        unused: The columns that nothing uses.
        group: The column whose equal values mark rows that are alike.
    """
    table = typed.rows
    groups = table[group] if group in table.columns else None
    clocks = [series for series in table.iter_columns() if isinstance(series.dtype, pl.Date | pl.Datetime)]
    return {
        series.name: _label(series, task=task)
        if series.name == label
        else _column(
            _Rows(series, typed.unparsed.get(series.name), groups),
            is_used=series.name not in unused and series.name != group,
            clocks=clocks,
        )
        for series in table.iter_columns()
    }


def is_category(series: pl.Series) -> bool:
    """Whether a column is text of a few values that are seen more than once."""
    if series.dtype != pl.String:
        return False
    counts = series.drop_nulls().value_counts()["count"]
    return 0 < len(counts) <= MOST_CATEGORIES and 2 * int((counts == 1).sum()) <= counts.sum()


@dataclass(frozen=True)
class _Rows:
    """A column's rows, or its groups of rows where those of a group are alike."""

    values: pl.Series
    unparsed: pl.Series | None
    groups: pl.Series | None

    def mask(self, marked: Mask) -> Mask:
        """Which rows are marked, in their order; of groups those with a marked row, in the order of their first."""
        if self.groups is None:
            return marked
        frame = pl.DataFrame({"group": self.groups, "marked": marked})
        return frame.group_by("group", maintain_order=True).agg(pl.col("marked").any())["marked"].to_numpy()

    def category_counts(self) -> dict[str, int]:
        """How many rows, or groups, hold each value."""
        frame = pl.DataFrame({"value": self.values})
        if self.groups is not None:
            frame = frame.with_columns(group=self.groups).unique()
        return dict(frame.drop_nulls("value").group_by("value").len().sort("value").iter_rows())


def _label(series: pl.Series, *, task: str) -> dict[str, Any]:
    """The label's classes, in classification; numbers of regression have no bounds that are certain."""
    column: dict[str, Any] = {"type": column_type(series.dtype)}
    if task == "regression":
        return column
    classes = series.drop_nulls().unique().sort()
    if classes.dtype.is_numeric() and bool((classes == classes.round()).all()) and bool((classes.abs() < 1e15).all()):
        return {"type": "integer", "categories": [int(value) for value in classes]}
    return column | ({"categories": classes.to_list()} if column["type"] in {"string", "boolean"} else {})


def _column(rows: _Rows, *, is_used: bool, clocks: list[pl.Series]) -> dict[str, Any]:
    """The lines of a column that is not the label, with what was seen."""
    values = rows.values
    column: dict[str, Any] = {"type": column_type(values.dtype)}
    is_unparsed = rows.unparsed.to_numpy() if rows.unparsed is not None else np.zeros(len(values), np.bool_)
    unparsed, missing = rows.mask(is_unparsed), rows.mask(values.is_null().to_numpy() & ~is_unparsed)
    seen: dict[str, Any] = {"rows": len(missing)}
    masks, alike = [mask for mask in (unparsed, missing) if mask.any()], 1.0
    if is_key(values):
        column["unique"] = True
    elif is_used and column["type"] in {"integer", "number"}:
        bounds = _range(values, clocks)
        column |= bounds
        seen |= bounds
        alike = _extremes_as_one(rows) if bounds else 1.0
    elif is_used and column["type"] in {"date", "datetime"}:
        planned = _planned(values)
        column |= planned
        seen |= planned
    elif is_used and is_category(values):
        counts = rows.category_counts()
        column["categories"] = list(counts)
        seen["categories"] = counts
        masks += [rows.mask((values == value).fill_null(value=False).to_numpy()) for value in counts]
    alike = max(alike, rows_as_one(masks))
    seen |= {"rows_as_one": alike} if alike > 1 else {}
    seen |= {"unparsed": int(unparsed.sum())} if unparsed.any() else {}
    if missing.any():
        seen["nulls"] = int(missing.sum())
        column["max_nulls"] = round(seen["nulls"] / seen["rows"], 6)
    return column | {"seen": seen}


def _range(values: pl.Series, clocks: list[pl.Series]) -> dict[str, int | float]:
    """The bounds of a column of numbers, without those that it will outgrow."""
    is_whole = values.dtype.is_integer()
    present = values.drop_nulls().to_numpy() if is_whole else _numbers(values)
    present = present[np.isfinite(present)]
    if not len(present):
        return {}
    low, high = ((int if is_whole else float)(bound) for bound in (present.min(), present.max()))
    minimum, maximum = round_bounds(low, high, is_whole=is_whole)
    bounds: dict[str, int | float] = {"minimum": minimum, "maximum": maximum}
    by_row, by_time = growth(values), [growth(values, clock) for clock in clocks]
    rises = (
        abs(by_row) >= GROWTH
        or max(by_time, default=0.0) >= GROWTH
        or (_CLOCK.search(values.name) is not None and low >= _FIRST_YEAR)
    )
    falls = (
        by_row <= -GROWTH or min(by_time, default=0.0) <= -GROWTH
    )  # rows may be in order of time, or the latest first
    if rises:
        del bounds["maximum"]
    if falls and minimum != 0:
        del bounds["minimum"]
    return bounds


def _extremes_as_one(rows: _Rows) -> float:
    """How many rows weigh as one among the lowest and the highest, which are those that bounds are about.

    Of as few of them as a batch that fails would have beyond its bounds; that is more where more rows weigh as one.
    """
    values, alike = _numbers(rows.values), 1.0
    order = np.sort(values[~np.isnan(values)])
    for share in _EXTREMES:
        low, high = (order[round(place * (len(order) - 1))] for place in (share, 1 - share))
        alike = rows_as_one([rows.mask(values <= low), rows.mask(values >= high)])
        if _CERTAIN_ROWS * alike <= share * len(values):
            break
    return alike


def _numbers(values: pl.Series) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A column of numbers as floats, with NaN for missing ones."""
    return values.cast(pl.Float64).to_numpy()


def _planned(times: pl.Series) -> dict[str, dt.date]:
    """The maximum of times of which some are in the future: they are planned, and may lie twice as far from today.

    Without a maximum the gate lets none be later than now, which is right of all other times.
    """
    today = dt.datetime.now(dt.UTC).date()
    later = times.cast(pl.Date).clip(upper_bound=dt.date.max).max()
    if not isinstance(later, dt.date) or later <= today:
        return {}
    year = (today + min(2 * (later - today), dt.date.max - today)).year
    is_day = times.dtype == pl.Date
    return {"maximum": dt.date(year, 12, 31) if is_day else dt.datetime(year, 12, 31, 23, 59, 59, 999_999)}
