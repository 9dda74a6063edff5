"""Skew: how far what is served is from what is trained on, feature by feature."""

from __future__ import annotations

from modelway.components.core.checks import Check
from modelway.components.core.config.data_policy import DataPolicy, Distances
from modelway.components.validate.distance_checks import Wording, distance_checks, too_few_rows
from modelway.components.validate.distributions import Baseline

_WORDING = Wording(
    "{} rows of the serving data",
    "the {} trained on",
    "compute the column alike for training and serving, or train on what is served",
)


def skew_checks(serving: Baseline, train: Baseline, *, policy: DataPolicy) -> list[Check]:
    """A check for each feature: the distances of what is served from what is trained on, in the latter's bins.

    Args:
        serving: The serving table's distributions in the training split's bins.
        train: The training split's distributions.
        policy: The thresholds.
    """
    asked = policy.skew
    few = too_few_rows("skew", serving, reference=train, least=asked.minimum_rows, rule=policy.on_inconclusive)
    if few is not None:
        return [few]
    thresholds: dict[str, Distances] = dict.fromkeys(serving.columns, asked)
    names = {name: f"skew[{name}]" for name in serving.columns}
    return distance_checks(
        serving,
        train,
        thresholds=thresholds,
        names=names,
        alpha=asked.alpha,
        rule=policy.on_inconclusive,
        wording=_WORDING,
    )
