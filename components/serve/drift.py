"""Drift of the requests: each column's population stability index over a window of the latest rows.

The bins are those of the baseline, ``baseline.json``, which come from the training split. What chance alone adds to
the index is subtracted, as in the data gate, and a column is scored only once there are enough rows per bin. Of dates
and times the parts are scored, ``column.weekday`` and ``column.hour``, once the rows' days show them: that time goes on
is no drift.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modelway.components.core.errors import DamagedError
from modelway.components.core.measures.stability import excess_stability_index
from modelway.components.core.measures.time_parts import Days, part_names
from modelway.components.serve.signature import Signature
from modelway.components.serve.tensors import Array

WINDOW_ROWS = 10_000
_MINIMUM_ROWS, _MINIMUM_ROWS_PER_BIN = 100, 10
_HOUR = 3_600_000_000  # microseconds
_DAY = 24 * _HOUR
_NO_DAY = np.iinfo(np.int64).min // _DAY  # that of a missing time


@dataclass(frozen=True)
class Bins:
    """A column's bins, of which the last two hold all other values and missing ones.

    Attributes:
        kind: ``numeric`` for ranges, ``discrete`` for numbers, ``categorical`` for texts.
        edges: The ranges' upper edges, which belong to them, or the numbers; ascending.
        places: Each text's bin, and None's.
        shares: The baseline's share of rows in each bin, of shape (bins,).
    """

    kind: str
    edges: Array
    places: Mapping[Any, int]
    shares: Array

    def codes(self, values: Array) -> Array:
        """Returns each value's bin, of shape (rows,)."""
        missing = len(self.shares) - 1
        if self.kind == "categorical":
            place_of = self.places.get
            bins = np.array([place_of(value, missing - 1) for value in values.tolist()])
            return bins if values.dtype == object else np.where(np.isnan(values), missing, bins)
        positions: Array = np.searchsorted(self.edges, values)
        if self.kind == "discrete":
            nearest = np.minimum(positions, len(self.edges) - 1)
            positions = np.where(self.edges[nearest] == values, nearest, missing - 1)
        return np.where(np.isnan(values), missing, positions)


class DriftWindow:
    """The bins of the latest rows.

    Args:
        bins: The bins of each column, and of each part of a column of times.
        rows: How many rows the window holds.
        baseline_rows: How many independent rows the baseline's shares come from.
        parts: The column and the part that the name of a part's bins stands for.
    """

    def __init__(
        self,
        bins: Mapping[str, Bins],
        rows: int = WINDOW_ROWS,
        *,
        baseline_rows: float,
        parts: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        self._bins = dict(bins)
        self._parts = dict(parts or {})
        self._baseline_rows = baseline_rows
        self._days = {column: np.full(rows, _NO_DAY, dtype=np.int64) for column, _ in self._parts.values()}
        self._ring = np.zeros((len(bins), rows), dtype=np.int16)
        self._next = 0
        self._rows = 0

    @classmethod
    def read(cls, path: Path, signature: Signature, *, rows: int = WINDOW_ROWS) -> DriftWindow:
        """Reads a baseline; the window has the columns that model and baseline have with the same type.

        Of times it has the parts that the baseline's days show.

        Raises:
            ModelwayError: the baseline cannot be read.
        """
        try:
            content = json.loads(path.read_bytes())
            baseline_columns: dict[str, dict[str, Any]] = content.get("columns", {})
            baseline_rows = content["rows"] / content.get("rows_per_group", 1.0)
            bins = {
                column.name: _bins(baseline_columns[column.name])
                for column in signature.columns
                if column.name in baseline_columns and _fits(column.kind, baseline_columns[column.name])
            }
            times = {column.name for column in signature.columns if column.kind == "time"}
            days = {column: Days(**counts) for column, counts in content.get("days", {}).items() if column in times}
            parts = {
                name: (column, part)
                for name, (column, part) in part_names(days).items()
                if name in baseline_columns and name not in bins and days[column].show(part)
            }
            bins |= {name: _bins(baseline_columns[name]) for name in parts if _fits("number", baseline_columns[name])}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DamagedError(
                "the baseline to measure drift against cannot be read",
                file=str(path),
                remedy="package the version again, with a baseline that `modelway run` made",
            ) from error
        parts = {name: part for name, part in parts.items() if name in bins}
        return cls(bins, rows, baseline_rows=baseline_rows, parts=parts)

    def add(self, columns: Mapping[str, Array]) -> None:
        """Adds rows in place of the oldest ones; columns are as `Signature.convert` returns them."""
        size = self._ring.shape[1]
        rows = min(len(next(iter(columns.values()))), size)
        places = (self._next + np.arange(rows)) % size
        for ring, (name, bins) in zip(self._ring, self._bins.items(), strict=True):
            column, part = self._parts.get(name, (name, ""))
            values = columns[column][-size:]
            ring[places] = bins.codes(_part(values, part) if part else values)
        for column, days in self._days.items():
            days[places] = columns[column][-size:].view(np.int64) // _DAY
        self._next = (self._next + rows) % size
        self._rows = min(self._rows + rows, size)

    def scores(self) -> dict[str, float]:
        """Returns the population stability index, less what chance adds, of each column with enough rows."""
        scores_by_column = {}
        days = {column: _days_of(numbers[: self._rows]) for column, numbers in self._days.items()}
        for codes, (name, bins) in zip(self._ring, self._bins.items(), strict=True):
            column, part = self._parts.get(name, (name, ""))
            if part and not days[column].show(part):
                continue
            if self._rows >= max(_MINIMUM_ROWS, _MINIMUM_ROWS_PER_BIN * int(np.sum(bins.shares > 0))):
                counts = np.bincount(codes[: self._rows], minlength=len(bins.shares))
                scores_by_column[name] = excess_stability_index(
                    bins.shares, counts / self._rows, expected_rows=self._baseline_rows, rows=self._rows
                )
        return scores_by_column


def _part(times: Array, part: str) -> Array:
    """The weekday, Monday as 1, or the hour of each time; missing as NaN."""
    microseconds = times.view(np.int64)
    numbers = microseconds // _HOUR % 24 if part == "hour" else (microseconds // _DAY + 3) % 7 + 1
    return np.where(np.isnat(times), np.nan, numbers.astype(float))


def _days_of(numbers: Array) -> Days:
    days = np.unique(numbers[numbers != _NO_DAY])
    return Days(int(days[-1] - days[0]) + 1, len(np.unique((days - days[0]) // 7))) if len(days) else Days()


def _bins(statistics: Mapping[str, Any]) -> Bins:
    shares = np.array(statistics["shares"], dtype=float)
    values = [str(value) for value in statistics.get("values", [])]
    places: dict[Any, int] = {value: place for place, value in enumerate(values)} | {None: len(shares) - 1}
    flags = {1.0: places.get("true"), 0.0: places.get("false")}  # booleans are numbers where they are served
    places |= {number: place for number, place in flags.items() if place is not None}
    edges = np.array(statistics.get("edges", []), dtype=float)
    return Bins(str(statistics["kind"]), edges, places, shares)


def _fits(kind: str, statistics: Mapping[str, Any]) -> bool:
    if statistics["kind"] == "categorical":
        return kind == "text" or (kind == "number" and set(statistics["values"]) <= {"true", "false"})
    return kind == "number" and not statistics.get("of_times") and len(statistics["edges"]) > 0
