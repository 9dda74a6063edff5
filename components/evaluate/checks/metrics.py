"""Metrics on the test rows against the policy's thresholds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from modelway.components.core.checks import Check, OnInconclusive, Verdict, inconclusive, judged
from modelway.components.core.config.thresholds import Threshold
from modelway.components.evaluate.statistics.estimates import Estimate


def threshold_checks(
    kind: str,
    estimates: Mapping[str, Estimate],
    *,
    scope: str,
    thresholds: Mapping[str, Threshold],
    rule: OnInconclusive,
) -> list[Check]:
    """A check ``kind[metric]`` for each threshold, judged by the metric's confidence interval on a split.

    Args:
        kind: ``metric`` or ``unseen``.
        estimates: The measured metrics, by name.
        scope: What they were measured on: ``on 512 test rows``.
        thresholds: The policy's, by metric.
        rule: What an inconclusive check does.
    """
    checks = []
    for metric, threshold in thresholds.items():
        estimate, name = estimates[metric], f"{kind}[{metric}]"
        if np.isnan(estimate.value):
            message = estimate.reason or f"{metric} is not defined {scope}; bring rows of every class"
            checks.append(inconclusive(name, message, rule=rule))
        else:
            checks.append(estimate_check(name, estimate, threshold=threshold, rule=rule, scope=scope))
    return checks


def estimate_check(name: str, estimate: Estimate, *, threshold: Threshold, rule: OnInconclusive, scope: str) -> Check:
    """A check of an estimate: by its confidence interval where there is one, else by the point alone.

    Args:
        name: The check's name.
        estimate: What was measured.
        threshold: What is asked for.
        rule: What to do where the interval straddles the threshold.
        scope: What it was measured on, to be read after the value: ``on 512 rows``.
    """
    value, interval, message = estimate.value, estimate.interval, f"{estimate.value:.4f}"
    verdict = Verdict.INCONCLUSIVE if estimate.reason else threshold.judge(interval or (value, value))
    if interval is not None and estimate.confidence is not None:
        message += f" ({estimate.confidence:.0%} interval {interval[0]:.4f} to {interval[1]:.4f})"
    message += f" {scope}; the policy requires {threshold}"
    if estimate.reason:
        message += f"; nothing is certain: {estimate.reason}; bring more rows"
    elif verdict is Verdict.INCONCLUSIVE and interval is not None and np.isinf(interval).any():
        message += (
            "; rows to come may exceed whatever was seen, so it can fail and never pass: judge a metric of all rows, "
            "such as mean_absolute_error"
        )
    elif verdict is Verdict.INCONCLUSIVE:
        message += "; too few rows to decide: bring more, or relax the threshold"
    return judged(
        name,
        verdict,
        message=message,
        rule=rule,
        observed=round(value, 6),
        interval=(round(interval[0], 6), round(interval[1], 6)) if interval is not None else None,
        threshold=threshold.nearest(value),
    )
