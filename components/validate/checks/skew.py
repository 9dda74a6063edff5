"""Skew: how far what is served is from what is trained on, feature by feature."""

from __future__ import annotations

from modelway.components.core.checks import Check
from modelway.components.core.config.data_policy import DataPolicy
from modelway.components.validate.distance_checks import Comparison
from modelway.components.validate.distributions import TableStatistics


def skew_checks(serving: TableStatistics, train: TableStatistics, *, policy: DataPolicy) -> list[Check]:
    """A check for each feature: the distances of the serving data from the training split, in the latter's bins.

    Args:
        serving: The serving table's distributions in the training split's bins.
        train: The training split's distributions.
        policy: The policy's `data` section.
    """
    comparison = Comparison(
        serving,
        train,
        policy=policy.skew,
        rule=policy.on_inconclusive,
        rows=f"over {serving.rows:,} rows of the serving data against the {train.rows:,} trained on",
        remedy="compute the column alike for training and serving, or train on serving data",
    )
    row_check = comparison.too_few_rows("skew")
    if row_check is not None:
        return [row_check]
    names = {name: f"skew[{name}]" for name in serving.columns}
    return comparison.checks(dict.fromkeys(names, policy.skew), names)
