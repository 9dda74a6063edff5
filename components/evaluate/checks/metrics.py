"""The model gate's checks against thresholds: on the test split, on the unseen one, and on slices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import numpy as np

from modelway.components.core.checks import Check, OnInconclusive, inconclusive, passed_or_failed
from modelway.components.core.config.model_policy import ModelPolicy, Slices
from modelway.components.core.config.thresholds import Threshold, threshold_check
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Predictions
from modelway.components.evaluate.slices import Slice
from modelway.components.evaluate.statistics.intervals import Estimate, Part, compare, measure
from modelway.components.evaluate.statistics.resampling import Sampling


def row_checks(rows: int, policy: ModelPolicy) -> list[Check]:
    """A check of how many test rows there are, unless they suffice: none fails, few are inconclusive."""
    if rows == 0:
        message = "the test split has no rows: nothing can be measured; look at `data.split` and at the source"
        return [passed_or_failed("test_rows", passed=False, message=message, observed=0, threshold=policy.minimum_rows)]
    if rows < policy.minimum_rows:
        message = (
            f"{rows:,} test rows; the policy asks for {policy.minimum_rows:,} to judge a model by; bring more data, or "
            "raise `data.split.test_fraction`"
        )
        return [
            inconclusive("test_rows", message, policy.on_inconclusive, observed=rows, threshold=policy.minimum_rows)
        ]
    return []


def threshold_checks(
    kind: str,
    estimates: Mapping[str, Estimate],
    sampling: Sampling,
    thresholds: Mapping[str, Threshold],
    rule: OnInconclusive,
    *,
    split: str = "test",
) -> list[Check]:
    """A check ``kind[metric]`` for each threshold, by the metric's confidence interval on a split.

    Args:
        kind: ``metric`` or ``unseen``.
        estimates: What was measured, by metric.
        sampling: How the split's rows were drawn.
        thresholds: What is asked, by metric.
        rule: What to do where the rows cannot tell.
        split: What the split is called.
    """
    where = f"on {sampling.rows:,} {split} rows"
    checks = []
    for metric, threshold in thresholds.items():
        found, name = estimates[metric], f"{kind}[{metric}]"
        if np.isnan(found.value):
            message = f"{metric} is not defined {where}; bring rows of every class"
            checks.append(inconclusive(name, message, rule))
            continue
        checks.append(
            threshold_check(
                name,
                found.value,
                threshold,
                rule,
                where=where,
                interval=found.interval,
                confidence=sampling.confidence,
            )
        )
    return checks


def unseen_checks(predictions: Predictions | None, sampling: Sampling, policy: ModelPolicy) -> list[Check]:
    """Thresholds on the unseen split; inconclusive where there is none.

    Args:
        predictions: Of the unseen rows; None if there are no rows.
        sampling: How the unseen rows were drawn.
        policy: What is asked.
    """
    rule = policy.on_inconclusive
    if predictions is None:
        message = "there are no unseen rows; hold some back with `data.split.unseen_fraction` in the project file"
        return [inconclusive(f"unseen[{metric}]", message, rule) for metric in policy.unseen]
    estimates = {metric: measure(metric, Part(predictions), sampling) for metric in policy.unseen}
    return threshold_checks("unseen", estimates, sampling, policy.unseen, rule, split="unseen")


def slice_checks(predictions: Predictions, slices: Iterable[Slice], sampling: Sampling, policy: Slices) -> list[Check]:
    """Checks of each slice by itself and against all rows; inconclusive for a slice that is small or has one class."""
    checks = []
    for part in slices:
        rows, inside = len(part.rows), Part(predictions, part.rows)
        reason = obstacle(predictions, part.rows, policy.minimum_rows)
        check = partial(_part_check, part, reason=reason, confidence=sampling.confidence, policy=policy)
        for metric, threshold in policy.metrics.items():
            estimate, where = partial(measure, metric, inside, sampling), f"on {rows:,} rows"
            checks.append(check("slice", metric=metric, estimate=estimate, threshold=threshold, where=where))
        for metric, most in policy.max_gap.items():
            difference = partial(compare, metric, Part(predictions), inside, sampling)
            where = f"worse in {metric} on these {rows:,} rows than on all {sampling.rows:,}"
            gap = Threshold(max=most)
            checks.append(check("slice_gap", metric=metric, estimate=difference, threshold=gap, where=where))
    return checks


def obstacle(predictions: Predictions, rows: np.ndarray[tuple[int], np.dtype[np.int64]], minimum: int) -> str:
    """Why some rows tell nothing of a metric: too few, or of one class; empty if they may."""
    count = len(rows)
    if count < minimum:
        return f"{count:,} rows; the policy asks for {minimum:,} to judge a part of the split by; bring more of them"
    if predictions.classes and len(np.unique(predictions.truth[rows])) < 2:
        return f"these {count:,} rows hold one class only, which tells nothing about a model; bring rows of every class"
    return ""


def _part_check(
    part: Slice,
    kind: str,
    *,
    metric: str,
    estimate: Callable[[], Estimate],
    threshold: Threshold,
    where: str,
    reason: str,
    confidence: float | None,
    policy: Slices,
) -> Check:
    """The check of one estimate on a part of the split; `reason` says why there can be none."""
    name, rows, rule = f"{kind}[{part.name}].{metric}", len(part.rows), policy.on_inconclusive
    try:
        found = None if reason else estimate()
    except ModelwayError as error:
        found, reason = None, error.message
    if found is None or np.isnan(found.value):
        reason = reason or f"{metric} is not defined on these {rows:,} rows; bring rows of every class"
        least = policy.minimum_rows if rows < policy.minimum_rows else None
        return inconclusive(name, reason, rule, observed=rows, threshold=least)
    return threshold_check(
        name, found.value, threshold, rule, where=where, interval=found.interval, confidence=confidence
    )
