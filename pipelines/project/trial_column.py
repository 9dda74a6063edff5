"""A column of a proposed contract, judged on one half of its rows by what was seen in the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from modelway.components.core.config.contract import Column, Line
from modelway.components.core.config.seen import Seen
from modelway.components.validate.checks.evidence import LineRule, least_failing
from modelway.pipelines.project.bounds import round_bounds
from modelway.pipelines.project.row_order import Mask

Numbers = np.ndarray[Any, np.dtype[np.int64]]


class TrialColumn:
    """The values of a column and its lines, to propose again from a half of the rows."""

    def __init__(
        self, values: pl.Series, column: Column, *, unparsed: pl.Series | None, groups: Numbers | None
    ) -> None:
        """Prepares the column.

        Args:
            values: The column's values.
            column: Its lines as they were proposed from all rows.
            unparsed: Which rows hold a value that is not of its type; None: no row does.
            groups: The number of each row's group, where rows of one group count as one; None: each is its own.
        """
        self._values, self._column, self._groups = values, column, groups
        self._unparsed = np.zeros(len(values), np.bool_) if unparsed is None else unparsed.to_numpy()
        self._missing = values.is_null().to_numpy() & ~self._unparsed
        self._numbers = values.cast(pl.Float64).fill_null(np.nan).to_numpy() if values.dtype.is_numeric() else None

    def failing_lines(self, is_seen: Mask, *, level: float) -> Iterator[str]:
        """The checks of types, missing values and bounds that fail the rows that were not seen.

        Args:
            is_seen: Which rows were seen.
            level: The chance that each line may have of failing.
        """
        marks: dict[Line, Mask] = {"type": self._unparsed, "nulls": self._missing, **self._beyond(is_seen)}
        rows = self._count(~is_seen)
        for line, mark in marks.items():
            seen = self._column.seen_for(line)
            bad = self._count(mark & ~is_seen)
            if seen is None or not bad:
                continue
            seen = replace(seen, rows=self._count(is_seen), bad=self._count(mark & is_seen))
            least = least_failing(LineRule(seen, self._column.most), rows=rows, level=level)
            if least is not None and bad >= least:
                yield f"{line}[{self._values.name}]"

    def with_categories_of(self, is_seen: Mask) -> tuple[str, Column] | None:
        """The column's name and itself with the categories of the seen rows; None: the others have none that is new."""
        if self._column.categories is None or self._column.seen is None:
            return None
        frame = pl.DataFrame({"value": self._values, "is_seen": is_seen})
        if self._groups is not None:
            frame = frame.with_columns(group=pl.Series(self._groups)).unique()
        counts = frame.drop_nulls("value").group_by("value").agg(pl.col("is_seen").sum()).sort("value")
        categories = {str(value): int(rows) for value, rows in counts.iter_rows() if rows}
        if len(categories) == len(counts) or not categories:
            return None
        seen = Seen(rows=self._count(is_seen), rows_as_one=self._column.seen.rows_as_one, categories=categories)
        return self._values.name, self._column.model_copy(update={"categories": tuple(categories), "seen": seen})

    def _beyond(self, is_seen: Mask) -> dict[Line, Mask]:
        """Which rows are beyond the bounds that the seen rows would be given."""
        numbers, column = self._numbers, self._column
        if numbers is None or (column.minimum is None and column.maximum is None):
            return {}
        seen = numbers[is_seen & np.isfinite(numbers)]
        if not len(seen):
            return {}
        low, high = round_bounds(float(seen.min()), float(seen.max()), is_whole=column.type == "integer")
        bounds: dict[Line, Mask] = {}
        if column.minimum is not None:
            bounds["minimum"] = numbers < low
        if column.maximum is not None:
            bounds["maximum"] = numbers > high
        return bounds

    def _count(self, mark: Mask) -> int:
        """How many rows are marked, or groups of rows."""
        return int(mark.sum()) if self._groups is None else len(np.unique(self._groups[mark]))
