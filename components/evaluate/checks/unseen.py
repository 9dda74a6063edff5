"""Metrics on the unseen split."""

from __future__ import annotations

from modelway.components.core.checks import Check, inconclusive
from modelway.components.core.config.model_policy import ModelPolicy
from modelway.components.core.measures.metrics import Predictions
from modelway.components.evaluate.checks.metrics import threshold_checks
from modelway.components.evaluate.statistics.intervals import Subset, measure
from modelway.components.evaluate.statistics.resampling import Resampling


def unseen_checks(predictions: Predictions | None, resampling: Resampling, *, policy: ModelPolicy) -> list[Check]:
    """Thresholds on the unseen split; inconclusive where there is none.

    Args:
        predictions: Of the unseen rows; None if there are none.
        resampling: How the unseen rows were drawn.
        policy: The policy's `model` section.
    """
    rule = policy.on_inconclusive
    if predictions is None:
        message = "there are no unseen rows; hold some back with `data.split.unseen_fraction` in the project file"
        return [inconclusive(f"unseen[{metric}]", message, rule=rule) for metric in policy.unseen]
    estimates = {metric: measure(metric, Subset(predictions), resampling=resampling) for metric in policy.unseen}
    return threshold_checks(
        "unseen", estimates, resampling=resampling, thresholds=policy.unseen, rule=rule, split="unseen"
    )
