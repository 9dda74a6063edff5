"""A column of the contract widened to hold a batch, with the evidence that its lines have then."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from modelway.components.core.config.contract import Column, Line
from modelway.components.core.config.seen import Seen
from modelway.pipelines.project.batch_counts import BatchCounts
from modelway.pipelines.project.bounds import round_bounds

DIGITS = 6  # of a share of missing values


def widened_column(column: Column, counts: BatchCounts, *, lines: Collection[Line], alone: bool) -> Column:
    """The column as it would be proposed from the rows that were seen and the batch, where it is widened.

    Args:
        column: The column; it has `seen`.
        counts: What the batch has of it.
        lines: The lines to widen, each judged by what was seen.
        alone: Whether the batch alone is the evidence from now on. Bounds and categories are never narrowed for that.
    """
    seen = column.seen
    if seen is None:
        return column
    rows = counts.rows if alone else seen.rows + counts.rows
    nulls = counts.nulls if alone else seen.nulls + counts.nulls
    evidence: dict[str, Any] = {
        "rows": rows,
        "nulls": nulls,
        "unparsed": counts.unparsed if alone else seen.unparsed + counts.unparsed,
    }
    changes: dict[str, Any] = {}
    if column.seen_for("nulls") is not None:
        changes["max_nulls"] = round(nulls / rows, DIGITS)
    bounds: tuple[Line, ...] = ("minimum", "maximum")
    for line in bounds:
        if line in lines:
            changes[line] = evidence[line] = _widened_bound(column, counts, line)
    if column.seen_for("categories") is not None:
        before = {category: 0 if alone else rows for category, rows in (seen.categories or {}).items()}
        evidence["categories"] = before
        for category, number in (counts.categories or {}).items():
            if category in (column.categories or ()) or "categories" in lines:
                before[str(category)] = before.get(str(category), 0) + number
    if "categories" in lines:
        changes["categories"] = (*(column.categories or ()), *sorted(counts.new_categories(column), key=str))
    return column.model_copy(update={**changes, "seen": Seen.model_copy(seen, update=evidence)})


def _widened_bound(column: Column, counts: BatchCounts, line: Line) -> Any:
    """The new bound; of a date or time the value itself."""
    value = getattr(counts, line)
    if not isinstance(value, int | float):
        return value
    lows, highs = (counts.minimum, column.minimum), (counts.maximum, column.maximum)
    low = min(bound for bound in lows if isinstance(bound, int | float) and math.isfinite(bound))
    high = max(bound for bound in highs if isinstance(bound, int | float) and math.isfinite(bound))
    bounds = round_bounds(low, high, is_whole=column.type == "integer")
    return bounds[0] if line == "minimum" else bounds[1]
