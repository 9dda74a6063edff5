"""Whether the model treats groups of people alike, by fairlearn's measures and by any metric in each group.

Rows are taken as independent of one another. The greatest minus the smallest of several groups is above zero
even where all are equal, the more so the more and the smaller the groups are; therefore the intervals here hold
for all pairs of groups at once, so that chance alone does not make a model fail.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from modelway.components.core.checks import Check, Verdict, inconclusive
from modelway.components.core.config.model_policy import Fairness, GroupLimits
from modelway.components.core.config.thresholds import Interval, Threshold, threshold_check
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Array, Predictions
from modelway.components.evaluate.groups import Grouping, groupings, named
from modelway.components.evaluate.slices import Slice
from modelway.components.evaluate.statistics.group_estimates import Estimate, apart, estimate, point

_MOST_SMALL = 20
_REMEDY = (
    "look for features that stand in for the group, mitigate it (`fairlearn.reductions`, "
    "`fairlearn.postprocessing`), or waive it with a reason"
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
    """The checks of how alike the model treats the groups that some columns make.

    ``fairness[sex].demographic_parity_difference`` and its like are fairlearn's measures of a binary task;
    ``fairness[sex=F].recall`` is a metric in one group, ``fairness[sex].recall.difference`` (greatest minus smallest)
    and ``fairness[sex].recall.ratio`` (smallest by greatest) compare the groups. Intersections are of each pair of
    columns, whose names a multiplication sign joins. A group with fewer rows than the policy's minimum is inconclusive
    by a check of its own, ``fairness[sex=X]``, and is left out of the comparisons of the others.

    Args:
        predictions: The model's, of the test rows.
        table: The raw columns of the same rows.
        columns: What makes the groups.
        policy: What is asked for.
        confidence: The level of each check's interval; None: judged by the point alone.

    Raises:
        ModelwayError: no column is named, one is not in the data or has too many values to make groups, or a
            measure of fairlearn is asked for where the task is not binary.
    """
    if not columns:
        raise ModelwayError(
            "the policy asks for fairness, but names no column that makes groups",
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
        for measure, asked in policy.metrics.items():
            checks += _measure_checks(
                measure, asked, predictions=predictions, grouping=grouping, policy=policy, confidence=confidence
            )
        for metric, limits in policy.groups.items():
            checks += _metric_checks(
                metric, limits, predictions=predictions, grouping=grouping, policy=policy, confidence=confidence
            )
    return checks


def _small_checks(grouping: Grouping, policy: Fairness) -> Iterator[Check]:
    """A check for each small group; one for all where there are many, as intersections make them."""
    least = f"{policy.minimum_rows:,}"
    asked = f"the policy asks for {least} to judge a group by: bring more of them, or lower `minimum_rows`"
    if len(grouping.small) > _MOST_SMALL:
        message = f"{len(grouping.small)} groups have too few rows, {named(grouping.small)}; {asked}"
        yield inconclusive(f"fairness[{grouping.column}].small_groups", message, rule=policy.on_inconclusive)
        return
    for group in grouping.small:
        rows = len(group.rows)
        message = f"{rows:,} rows; {asked}"
        yield inconclusive(
            f"fairness[{group.name}]",
            message,
            rule=policy.on_inconclusive,
            observed=rows,
            threshold=policy.minimum_rows,
        )


def _measure_checks(
    measure: str,
    asked: Threshold,
    *,
    predictions: Predictions,
    grouping: Grouping,
    policy: Fairness,
    confidence: float | None,
) -> Iterator[Check]:
    """The check of one of fairlearn's measures, after one for each group that it is not defined in."""
    truth, predicted = predictions.truth == 1, predictions.predicted == 1
    needs = [] if measure.startswith("demographic") else [("positive", truth)]
    needs += [("negative", ~truth)] if measure.startswith("equalized") else []
    kept, left_out = [], list(grouping.small)
    for group in grouping.judged:
        lacks = next((title for title, rows in needs if not rows[group.rows].any()), None)
        if lacks is None:
            kept.append(group)
            continue
        left_out.append(group)
        message = f"none of {len(group.rows):,} rows is {lacks} in truth, which the measure needs; bring such rows"
        yield inconclusive(f"fairness[{group.name}].{measure}", message, rule=policy.on_inconclusive)
    name, kind = f"fairness[{grouping.column}].{measure}", measure.rpartition("_")[2]
    if len(kept) < 2:
        yield _too_few(name, kept, left_out=left_out, policy=policy)
        return
    observed = _fairlearn(measure, truth, predicted=predicted, groups=kept)
    rates = list(_rates(measure, truth, predicted=predicted, groups=kept))
    if not np.isfinite(observed) or any(not rate.hits.any() for rate in rates if kind == "ratio"):
        message = "a ratio is not defined where a rate is zero in every group; limit the difference instead"
        yield inconclusive(name, message, rule=policy.on_inconclusive)
        return
    worst = max if kind == "difference" else min
    interval = None
    if confidence is not None:
        # Two rates are of different rows, so independent: both intervals hold together at the level asked for.
        level = confidence ** (1 / len(rates))
        centres = [rate.centre() for rate in rates]
        found = [apart(kind, values, errors=errors, confidence=level) for values, errors in centres]
        interval = worst(low for low, _ in found), worst(high for _, high in found)
    decides = worst(rates, key=lambda rate: point(kind, rate.hits / rate.of))
    where = _where(decides.title, decides.hits / decides.of, groups=kept, left_out=left_out)
    yield _judged(name, observed, asked=asked, policy=policy, where=where, interval=interval, confidence=confidence)


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
    """The value that fairlearn gives from the counts of truth and prediction in each group: quick on any size."""
    cells = [
        (number, one, other, int(((truth[group.rows] == one) & (predicted[group.rows] == other)).sum()))
        for number, group in enumerate(groups)
        for one, other in itertools.product((0, 1), repeat=2)
    ]
    member, true, said, count = np.array([cell for cell in cells if cell[3]]).T
    function: Any = getattr(importlib.import_module("fairlearn.metrics"), measure)
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(function(true, said, sensitive_features=member, sample_weight=count))


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
    estimates: list[Estimate] = []
    left_out = list(grouping.small)
    for group in grouping.judged:
        name, rows = f"fairness[{group.name}].{metric}", len(group.rows)
        found = estimate(metric, predictions.take(group.rows), with_error=confidence is not None)
        if isinstance(found, str):
            left_out.append(group)
            message = f"{found} on these {rows:,} rows; bring rows of every kind"
            yield inconclusive(name, message, rule=policy.on_inconclusive, observed=rows)
            continue
        groups.append(group)
        estimates.append(found)
        if limits.min is not None or limits.max is not None:
            interval = None if confidence is None else found.interval(confidence)
            yield _judged(
                name,
                found.value,
                asked=limits,
                policy=policy,
                where=f"on {rows:,} rows",
                interval=interval,
                confidence=confidence,
            )
    name = f"fairness[{grouping.column}].{metric}"
    where = groups, left_out
    if limits.difference is not None:
        asked = Threshold(min=None, max=limits.difference)
        yield _compared(
            f"{name}.difference",
            metric,
            asked=asked,
            estimates=estimates,
            where=where,
            policy=policy,
            confidence=confidence,
        )
    if limits.ratio is not None:
        asked = Threshold(min=limits.ratio, max=None)
        yield _compared(
            f"{name}.ratio", metric, asked=asked, estimates=estimates, where=where, policy=policy, confidence=confidence
        )


def _compared(
    name: str,
    metric: str,
    *,
    asked: Threshold,
    estimates: Sequence[Estimate],
    where: tuple[Sequence[Slice], Sequence[Slice]],
    policy: Fairness,
    confidence: float | None,
) -> Check:
    """The check of how far apart a metric is in the groups; `where` is those groups, and those left out."""
    if len(estimates) < 2:
        return _too_few(name, where[0], left_out=where[1], policy=policy)
    kind, values = name.rpartition(".")[2], np.array([found.value for found in estimates])
    if kind == "ratio" and (values.min() < 0 or values.max() == 0 or estimates[0].bounds[0] < 0):
        message = f"{metric} may be zero or below, so that a ratio says nothing; limit the `difference` instead"
        return inconclusive(name, message, rule=policy.on_inconclusive)
    interval = None
    if confidence is not None:
        centres = np.array([found.centre for found in estimates])
        errors = np.array([found.error for found in estimates])
        interval = apart(
            kind, centres, errors=errors, confidence=confidence, freedom=min(found.freedom for found in estimates)
        )
    return _judged(
        name,
        point(kind, values),
        asked=asked,
        policy=policy,
        where=_where(metric, values, groups=where[0], left_out=where[1]),
        interval=interval,
        confidence=confidence,
    )


def _too_few(name: str, kept: Sequence[Slice], *, left_out: Sequence[Slice], policy: Fairness) -> Check:
    message = f"only one group, {named(kept)}, can be judged" if kept else "no group can be judged"
    message += f" (left out: {named(left_out)})" if left_out else ""
    return inconclusive(name, f"{message}; bring rows of two groups at least to compare", rule=policy.on_inconclusive)


def _where(title: str, values: Array, *, groups: Sequence[Slice], left_out: Sequence[Slice]) -> str:
    least, most = int(values.argmin()), int(values.argmax())
    text = (
        f"between {title} {values[least]:.4f} of {groups[least].name} and {values[most]:.4f} of {groups[most].name}, "
        f"the extremes of {len(groups)} groups on {sum(len(group.rows) for group in groups):,} rows"
    )
    return f"{text}, left out: {named(left_out)}" if left_out else text


def _judged(
    name: str,
    observed: float,
    *,
    asked: Threshold,
    policy: Fairness,
    where: str,
    interval: Interval | None,
    confidence: float | None,
) -> Check:
    if interval is not None:
        interval = min(interval[0], observed), max(interval[1], observed)
    check = threshold_check(
        name,
        observed,
        threshold=asked,
        rule=policy.on_inconclusive,
        scope=where,
        interval=interval,
        confidence=confidence,
    )
    if check.verdict is not Verdict.FAILED:
        return check
    return check.model_copy(update={"message": f"{check.message}; {_REMEDY}"})
