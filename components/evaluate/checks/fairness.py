"""Whether the model treats groups of people alike, by fairlearn's measures and by any metric in each group.

Rows are taken as independent. The difference between the greatest and the smallest of several groups is above zero
even where all groups are equal, more so with more and smaller groups; the intervals here therefore hold for all pairs
of groups at once, so that chance alone does not make a model fail.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelway.components.core.checks import Check, Verdict, inconclusive
from modelway.components.core.config.model_policy import Fairness, GroupLimits
from modelway.components.core.config.thresholds import Interval, Threshold
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Array, Predictions
from modelway.components.evaluate.checks.metrics import estimate_check
from modelway.components.evaluate.groups import Grouping, group_names, groupings
from modelway.components.evaluate.predicting import Candidate
from modelway.components.evaluate.slices import Slice
from modelway.components.evaluate.statistics.estimates import Estimate
from modelway.components.evaluate.statistics.group_estimates import GroupEstimate, estimate, spread, spread_interval

_MOST_SMALL = 20
_REMEDY = (
    "look for features that are proxies of the group, mitigate the difference (`fairlearn.reductions`, "
    "`fairlearn.postprocessing`), or waive the check with a reason"
)


def fairness_checks(candidate: Candidate, columns: Sequence[str], *, policy: Fairness) -> list[Check]:
    """Checks whether the model treats the groups alike that some columns make.

    ``fairness[sex].demographic_parity_difference`` and its like are fairlearn's measures of a binary task;
    ``fairness[sex=F].recall`` is a metric in one group, ``fairness[sex].recall.difference`` (greatest minus smallest)
    and ``fairness[sex].recall.ratio`` (smallest by greatest) compare the groups. Intersections are of each pair of
    columns, whose names a multiplication sign joins. A group with fewer rows than the policy's minimum is inconclusive
    by a check of its own, ``fairness[sex=X]``, and is left out of the comparisons of the others.

    Args:
        candidate: The model, on the test rows.
        columns: The columns whose values make the groups.
        policy: The policy's `fairness` section.

    Raises:
        ModelwayError: no column is named, one is not in the data or has too many values to make groups, or a
            fairlearn measure has a limit where the task is not binary.
    """
    if not columns:
        raise ModelwayError(
            "the policy judges fairness, but names no column that makes groups",
            key="model.fairness.columns",
            remedy="name columns there, or in `sensitive` of the project",
        )
    if policy.metrics and len(candidate.predictions.classes) != 2:
        first = next(iter(policy.metrics))
        raise ModelwayError(
            f"{first} is defined for binary tasks only",
            key=f"model.fairness.metrics.{first}",
            remedy="put limits on metrics of this task under `model.fairness.groups` instead",
        )
    checks: list[Check] = []
    for grouping in groupings(
        candidate.table, columns, intersections=policy.intersections, minimum_rows=policy.minimum_rows
    ):
        judge = _Judge(candidate.predictions, grouping, policy, candidate.resampling.confidence)
        checks += judge.small_checks()
        for measure, threshold in policy.metrics.items():
            checks += judge.measure_checks(measure, threshold)
        for metric, limits in policy.groups.items():
            checks += judge.metric_checks(metric, limits)
    return checks


@dataclass(frozen=True)
class _Judge:
    """Makes the checks of one grouping."""

    predictions: Predictions
    grouping: Grouping
    policy: Fairness
    confidence: float | None

    def small_checks(self) -> Iterator[Check]:
        """A check for each small group; one for all where there are many, as intersections make them."""
        small, least, rule = self.grouping.small, self.policy.minimum_rows, self.policy.on_inconclusive
        remedy = f"the policy requires {least:,} to judge a group: bring more rows, or lower `minimum_rows`"
        if len(small) > _MOST_SMALL:
            message = f"{len(small)} groups have too few rows, {group_names(small)}; {remedy}"
            yield inconclusive(f"fairness[{self.grouping.column}].small_groups", message, rule=rule)
            return
        for group in small:
            rows = len(group.rows)
            message = f"{rows:,} rows; {remedy}"
            yield inconclusive(f"fairness[{group.name}]", message, rule=rule, observed=rows, threshold=least)

    def measure_checks(self, measure: str, threshold: Threshold) -> Iterator[Check]:
        """The check of one of fairlearn's measures, and one for each group in which it is not defined."""
        cells = 2 * (self.predictions.truth == 1) + (self.predictions.predicted == 1)
        counts, groups, left_out = [], [], list(self.grouping.small)
        for group in self.grouping.large:
            group_counts = np.bincount(cells[group.rows], minlength=4).reshape(2, 2)
            lacks = next((title for title, rate in _rates(measure, group_counts).items() if not rate.any()), None)
            if lacks is None:
                counts.append(group_counts)
                groups.append(group)
                continue
            left_out.append(group)
            label = "positive" if lacks.startswith("true") else "negative"
            message = f"none of {len(group.rows):,} rows has a {label} label, which the measure needs; bring such rows"
            yield self._inconclusive(f"fairness[{group.name}].{measure}", message)
        name, kind = f"fairness[{self.grouping.column}].{measure}", measure.rpartition("_")[2]
        if len(groups) < 2:
            yield self._inconclusive(name, _too_few(groups, left_out))
            return
        observed, rates = _fairlearn(measure, np.stack(counts)), _rates(measure, np.stack(counts))
        if not np.isfinite(observed) or (kind == "ratio" and any(not rate[:, 1].any() for rate in rates.values())):
            message = "a ratio is not defined where a rate is zero in every group; limit the difference instead"
            yield self._inconclusive(name, message)
            return
        worst = max if kind == "difference" else min
        interval = None
        if self.confidence is not None:
            # Two rates are of different rows, so independent: both intervals hold together at this level.
            level = self.confidence ** (1 / len(rates))
            intervals = [_rate_interval(kind, rate, confidence=level) for rate in rates.values()]
            interval = worst(low for low, _ in intervals), worst(high for _, high in intervals)
        shares = {title: rate[:, 1] / rate.sum(axis=1) for title, rate in rates.items()}
        title = worst(shares, key=lambda title: spread(kind, shares[title]))
        scope = _extremes(title, shares[title], groups=groups, left_out=left_out)
        yield self._limit_check(name, observed, interval=interval, threshold=threshold, scope=scope)

    def metric_checks(self, metric: str, limits: GroupLimits) -> Iterator[Check]:
        """The checks of a metric: in each group, and of how far the groups are apart."""
        groups: list[Slice] = []
        estimates: list[GroupEstimate] = []
        left_out = list(self.grouping.small)
        for group in self.grouping.large:
            name, rows = f"fairness[{group.name}].{metric}", len(group.rows)
            group_estimate = estimate(metric, self.predictions.take(group.rows), with_error=self.confidence is not None)
            if isinstance(group_estimate, str):
                left_out.append(group)
                message = f"{group_estimate} on these {rows:,} rows; bring rows of every class"
                yield self._inconclusive(name, message, observed=rows)
                continue
            groups.append(group)
            estimates.append(group_estimate)
            if limits.min is not None or limits.max is not None:
                interval = None if self.confidence is None else group_estimate.interval(self.confidence)
                scope, value = f"on {rows:,} rows", group_estimate.value
                yield self._limit_check(name, value, interval=interval, threshold=limits, scope=scope)
        for kind in ("difference", "ratio"):
            limit: float | None = getattr(limits, kind)
            if limit is None:
                continue
            name = f"fairness[{self.grouping.column}].{metric}.{kind}"
            values = np.array([group_estimate.value for group_estimate in estimates])
            if len(groups) < 2:
                yield self._inconclusive(name, _too_few(groups, left_out))
            elif kind == "ratio" and (values.min() < 0 or values.max() == 0 or estimates[0].bounds[0] < 0):
                message = (
                    f"{metric} may be zero or negative, so a ratio is not meaningful; limit the `difference` instead"
                )
                yield self._inconclusive(name, message)
            else:
                interval = None if self.confidence is None else _spread_interval(kind, estimates, self.confidence)
                threshold = Threshold(max=limit) if kind == "difference" else Threshold(min=limit)
                scope = _extremes(metric, values, groups=groups, left_out=left_out)
                observed = spread(kind, values)
                yield self._limit_check(name, observed, interval=interval, threshold=threshold, scope=scope)

    def _inconclusive(self, name: str, message: str, *, observed: int | None = None) -> Check:
        return inconclusive(name, message, rule=self.policy.on_inconclusive, observed=observed)

    def _limit_check(
        self, name: str, observed: float, *, interval: Interval | None, threshold: Threshold, scope: str
    ) -> Check:
        if interval is not None:
            interval = min(interval[0], observed), max(interval[1], observed)
        value = Estimate(observed, interval, confidence=self.confidence)
        check = estimate_check(name, value, threshold=threshold, rule=self.policy.on_inconclusive, scope=scope)
        if check.verdict is not Verdict.FAILED:
            return check
        return check.model_copy(update={"message": f"{check.message}; {_REMEDY}"})


def _rates(measure: str, counts: Array) -> dict[str, Array]:
    """By title, the counts of rows predicted negative and positive; `counts` end in the axes truth and prediction."""
    if measure.startswith("demographic"):
        return {"selection rates": counts.sum(axis=-2)}
    rates = {"true positive rates": counts[..., 1, :]}
    if measure.startswith("equalized"):
        rates["false positive rates"] = counts[..., 0, :]
    return rates


def _rate_interval(kind: str, rate: Array, *, confidence: float) -> Interval:
    """By shares and standard errors with one hit and one miss added to each group (Agresti & Caffo 2000)."""
    rows = rate.sum(axis=1) + 2
    shares = (rate[:, 1] + 1) / rows
    return spread_interval(kind, shares, errors=np.sqrt(shares * (1 - shares) / rows), confidence=confidence)


def _spread_interval(kind: str, estimates: Sequence[GroupEstimate], confidence: float) -> Interval:
    centres = np.array([group.centre for group in estimates])
    errors = np.array([group.error for group in estimates])
    freedom = min(group.freedom for group in estimates)
    return spread_interval(kind, centres, errors=errors, confidence=confidence, freedom=freedom)


def _fairlearn(measure: str, counts: Array) -> float:
    """Fairlearn's value, from the counts by group, truth and prediction: fast at any size."""
    member, true, predicted = np.nonzero(counts)
    function: Any = getattr(importlib.import_module("fairlearn.metrics"), measure)
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(function(true, predicted, sensitive_features=member, sample_weight=counts[counts > 0]))


def _too_few(groups: Sequence[Slice], left_out: Sequence[Slice]) -> str:
    message = f"only one group, {group_names(groups)}, can be judged" if groups else "no group can be judged"
    message += f" (left out: {group_names(left_out)})" if left_out else ""
    return f"{message}; bring rows of two groups at least to compare"


def _extremes(title: str, values: Array, *, groups: Sequence[Slice], left_out: Sequence[Slice]) -> str:
    smallest, greatest = int(values.argmin()), int(values.argmax())
    text = (
        f"between {title} {values[smallest]:.4f} of {groups[smallest].name} and {values[greatest]:.4f} of "
        f"{groups[greatest].name}, the extremes of {len(groups)} groups on "
        f"{sum(len(group.rows) for group in groups):,} rows"
    )
    return f"{text}, left out: {group_names(left_out)}" if left_out else text
