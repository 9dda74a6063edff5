"""Whether columns are distributed alike: their distances, judged, and how certain it is that they differ.

A column differs where a distance exceeds its threshold and the difference is statistically certain. A great
distance on few rows is inconclusive, and a certain difference that is small passes however many rows there are.
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
from modelway.components.validate.distributions import Baseline

_NAMES = {
    "psi": "PSI",
    "jensen_shannon": "Jensen-Shannon",
    "kolmogorov_smirnov": "Kolmogorov-Smirnov",
    "cramers_v": "Cramér's V",
}


_SHAPES: dict[str, Callable[[Sequence[float], Sequence[float]], float]] = {
    "jensen_shannon": jensen_shannon,
    "kolmogorov_smirnov": kolmogorov_smirnov,
    "cramers_v": cramers_v,
}


_KINDS = {"kolmogorov_smirnov": {"numeric", "discrete"}, "cramers_v": {"discrete", "categorical"}}


@dataclass(frozen=True)
class Wording:
    """What is compared with what, in words.

    Attributes:
        current: The rows in question: ``{} rows``.
        reference: What they are compared with.
        remedy: What to do where they differ.
    """

    current: str
    reference: str
    remedy: str


@dataclass(frozen=True)
class Distance:
    """One distance of one column: its threshold, and the test that says whether the difference is certain."""

    measure: str
    effect: float
    threshold: float
    test: tuple[str, str]


def too_few_rows(
    name: str, current: Baseline, *, reference: Baseline, least: int, rule: OnInconclusive
) -> Check | None:
    """The one check there is where either side has too few rows to compare columns by."""
    fewest = min(current.rows, reference.rows)
    if fewest >= least:
        return None
    message = f"{fewest:,} rows on one side; the policy asks for {least:,} to tell {name} by; bring more rows"
    return inconclusive(name, message, rule=rule, observed=fewest, threshold=least)


def distance_checks(
    current: Baseline,
    reference: Baseline,
    *,
    thresholds: Mapping[str, Distances],
    names: Mapping[str, str],
    alpha: float,
    rule: OnInconclusive,
    wording: Wording,
) -> list[Check]:
    """The checks of all columns, their p-values corrected together: each test of each column counts once."""
    p_values: dict[tuple[str, str], float] = {}
    found: dict[str, list[Distance]] = {}
    for name, asked in thresholds.items():
        found[name] = _distances(name, reference, current=current, asked=asked)
        for one in found[name]:
            if one.test not in p_values:
                p_values[one.test] = _p_value(one, reference, current=current)
    certain = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    rows = (
        f"over {wording.current.format(f'{current.rows:,}')} against {wording.reference.format(f'{reference.rows:,}')}"
    )
    if max(current.rows_per_group, reference.rows_per_group) > 1:
        rows += " (rows of a group are alike and weigh less)"
    return [
        _judged(names[name], distances, certain=certain, alpha=alpha, rule=rule, rows=rows, remedy=wording.remedy)
        for name, distances in found.items()
        if distances
    ]


def _distances(name: str, reference: Baseline, *, current: Baseline, asked: Distances) -> list[Distance]:
    kind, shares = reference.columns[name].kind, (reference.columns[name].shares, current.columns[name].shares)
    found = []
    for measured in _NAMES:
        threshold = getattr(asked, measured)
        if threshold is None or kind not in _KINDS.get(measured, {kind}):
            continue
        if measured == "psi":
            effect = excess_stability_index(*shares, expected_rows=reference.weight, rows=current.weight)
        else:
            effect = _SHAPES[measured](*shares)
        test = (name, "Kolmogorov-Smirnov" if measured == "kolmogorov_smirnov" else "chi-squared")
        found.append(Distance(measured, effect, threshold, test))
    return found


def _p_value(found: Distance, reference: Baseline, *, current: Baseline) -> float:
    name, test = found.test
    shape = reference.columns[name]
    counts = [np.array(side.columns[name].shares) * side.weight for side in (reference, current)]
    if test == "Kolmogorov-Smirnov":
        return kolmogorov_smirnov_p(found.effect, counts[0][:-1].sum(), now=counts[1][:-1].sum())
    if shape.chosen_by:
        counts[0] -= np.array(shape.chosen_by) / reference.rows_per_group
    rest = None if shape.kind == "numeric" else len(shape.shares) - 2
    return chi_squared_p(counts[0].tolist(), counts[1].tolist(), rest=rest)


def _judged(
    name: str,
    distances: Sequence[Distance],
    *,
    certain: Mapping[tuple[str, str], float],
    alpha: float,
    rule: OnInconclusive,
    rows: str,
    remedy: str,
) -> Check:
    above = [one for one in distances if one.effect > one.threshold]
    failed = [one for one in above if certain[one.test] < alpha]
    worst = max(failed or distances, key=lambda one: one.effect / one.threshold)
    shown = ", ".join(f"{_NAMES[one.measure]} {one.effect:.3f} (at most {one.threshold:g})" for one in distances)
    tests = {one.test: None for one in distances}
    message = f"{shown}; p {' and '.join(f'{_shown(certain[test])} by {test[1]}' for test in tests)} {rows}"
    if failed:
        message += f"; {remedy}"
    elif above:
        message += f"; too few rows to tell a shift from chance (p must be below {alpha:g}): bring more of them"
    verdict = Verdict.FAILED if failed else Verdict.INCONCLUSIVE if above else Verdict.PASSED
    return judged(name, verdict, message=message, rule=rule, observed=round(worst.effect, 6), threshold=worst.threshold)


def _shown(p_value: float) -> str:
    return f"{p_value:.2g}" if p_value > 1e-300 else "under 1e-300"
