"""Checks whether columns are distributed alike in two tables.

A column fails where a distance exceeds its threshold and the difference is statistically significant. A large distance
that is not significant is inconclusive, and a small one passes however many rows there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelway.components.core.checks import Check, OnInconclusive, Verdict, inconclusive, judged
from modelway.components.core.config.data_policy import Distances
from modelway.components.core.measures.stability import excess_stability_index
from modelway.components.validate.distances import (
    chi_squared_p,
    cramers_v,
    holm,
    jensen_shannon,
    kolmogorov_smirnov,
    kolmogorov_smirnov_p,
)
from modelway.components.validate.distributions import TableStatistics

_NAMES = {
    "psi": "PSI",
    "jensen_shannon": "Jensen-Shannon",
    "kolmogorov_smirnov": "Kolmogorov-Smirnov",
    "cramers_v": "Cramér's V",
}


_DISTANCES: dict[str, Callable[[Sequence[float], Sequence[float]], float]] = {
    "jensen_shannon": jensen_shannon,
    "kolmogorov_smirnov": kolmogorov_smirnov,
    "cramers_v": cramers_v,
}


_KINDS = {"kolmogorov_smirnov": {"numeric", "discrete"}, "cramers_v": {"discrete", "categorical"}}


@dataclass(frozen=True)
class Wording:
    """How messages describe a comparison.

    Attributes:
        current: The rows in question: ``{} rows``.
        reference: The rows that they are compared with.
        remedy: What to do where they differ.
    """

    current: str
    reference: str
    remedy: str


@dataclass(frozen=True)
class Distance:
    """One distance of one column: its threshold, and the test of its significance."""

    measure: str
    effect: float
    threshold: float
    test: tuple[str, str]


def too_few_rows(
    name: str, current: TableStatistics, *, reference: TableStatistics, minimum_rows: int, rule: OnInconclusive
) -> Check | None:
    """An inconclusive check where either side has too few rows to compare; None where both have enough."""
    rows = min(current.rows, reference.rows)
    if rows >= minimum_rows:
        return None
    message = f"{rows:,} rows on one side; the policy requires {minimum_rows:,} to measure {name}; bring more rows"
    return inconclusive(name, message, rule=rule, observed=rows, threshold=minimum_rows)


def distance_checks(
    current: TableStatistics,
    reference: TableStatistics,
    *,
    thresholds: Mapping[str, Distances],
    names: Mapping[str, str],
    alpha: float,
    rule: OnInconclusive,
    wording: Wording,
) -> list[Check]:
    """The checks of all columns, their p-values corrected together: each test of each column counts once."""
    p_values: dict[tuple[str, str], float] = {}
    by_column: dict[str, list[Distance]] = {}
    for name, limits in thresholds.items():
        by_column[name] = _distances(name, reference, current=current, limits=limits)
        for distance in by_column[name]:
            if distance.test not in p_values:
                p_values[distance.test] = _p_value(distance, reference, current=current)
    adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    rows = (
        f"over {wording.current.format(f'{current.rows:,}')} against {wording.reference.format(f'{reference.rows:,}')}"
    )
    if max(current.rows_per_group, reference.rows_per_group) > 1:
        rows += " (rows of a group are alike and weigh less)"
    return [
        _column_check(
            names[name], distances, p_values=adjusted, alpha=alpha, rule=rule, rows=rows, remedy=wording.remedy
        )
        for name, distances in by_column.items()
        if distances
    ]


def _distances(name: str, reference: TableStatistics, *, current: TableStatistics, limits: Distances) -> list[Distance]:
    kind, shares = reference.columns[name].kind, (reference.columns[name].shares, current.columns[name].shares)
    distances = []
    for measure in _NAMES:
        threshold = getattr(limits, measure)
        if threshold is None or kind not in _KINDS.get(measure, {kind}):
            continue
        if measure == "psi":
            effect = excess_stability_index(*shares, expected_rows=reference.weight, rows=current.weight)
        else:
            effect = _DISTANCES[measure](*shares)
        test = (name, "Kolmogorov-Smirnov" if measure == "kolmogorov_smirnov" else "chi-squared")
        distances.append(Distance(measure, effect, threshold, test))
    return distances


def _p_value(distance: Distance, reference: TableStatistics, *, current: TableStatistics) -> float:
    name, test = distance.test
    distribution = reference.columns[name]
    counts = [np.array(side.columns[name].shares) * side.weight for side in (reference, current)]
    if test == "Kolmogorov-Smirnov":
        return kolmogorov_smirnov_p(distance.effect, counts[0][:-1].sum(), current=counts[1][:-1].sum())
    if distribution.chosen_by:
        counts[0] -= np.array(distribution.chosen_by) / reference.rows_per_group
    rest = None if distribution.kind == "numeric" else len(distribution.shares) - 2
    return chi_squared_p(counts[0].tolist(), counts[1].tolist(), rest=rest)


def _column_check(
    name: str,
    distances: Sequence[Distance],
    *,
    p_values: Mapping[tuple[str, str], float],
    alpha: float,
    rule: OnInconclusive,
    rows: str,
    remedy: str,
) -> Check:
    above = [distance for distance in distances if distance.effect > distance.threshold]
    failed = [distance for distance in above if p_values[distance.test] < alpha]
    worst = max(failed or distances, key=lambda distance: distance.effect / distance.threshold)
    values = ", ".join(
        f"{_NAMES[distance.measure]} {distance.effect:.3f} (at most {distance.threshold:g})" for distance in distances
    )
    tests = {distance.test: None for distance in distances}
    message = f"{values}; p {' and '.join(f'{_p_value_text(p_values[test])} by {test[1]}' for test in tests)} {rows}"
    if failed:
        message += f"; {remedy}"
    elif above:
        message += f"; too few rows to distinguish a shift from chance (p must be below {alpha:g}): bring more"
    verdict = Verdict.FAILED if failed else Verdict.INCONCLUSIVE if above else Verdict.PASSED
    return judged(name, verdict, message=message, rule=rule, observed=round(worst.effect, 6), threshold=worst.threshold)


def _p_value_text(p_value: float) -> str:
    return f"{p_value:.2g}" if p_value > 1e-300 else "under 1e-300"
