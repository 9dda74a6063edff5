"""Whether the model treats groups of people alike, by fairlearn's measures and by any metric in each group.

Rows are taken as independent. The difference between the greatest and the smallest of several groups is above zero
even where all groups are equal, more so with more and smaller groups; the intervals here therefore hold for all pairs
of groups at once, so that chance alone does not make a model fail.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from modelway.components.core.checks import Check, Verdict, inconclusive
from modelway.components.core.config.model_policy import Fairness, GroupLimits
from modelway.components.core.config.thresholds import Interval, Threshold, threshold_check
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Array, Predictions
from modelway.components.evaluate.groups import Grouping, group_names, groupings
from modelway.components.evaluate.slices import Slice
from modelway.components.evaluate.statistics.group_estimates import GroupEstimate, estimate, spread, spread_interval

_MOST_SMALL = 20
_REMEDY = (
    "look for features that are proxies of the group, mitigate the difference (`fairlearn.reductions`, "
    "`fairlearn.postprocessing`), or waive the check with a reason"
)


@dataclass(frozen=True)
class _Rate:
    """How many of how many rows were predicted positive, in each group: arrays of shape (groups,)."""

    title: str
    hits: Array
    of: Array

    def centre(self) -> tuple[Array, Array]:
        """Shares and their standard errors with one hit and one miss added to each group (Agresti & Caffo 2000)."""
        share = (self.hits + 1) / (self.of + 2)
        return share, np.sqrt(share * (1 - share) / (self.of + 2))


def fairness_checks(
    predictions: Predictions, table: pl.DataFrame, *, columns: Sequence[str], policy: Fairness, confidence: float | None
) -> list[Check]:
    """Checks whether the model treats the groups alike that some columns make.

    ``fairness[sex].demographic_parity_difference`` and its like are fairlearn's measures of a binary task;
    ``fairness[sex=F].recall`` is a metric in one group, ``fairness[sex].recall.difference`` (greatest minus smallest)
    and ``fairness[sex].recall.ratio`` (smallest by greatest) compare the groups. Intersections are of each pair of
    columns, whose names a multiplication sign joins. A group with fewer rows than the policy's minimum is inconclusive
    by a check of its own, ``fairness[sex=X]``, and is left out of the comparisons of the others.

    Args:
        predictions: The model's, of the test rows.
        table: The raw columns of the same rows.
        columns: The columns whose values make the groups.
        policy: The policy's `fairness` section.
        confidence: The level of each check's interval; None: the point estimate decides.

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
    if policy.metrics and len(predictions.classes) != 2:
        first = next(iter(policy.metrics))
        raise ModelwayError(
            f"{first} is defined for binary tasks only",
            key=f"model.fairness.metrics.{first}",
            remedy="put limits on metrics of this task under `model.fairness.groups` instead",
        )
    checks: list[Check] = []
    for grouping in groupings(
        table, tuple(dict.fromkeys(columns)), intersections=policy.intersections, minimum_rows=policy.minimum_rows
    ):
        checks += _small_checks(grouping, policy)
        for measure, threshold in policy.metrics.items():
            checks += _measure_checks(
                measure, threshold, predictions=predictions, grouping=grouping, policy=policy, confidence=confidence
            )
        for metric, limits in policy.groups.items():
            checks += _metric_checks(
                metric, limits, predictions=predictions, grouping=grouping, policy=policy, confidence=confidence
            )
    return checks


def _small_checks(grouping: Grouping, policy: Fairness) -> Iterator[Check]:
    """A check for each small group; one for all where there are many, as intersections make them."""
    least = f"{policy.minimum_rows:,}"
    remedy = f"the policy requires {least} to judge a group: bring more rows, or lower `minimum_rows`"
    if len(grouping.small) > _MOST_SMALL:
        message = f"{len(grouping.small)} groups have too few rows, {group_names(grouping.small)}; {remedy}"
        yield inconclusive(f"fairness[{grouping.column}].small_groups", message, rule=policy.on_inconclusive)
        return
    for group in grouping.small:
        rows = len(group.rows)
        message = f"{rows:,} rows; {remedy}"
        yield inconclusive(
            f"fairness[{group.name}]",
            message,
            rule=policy.on_inconclusive,
            observed=rows,
            threshold=policy.minimum_rows,
        )


def _measure_checks(
    measure: str,
    threshold: Threshold,
    *,
    predictions: Predictions,
    grouping: Grouping,
    policy: Fairness,
    confidence: float | None,
) -> Iterator[Check]:
    """The check of one of fairlearn's measures, and one for each group in which it is not defined."""
    truth, predicted = predictions.truth == 1, predictions.predicted == 1
    needs = [] if measure.startswith("demographic") else [("positive", truth)]
    needs += [("negative", ~truth)] if measure.startswith("equalized") else []
    groups, left_out = [], list(grouping.small)
    for group in grouping.large:
        lacks = next((title for title, rows in needs if not rows[group.rows].any()), None)
        if lacks is None:
            groups.append(group)
            continue
        left_out.append(group)
        message = f"none of {len(group.rows):,} rows has a {lacks} label, which the measure needs; bring such rows"
        yield inconclusive(f"fairness[{group.name}].{measure}", message, rule=policy.on_inconclusive)
    name, kind = f"fairness[{grouping.column}].{measure}", measure.rpartition("_")[2]
    if len(groups) < 2:
        yield _too_few(name, groups, left_out=left_out, policy=policy)
        return
    observed = _fairlearn(measure, truth, predicted=predicted, groups=groups)
    rates = list(_rates(measure, truth, predicted=predicted, groups=groups))
    if not np.isfinite(observed) or any(not rate.hits.any() for rate in rates if kind == "ratio"):
        message = "a ratio is not defined where a rate is zero in every group; limit the difference instead"
        yield inconclusive(name, message, rule=policy.on_inconclusive)
        return
    worst = max if kind == "difference" else min
    interval = None
    if confidence is not None:
        # Two rates are of different rows, so independent: both intervals hold together at this level.
        level = confidence ** (1 / len(rates))
        centres = [rate.centre() for rate in rates]
        intervals = [spread_interval(kind, values, errors=errors, confidence=level) for values, errors in centres]
        interval = worst(low for low, _ in intervals), worst(high for _, high in intervals)
    decides = worst(rates, key=lambda rate: spread(kind, rate.hits / rate.of))
    context = _extremes(decides.title, decides.hits / decides.of, groups=groups, left_out=left_out)
    yield _limit_check(
        name, observed, threshold=threshold, policy=policy, context=context, interval=interval, confidence=confidence
    )


def _rates(measure: str, truth: Array, *, predicted: Array, groups: Sequence[Slice]) -> Iterator[_Rate]:
    if measure.startswith("demographic"):
        yield _rate("selection rates", np.ones_like(truth), predicted=predicted, groups=groups)
        return
    yield _rate("true positive rates", truth, predicted=predicted, groups=groups)
    if measure.startswith("equalized"):
        yield _rate("false positive rates", ~truth, predicted=predicted, groups=groups)


def _rate(title: str, among: Array, *, predicted: Array, groups: Sequence[Slice]) -> _Rate:
    hits = np.array([int((among & predicted)[group.rows].sum()) for group in groups])
    return _Rate(title, hits, np.array([int(among[group.rows].sum()) for group in groups]))


def _fairlearn(measure: str, truth: Array, *, predicted: Array, groups: Sequence[Slice]) -> float:
    """Fairlearn's value, from the counts of truth and prediction in each group: fast at any size."""
    cells = [
        (number, actual, label, int(((truth[group.rows] == actual) & (predicted[group.rows] == label)).sum()))
        for number, group in enumerate(groups)
        for actual, label in itertools.product((0, 1), repeat=2)
    ]
    member, true, predictions, count = np.array([cell for cell in cells if cell[3]]).T
    function: Any = getattr(importlib.import_module("fairlearn.metrics"), measure)
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(function(true, predictions, sensitive_features=member, sample_weight=count))


def _metric_checks(
    metric: str,
    limits: GroupLimits,
    *,
    predictions: Predictions,
    grouping: Grouping,
    policy: Fairness,
    confidence: float | None,
) -> Iterator[Check]:
    """The checks of a metric: in each group, and of how far the groups are apart."""
    groups: list[Slice] = []
    estimates: list[GroupEstimate] = []
    left_out = list(grouping.small)
    for group in grouping.large:
        name, rows = f"fairness[{group.name}].{metric}", len(group.rows)
        group_estimate = estimate(metric, predictions.take(group.rows), with_error=confidence is not None)
        if isinstance(group_estimate, str):
            left_out.append(group)
            message = f"{group_estimate} on these {rows:,} rows; bring rows of every class"
            yield inconclusive(name, message, rule=policy.on_inconclusive, observed=rows)
            continue
        groups.append(group)
        estimates.append(group_estimate)
        if limits.min is not None or limits.max is not None:
            interval = None if confidence is None else group_estimate.interval(confidence)
            yield _limit_check(
                name,
                group_estimate.value,
                threshold=limits,
                policy=policy,
                context=f"on {rows:,} rows",
                interval=interval,
                confidence=confidence,
            )
    name = f"fairness[{grouping.column}].{metric}"
    comparison_check = partial(
        _comparison_check,
        metric=metric,
        estimates=estimates,
        groups=groups,
        left_out=left_out,
        policy=policy,
        confidence=confidence,
    )
    if limits.difference is not None:
        yield comparison_check(f"{name}.difference", threshold=Threshold(min=None, max=limits.difference))
    if limits.ratio is not None:
        yield comparison_check(f"{name}.ratio", threshold=Threshold(min=limits.ratio, max=None))


def _comparison_check(
    name: str,
    *,
    metric: str,
    threshold: Threshold,
    estimates: Sequence[GroupEstimate],
    groups: Sequence[Slice],
    left_out: Sequence[Slice],
    policy: Fairness,
    confidence: float | None,
) -> Check:
    """The check of how far apart a metric is in the groups."""
    if len(estimates) < 2:
        return _too_few(name, groups, left_out=left_out, policy=policy)
    kind, values = name.rpartition(".")[2], np.array([group.value for group in estimates])
    if kind == "ratio" and (values.min() < 0 or values.max() == 0 or estimates[0].bounds[0] < 0):
        message = f"{metric} may be zero or negative, so a ratio is not meaningful; limit the `difference` instead"
        return inconclusive(name, message, rule=policy.on_inconclusive)
    interval = None
    if confidence is not None:
        centres = np.array([group.centre for group in estimates])
        errors = np.array([group.error for group in estimates])
        interval = spread_interval(
            kind, centres, errors=errors, confidence=confidence, freedom=min(group.freedom for group in estimates)
        )
    return _limit_check(
        name,
        spread(kind, values),
        threshold=threshold,
        policy=policy,
        context=_extremes(metric, values, groups=groups, left_out=left_out),
        interval=interval,
        confidence=confidence,
    )


def _too_few(name: str, groups: Sequence[Slice], *, left_out: Sequence[Slice], policy: Fairness) -> Check:
    message = f"only one group, {group_names(groups)}, can be judged" if groups else "no group can be judged"
    message += f" (left out: {group_names(left_out)})" if left_out else ""
    return inconclusive(name, f"{message}; bring rows of two groups at least to compare", rule=policy.on_inconclusive)


def _extremes(title: str, values: Array, *, groups: Sequence[Slice], left_out: Sequence[Slice]) -> str:
    smallest, greatest = int(values.argmin()), int(values.argmax())
    text = (
        f"between {title} {values[smallest]:.4f} of {groups[smallest].name} and {values[greatest]:.4f} of "
        f"{groups[greatest].name}, the extremes of {len(groups)} groups on "
        f"{sum(len(group.rows) for group in groups):,} rows"
    )
    return f"{text}, left out: {group_names(left_out)}" if left_out else text


def _limit_check(
    name: str,
    observed: float,
    *,
    threshold: Threshold,
    policy: Fairness,
    context: str,
    interval: Interval | None,
    confidence: float | None,
) -> Check:
    if interval is not None:
        interval = min(interval[0], observed), max(interval[1], observed)
    check = threshold_check(
        name,
        observed,
        threshold=threshold,
        rule=policy.on_inconclusive,
        scope=context,
        interval=interval,
        confidence=confidence,
    )
    if check.verdict is not Verdict.FAILED:
        return check
    return check.model_copy(update={"message": f"{check.message}; {_REMEDY}"})
