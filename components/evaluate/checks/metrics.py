"""Metrics on the test rows against the policy's thresholds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from modelway.components.core.checks import Check, OnInconclusive, inconclusive
from modelway.components.core.config.thresholds import Threshold, threshold_check
from modelway.components.evaluate.statistics.intervals import Estimate


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
            message = f"{metric} is not defined {scope}; bring rows of every class"
            checks.append(inconclusive(name, message, rule=rule))
        else:
            checks.append(estimate_check(name, estimate, threshold=threshold, rule=rule, scope=scope))
    return checks


def estimate_check(name: str, estimate: Estimate, *, threshold: Threshold, rule: OnInconclusive, scope: str) -> Check:
    """A check of an estimate by its confidence interval; ``scope`` says what it was measured on."""
    return threshold_check(
        name,
        estimate.value,
        threshold=threshold,
        rule=rule,
        scope=scope,
        interval=estimate.interval,
        confidence=estimate.confidence,
    )
