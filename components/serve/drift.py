"""Drift of what is asked: each column's population stability index over a window of the latest rows.

The bins are those of the baseline, ``baseline.json``, which were counted over the training split. What chance alone
adds to the index is taken off, as the data gate does, and a column is scored only from some rows per bin on: a few
requests are no drift.
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
from modelway.components.serve.signature import Signature

Array = np.ndarray[Any, Any]

WINDOW_ROWS = 10_000
_LEAST_ROWS, _LEAST_ROWS_PER_BIN = 100, 10


@dataclass(frozen=True)
class Bins:
    """A column's bins, the last two of which are all other values and missing ones; shares of shape (bins,).

    Attributes:
        kind: ``numeric`` for ranges, ``discrete`` for numbers, ``categorical`` for texts.
        edges: The ranges' upper edges, which belong to them, or the numbers; ascending.
        places: Each text's bin, and None's.
        shares: The baseline's share of rows in each bin.
    """

    kind: str
    edges: Array
    places: Mapping[Any, int]
    shares: Array

    def codes(self, values: Array) -> Array:
        """The bin of each value, of shape (rows,)."""
        missing = len(self.shares) - 1
        if self.kind == "categorical":
            place = self.places.get
            listed = np.array([place(value, missing - 1) for value in values.tolist()])
            return listed if values.dtype == object else np.where(np.isnan(values), missing, listed)
        numbers = _numbers(values)
        found: Array = np.searchsorted(self.edges, numbers)
        if self.kind == "discrete":
            nearest = np.minimum(found, len(self.edges) - 1)
            found = np.where(self.edges[nearest] == numbers, nearest, missing - 1)
        return np.where(np.isnan(numbers), missing, found)


class DriftWindow:
    """The bins of the latest rows.

    Args:
        bins: Each column's bins.
        rows: How many rows the window holds.
        baseline_rows: How many rows the baseline's shares are worth.
    """

    def __init__(self, bins: Mapping[str, Bins], rows: int = WINDOW_ROWS, *, baseline_rows: float) -> None:
        self._bins = dict(bins)
        self._baseline_rows = baseline_rows
        self._ring = np.zeros((len(bins), rows), dtype=np.int16)
        self._next = 0
        self._filled = 0

    @classmethod
    def read(cls, path: Path, signature: Signature, *, rows: int = WINDOW_ROWS) -> DriftWindow:
        """A window of the columns that both the model and its baseline have, in the same type.

        Raises:
            ModelwayError: the baseline cannot be read.
        """
        try:
            content = json.loads(path.read_bytes())
            stated: dict[str, dict[str, Any]] = content.get("columns", {})
            baseline_rows = content["rows"] / content.get("rows_per_group", 1.0)
            found = {
                one.name: _bins(stated[one.name])
                for one in signature.columns
                if one.name in stated and _fits(one.kind, stated[one.name])
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedError(
                "the baseline to measure drift against cannot be read",
                file=str(path),
                remedy="package the version again, with a baseline that `modelway run` made",
            ) from error
        return cls(found, rows, baseline_rows=baseline_rows)

    def add(self, columns: Mapping[str, Array]) -> None:
        """Takes rows in, in place of the oldest ones; columns as `Signature.convert` gives them."""
        size = self._ring.shape[1]
        for place, (name, bins) in enumerate(self._bins.items()):
            codes = bins.codes(columns[name][-size:])
            first = min(len(codes), size - self._next)
            self._ring[place, self._next : self._next + first] = codes[:first]
            self._ring[place, : len(codes) - first] = codes[first:]
        rows = min(len(next(iter(columns.values()))), size)
        self._next = (self._next + rows) % size
        self._filled = min(self._filled + rows, size)

    def scores(self) -> dict[str, float]:
        """Each column's population stability index, less what chance adds; of columns with rows enough."""
        found = {}
        for codes, (name, bins) in zip(self._ring, self._bins.items(), strict=True):
            if self._filled >= max(_LEAST_ROWS, _LEAST_ROWS_PER_BIN * int(np.sum(bins.shares > 0))):
                counts = np.bincount(codes[: self._filled], minlength=len(bins.shares))
                found[name] = excess_stability_index(
                    bins.shares, counts / self._filled, expected_rows=self._baseline_rows, rows=self._filled
                )
        return found


def _bins(stated: Mapping[str, Any]) -> Bins:
    kind, edges, shares = str(stated["kind"]), stated.get("edges", []), np.array(stated["shares"], dtype=float)
    values = [str(value) for value in stated.get("values", [])]
    places: dict[Any, int] = {value: place for place, value in enumerate(values)} | {None: len(shares) - 1}
    flags = {1.0: places.get("true"), 0.0: places.get("false")}  # booleans are numbers where they are served
    places |= {number: place for number, place in flags.items() if place is not None}
    return Bins(kind, np.array(edges, dtype=float), places, shares)


def _fits(kind: str, stated: Mapping[str, Any]) -> bool:
    if stated["kind"] == "categorical":
        return kind == "text" or (kind == "number" and set(stated["values"]) <= {"true", "false"})
    return kind == ("time" if stated.get("of_times") else "number") and len(stated["edges"]) > 0


def _numbers(values: Array) -> Array:
    if values.dtype.kind != "M":
        return values
    return np.where(np.isnat(values), np.nan, values.view(np.int64).astype(float))
