"""Metrics on the slices of the test split, each by itself and against all rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from modelway.components.core.checks import Check, inconclusive
from modelway.components.core.config.model_policy import Slices
from modelway.components.core.config.thresholds import Threshold
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Array, Predictions
from modelway.components.evaluate.checks.metrics import estimate_check
from modelway.components.evaluate.sample import Sample
from modelway.components.evaluate.slices import Slice, why_not_measurable
from modelway.components.evaluate.statistics.comparisons import compare
from modelway.components.evaluate.statistics.estimates import Estimate, Subset
from modelway.components.evaluate.statistics.intervals import measure
from modelway.components.evaluate.statistics.resampling import Resampling


def slice_checks(sample: Sample, slices: Iterable[Slice], *, policy: Slices) -> list[Check]:
    """Checks of each slice by itself and against all rows; inconclusive for a slice that is small or has one class."""
    checks = []
    for part in slices:
        rows = sample.count_of(part.rows)
        reason = why_not_measurable(sample.repeats[0], part.rows, minimum_rows=policy.minimum_rows)
        check = partial(_part_check, part=part, reason=reason, policy=policy)
        for metric, threshold in policy.metrics.items():
            estimate = partial(sample.estimate, metric, partial(_slice_metric, metric, rows=part.rows))
            checks.append(check("slice", metric, estimate=estimate, threshold=threshold, scope=f"on {rows}"))
        for metric, limit in policy.max_gap.items():
            difference = partial(sample.estimate, metric, partial(_slice_gap, metric, rows=part.rows))
            comma = "," if sample.out_of_fold_rows else ""
            scope = f"worse in {metric} on these {rows}{comma} than on all {len(sample.table):,}"
            gap = Threshold(max=limit)
            checks.append(check("slice_gap", metric, estimate=difference, threshold=gap, scope=scope))
    return checks


def _slice_metric(metric: str, predictions: Predictions, resampling: Resampling, *, rows: Array) -> Estimate:
    return measure(metric, Subset(predictions, rows), resampling=resampling)


def _slice_gap(metric: str, predictions: Predictions, resampling: Resampling, *, rows: Array) -> Estimate:
    """How much better the metric is on all rows than on the slice."""
    return compare(metric, Subset(predictions), second=Subset(predictions, rows), resampling=resampling)


def _part_check(
    kind: str,
    metric: str,
    *,
    part: Slice,
    estimate: Callable[[], Estimate],
    threshold: Threshold,
    scope: str,
    reason: str,
    policy: Slices,
) -> Check:
    """The check of one estimate on a slice; inconclusive with the reason, if there is one."""
    name, rows, rule = f"{kind}[{part.name}].{metric}", len(part.rows), policy.on_inconclusive
    try:
        result = None if reason else estimate()
    except ModelwayError as error:
        result, reason = None, error.message
    if result is None or np.isnan(result.value):
        reason = (
            reason
            or (result.reason if result else "")
            or f"{metric} is not defined on these {rows:,} rows; bring rows of every class"
        )
        least = policy.minimum_rows if rows < policy.minimum_rows else None
        return inconclusive(name, reason, rule=rule, observed=rows, threshold=least)
    return estimate_check(name, result, threshold=threshold, rule=rule, scope=scope)
