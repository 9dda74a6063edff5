"""Metrics on the test rows against the policy's thresholds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from modelway.components.core.checks import Check, OnInconclusive, inconclusive
from modelway.components.core.config.thresholds import Threshold, threshold_check
from modelway.components.evaluate.statistics.intervals import Estimate
from modelway.components.evaluate.statistics.resampling import Resampling


def threshold_checks(
    kind: str,
    estimates: Mapping[str, Estimate],
    *,
    resampling: Resampling,
    thresholds: Mapping[str, Threshold],
    rule: OnInconclusive,
    split: str = "test",
) -> list[Check]:
    """A check ``kind[metric]`` for each threshold, judged by the metric's confidence interval on a split.

    Args:
        kind: ``metric`` or ``unseen``.
        estimates: The measured metrics, by name.
        resampling: How the split's rows were drawn.
        thresholds: The policy's, by metric.
        rule: What an inconclusive check does.
        split: What the split is called.
    """
    context = f"on {resampling.rows:,} {split} rows"
    checks = []
    for metric, threshold in thresholds.items():
        estimate, name = estimates[metric], f"{kind}[{metric}]"
        if np.isnan(estimate.value):
            message = f"{metric} is not defined {context}; bring rows of every class"
            checks.append(inconclusive(name, message, rule=rule))
            continue
        checks.append(
            threshold_check(
                name,
                estimate.value,
                threshold=threshold,
                rule=rule,
                scope=context,
                interval=estimate.interval,
                confidence=resampling.confidence,
            )
        )
    return checks
