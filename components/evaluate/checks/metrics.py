"""Metrics on the test rows against the policy's thresholds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from modelway.components.core.checks import Check, OnInconclusive, inconclusive
from modelway.components.core.config.thresholds import Threshold, threshold_check
from modelway.components.evaluate.statistics.intervals import Estimate
from modelway.components.evaluate.statistics.resampling import Sampling


def threshold_checks(
    kind: str,
    estimates: Mapping[str, Estimate],
    *,
    sampling: Sampling,
    thresholds: Mapping[str, Threshold],
    rule: OnInconclusive,
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
            checks.append(inconclusive(name, message, rule=rule))
            continue
        checks.append(
            threshold_check(
                name,
                found.value,
                threshold=threshold,
                rule=rule,
                scope=where,
                interval=found.interval,
                confidence=sampling.confidence,
            )
        )
    return checks
