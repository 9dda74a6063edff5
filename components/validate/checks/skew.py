"""Skew: how far what is served is from what is trained on, feature by feature."""

from __future__ import annotations

from modelway.components.core.checks import Check
from modelway.components.core.config.data_policy import DataPolicy, Distances
from modelway.components.validate.distance_checks import Wording, distance_checks, too_few_rows
from modelway.components.validate.distributions import TableStatistics

_WORDING = Wording(
    "{} rows of the serving data",
    "the {} trained on",
    "compute the column alike for training and serving, or train on serving data",
)


def skew_checks(serving: TableStatistics, train: TableStatistics, *, policy: DataPolicy) -> list[Check]:
    """A check for each feature: the distances of the serving data from the training split, in the latter's bins.

    Args:
        serving: The serving table's distributions in the training split's bins.
        train: The training split's distributions.
        policy: The policy's `data` section.
    """
    section = policy.skew
    row_check = too_few_rows(
        "skew", serving, reference=train, minimum_rows=section.minimum_rows, rule=policy.on_inconclusive
    )
    if row_check is not None:
        return [row_check]
    thresholds: dict[str, Distances] = dict.fromkeys(serving.columns, section)
    names = {name: f"skew[{name}]" for name in serving.columns}
    return distance_checks(
        serving,
        train,
        thresholds=thresholds,
        names=names,
        alpha=section.alpha,
        rule=policy.on_inconclusive,
        wording=_WORDING,
    )
