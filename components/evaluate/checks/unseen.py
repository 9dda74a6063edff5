"""Metrics on the unseen split."""

from __future__ import annotations

from modelway.components.core.checks import Check, inconclusive
from modelway.components.core.config.model_policy import ModelPolicy
from modelway.components.evaluate.checks.metrics import threshold_checks
from modelway.components.evaluate.predicting import Candidate
from modelway.components.evaluate.statistics.estimates import Subset
from modelway.components.evaluate.statistics.intervals import measure


def unseen_checks(unseen: Candidate | None, policy: ModelPolicy) -> list[Check]:
    """Thresholds on the unseen split; inconclusive where there is none.

    Args:
        unseen: The model on the unseen rows; None if there are none.
        policy: The policy's `model` section.
    """
    rule = policy.on_inconclusive
    if unseen is None:
        message = "there are no unseen rows; hold some back with `data.split.unseen_fraction` in the project file"
        return [inconclusive(f"unseen[{metric}]", message, rule=rule) for metric in policy.unseen]
    subset, scope = Subset(unseen.predictions), f"on {len(unseen.table):,} unseen rows"
    estimates = {metric: measure(metric, subset, resampling=unseen.resampling) for metric in policy.unseen}
    return threshold_checks("unseen", estimates, scope=scope, thresholds=policy.unseen, rule=rule)
