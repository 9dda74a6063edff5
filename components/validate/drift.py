"""Drift of each column from the baseline, by the population stability index."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from pydantic import BaseModel

from modelway.components.core.policy import DataPolicy, Drift
from modelway.components.core.tables import as_numbers, as_text
from modelway.components.core.verdict import Check, inconclusive, passed_or_failed

BINS = 10
MOST_CATEGORIES = 100
_FLOOR = 1e-4  # keeps an empty bin's logarithm finite; the usual choice in credit-risk practice


class Distribution(BaseModel):
    """How one column's values are spread.

    Attributes:
        kind: Whether the bins are ranges or values.
        edges: Upper edges (inclusive) of all range bins but the last, which is open.
        values: The value bins' values, the most frequent first; all others fall into one more bin.
        shares: The share of rows in each bin; the last one is that of missing values.
    """

    kind: Literal["numeric", "categorical"]
    edges: list[float] = []
    values: list[str] = []
    shares: list[float]


class Baseline(BaseModel):
    """The distributions of a training split.

    Attributes:
        data_hash: The SHA-256 of the source's content.
        rows: How many rows the distributions were counted over.
        columns: A distribution for each column.
    """

    data_hash: str
    rows: int
    columns: dict[str, Distribution]

    def write(self, path: str | Path) -> None:
        """Writes the baseline as JSON."""
        Path(path).write_text(self.model_dump_json(), encoding="utf-8")


def measure(table: pl.DataFrame, columns: Sequence[str], data_hash: str) -> Baseline:
    """The distributions of some columns: deciles of numbers and times, shares of everything else."""
    return Baseline(
        data_hash=data_hash, rows=len(table), columns={name: _distribution(table[name]) for name in columns}
    )


def population_stability_index(expected: Sequence[float], observed: Sequence[float]) -> float:
    """Sum over bins of (observed - expected) * ln(observed / expected), with shares floored at 0.0001.

    The symmetrised Kullback-Leibler divergence; 0.1 and 0.25 are the customary marks of a small and a large shift
    (Siddiqi, Credit Risk Scorecards, 2006).
    """
    before, now = np.maximum(expected, _FLOOR), np.maximum(observed, _FLOOR)
    return float(np.sum((now - before) * np.log(now / before)))


def measure_like(table: pl.DataFrame, baseline: Baseline, data_hash: str) -> Baseline:
    """The distributions of those columns that a baseline has too, counted in the baseline's bins."""
    columns = {
        name: before.model_copy(update={"shares": shares_like(table[name], before)})
        for name, before in baseline.columns.items()
        if name in table.columns
    }
    return Baseline(data_hash=data_hash, rows=len(table), columns=columns)


def drift_checks(now: Baseline, baseline: Baseline | None, policy: DataPolicy) -> list[Check]:
    """A check for each column: its stability index against the baseline, in the baseline's bins.

    Without a baseline, or with too few rows on either side, the answer is inconclusive and says so once.
    """
    asked = policy.drift
    if baseline is None:
        message = "no approved model yet, so no baseline to compare with; this data becomes the first"
        return [inconclusive("drift", message, policy.on_inconclusive)]
    fewest = min(now.rows, baseline.rows)
    if fewest < asked.minimum_rows:
        message = f"{fewest:,} rows on one side; the policy asks for {asked.minimum_rows:,} to tell drift by"
        return [inconclusive("drift", message, policy.on_inconclusive, observed=fewest, threshold=asked.minimum_rows)]
    return [
        _column_check(name, baseline.columns[name].shares, shape.shares, asked) for name, shape in now.columns.items()
    ]


def _column_check(name: str, before: Sequence[float], now: Sequence[float], asked: Drift) -> Check:
    psi = population_stability_index(before, now)
    passed = psi <= asked.psi
    message = f"PSI {psi:.3f} against the baseline" + (
        "" if passed else f", above {asked.psi}; look at the column's source, or retrain on purpose"
    )
    return passed_or_failed(f"drift[{name}]", passed, message, observed=round(psi, 6), threshold=asked.psi)


def _is_ordered(series: pl.Series) -> bool:
    return series.dtype.is_numeric() or series.dtype.is_temporal()


def _counted(series: pl.Series) -> pl.DataFrame:
    return as_text(series).alias("value").drop_nulls().value_counts(name="rows")


def _distribution(series: pl.Series) -> Distribution:
    if _is_ordered(series):
        numbers = as_numbers(series)
        known = numbers[np.isfinite(numbers)]
        edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if known.size else np.empty(0)
        shape = Distribution(kind="numeric", edges=edges.tolist(), shares=[])
    else:
        counted = _counted(series).sort(["rows", "value"], descending=[True, False]).head(MOST_CATEGORIES)
        shape = Distribution(kind="categorical", values=counted["value"].to_list(), shares=[])
    return shape.model_copy(update={"shares": shares_like(series, shape)})


def shares_like(series: pl.Series, shape: Distribution) -> list[float]:
    """The share of a column's rows in each bin of a distribution, missing values last."""
    if shape.kind == "numeric":
        if not _is_ordered(series) and series.dtype != pl.Boolean:
            return [0.0] * (len(shape.edges) + 1) + [1.0]
        numbers = as_numbers(series)
        known = numbers[np.isfinite(numbers)]
        counts = np.bincount(np.searchsorted(shape.edges, known, side="left"), minlength=len(shape.edges) + 1)
    else:
        found = dict(_counted(series).iter_rows())
        listed = [found.get(value, 0) for value in shape.values]
        counts = np.array([*listed, sum(found.values()) - sum(listed)])
    total = max(len(series), 1)
    return [float(count) / total for count in [*counts, len(series) - counts.sum()]]
