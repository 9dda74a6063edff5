"""Drift of each column from the baseline, and of what is served from what is trained on.

A column has drifted where a distance exceeds its threshold and the difference is statistically certain. A great
distance on few rows is inconclusive, and a certain difference that is small passes however many rows there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelway.components.core.checks import Check, OnInconclusive, Verdict, inconclusive, judged
from modelway.components.core.config.data_policy import DataPolicy, Distances
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
class _Sides:
    """What is compared with what, in words.

    Attributes:
        now: The rows in question: ``{} rows``.
        before: What they are compared with.
        remedy: What to do where they differ.
    """

    now: str
    before: str
    remedy: str


_DRIFT = _Sides(
    "{} rows", "the baseline's {}", "look at the column's source, or retrain on purpose and raise the threshold"
)
_SKEW = _Sides(
    "{} rows of the serving data",
    "the {} trained on",
    "compute the column alike for training and serving, or train on what is served",
)


@dataclass(frozen=True)
class _Found:
    """One distance of one column: its threshold, and the test that says whether the difference is certain."""

    measure: str
    effect: float
    threshold: float
    test: tuple[str, str]


def drift_checks(
    now: Baseline, baseline: Baseline | None, policy: DataPolicy, label: str = "", columns: Sequence[str] = ()
) -> list[Check]:
    """A check for each column: its distances from the baseline in the baseline's bins, and how certain they are.

    Without a baseline, or with too few rows on either side, the answer is inconclusive and says so once.

    Args:
        now: This data's distributions in the baseline's bins.
        baseline: What is compared with, if there is anything.
        policy: The thresholds.
        label: The column whose check is named ``label_drift``.
        columns: The columns to be compared; those that the baseline lacks are inconclusive.
    """
    asked = policy.drift
    if baseline is None:
        message = "no approved model yet, so no baseline to compare with; this data becomes the first"
        return [inconclusive("drift", message, policy.on_inconclusive)]
    few = _too_few("drift", now, baseline, asked.minimum_rows, policy.on_inconclusive)
    if few is not None:
        return [few]
    thresholds = {name: asked.columns.get(name, asked) for name in now.columns}
    if label in thresholds and label not in asked.columns:
        thresholds[label] = asked.label or asked

    def named(column: str) -> str:
        return f"label_drift[{column}]" if column == label else f"drift[{column}]"

    names = {name: named(name) for name in now.columns}
    checks = _compared(now, baseline, thresholds, names, asked.alpha, policy.on_inconclusive, _DRIFT)
    return checks + [
        inconclusive(
            named(name),
            f"the baseline has no column {name!r} to compare with; the next approved model's will",
            policy.on_inconclusive,
        )
        for name in columns
        if name not in baseline.columns
    ]


def skew_checks(serving: Baseline, train: Baseline, policy: DataPolicy) -> list[Check]:
    """A check for each feature: the distances of what is served from what is trained on, in the latter's bins.

    Args:
        serving: The serving table's distributions in the training split's bins.
        train: The training split's distributions.
        policy: The thresholds.
    """
    asked = policy.skew
    few = _too_few("skew", serving, train, asked.minimum_rows, policy.on_inconclusive)
    if few is not None:
        return [few]
    thresholds: dict[str, Distances] = dict.fromkeys(serving.columns, asked)
    names = {name: f"skew[{name}]" for name in serving.columns}
    return _compared(serving, train, thresholds, names, asked.alpha, policy.on_inconclusive, _SKEW)


def _too_few(name: str, now: Baseline, before: Baseline, least: int, rule: OnInconclusive) -> Check | None:
    fewest = min(now.rows, before.rows)
    if fewest >= least:
        return None
    message = f"{fewest:,} rows on one side; the policy asks for {least:,} to tell {name} by; bring more rows"
    return inconclusive(name, message, rule, observed=fewest, threshold=least)


def _compared(
    now: Baseline,
    before: Baseline,
    thresholds: Mapping[str, Distances],
    names: Mapping[str, str],
    alpha: float,
    rule: OnInconclusive,
    sides: _Sides,
) -> list[Check]:
    """The checks of all columns, their p-values corrected together: each test of each column counts once."""
    p_values: dict[tuple[str, str], float] = {}
    found: dict[str, list[_Found]] = {}
    for name, asked in thresholds.items():
        found[name] = _distances(name, before, now, asked)
        for one in found[name]:
            if one.test not in p_values:
                p_values[one.test] = _p_value(one, before, now)
    certain = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    rows = f"over {sides.now.format(f'{now.rows:,}')} against {sides.before.format(f'{before.rows:,}')}"
    if max(now.rows_per_group, before.rows_per_group) > 1:
        rows += " (rows of a group are alike and weigh less)"
    return [
        _judged(names[name], distances, certain, alpha, rule, rows, sides.remedy)
        for name, distances in found.items()
        if distances
    ]


def _distances(name: str, before: Baseline, now: Baseline, asked: Distances) -> list[_Found]:
    kind, shares = before.columns[name].kind, (before.columns[name].shares, now.columns[name].shares)
    found = []
    for measured in _NAMES:
        threshold = getattr(asked, measured)
        if threshold is None or kind not in _KINDS.get(measured, {kind}):
            continue
        if measured == "psi":
            effect = excess_stability_index(*shares, expected_rows=before.weight, rows=now.weight)
        else:
            effect = _SHAPES[measured](*shares)
        test = (name, "Kolmogorov-Smirnov" if measured == "kolmogorov_smirnov" else "chi-squared")
        found.append(_Found(measured, effect, threshold, test))
    return found


def _p_value(found: _Found, before: Baseline, now: Baseline) -> float:
    name, test = found.test
    shape = before.columns[name]
    counts = [np.array(side.columns[name].shares) * side.weight for side in (before, now)]
    if test == "Kolmogorov-Smirnov":
        return kolmogorov_smirnov_p(found.effect, counts[0][:-1].sum(), counts[1][:-1].sum())
    if shape.chosen_by:
        counts[0] -= np.array(shape.chosen_by) / before.rows_per_group
    rest = None if shape.kind == "numeric" else len(shape.shares) - 2
    return chi_squared_p(counts[0].tolist(), counts[1].tolist(), rest)


def _judged(
    name: str,
    distances: Sequence[_Found],
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
    return judged(name, verdict, message, rule, observed=round(worst.effect, 6), threshold=worst.threshold)


def _shown(p_value: float) -> str:
    return f"{p_value:.2g}" if p_value > 1e-300 else "under 1e-300"
