"""Metrics on the slices of the test split, each by itself and against all rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from modelway.components.core.checks import Check, inconclusive
from modelway.components.core.config.model_policy import Slices
from modelway.components.core.config.thresholds import Threshold, threshold_check
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Predictions
from modelway.components.evaluate.slices import Slice
from modelway.components.evaluate.statistics.intervals import Estimate, Part, compare, measure
from modelway.components.evaluate.statistics.resampling import Sampling


def slice_checks(
    predictions: Predictions, slices: Iterable[Slice], *, sampling: Sampling, policy: Slices
) -> list[Check]:
    """Checks of each slice by itself and against all rows; inconclusive for a slice that is small or has one class."""
    checks = []
    for part in slices:
        rows, inside = len(part.rows), Part(predictions, part.rows)
        reason = obstacle(predictions, part.rows, minimum=policy.minimum_rows)
        check = partial(_part_check, part, reason=reason, confidence=sampling.confidence, policy=policy)
        for metric, threshold in policy.metrics.items():
            estimate, where = partial(measure, metric, inside, sampling=sampling), f"on {rows:,} rows"
            checks.append(check("slice", metric=metric, estimate=estimate, threshold=threshold, where=where))
        for metric, most in policy.max_gap.items():
            difference = partial(compare, metric, Part(predictions), second=inside, sampling=sampling)
            where = f"worse in {metric} on these {rows:,} rows than on all {sampling.rows:,}"
            gap = Threshold(max=most)
            checks.append(check("slice_gap", metric=metric, estimate=difference, threshold=gap, where=where))
    return checks


def obstacle(predictions: Predictions, rows: np.ndarray[tuple[int], np.dtype[np.int64]], *, minimum: int) -> str:
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
        return inconclusive(name, reason, rule=rule, observed=rows, threshold=least)
    return threshold_check(
        name,
        found.value,
        threshold=threshold,
        rule=rule,
        scope=where,
        interval=found.interval,
        confidence=confidence,
    )
