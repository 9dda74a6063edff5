"""Drift of each column from the baseline."""

from __future__ import annotations

from collections.abc import Sequence

from modelway.components.core.checks import Check, inconclusive
from modelway.components.core.config.data_policy import DataPolicy
from modelway.components.validate.distance_checks import Wording, distance_checks, too_few_rows
from modelway.components.validate.distributions import TableStatistics

_WORDING = Wording("{} rows", "the baseline's {}", "check the column's source, or retrain and raise the threshold")


def drift_checks(
    current: TableStatistics,
    baseline: TableStatistics | None,
    *,
    policy: DataPolicy,
    label: str = "",
    columns: Sequence[str] = (),
) -> list[Check]:
    """A check for each column: its distances from the baseline, in the baseline's bins, and their significance.

    Without a baseline, or with too few rows on either side, there is one inconclusive check.

    Args:
        current: This data's distributions in the baseline's bins.
        baseline: The baseline; None if there is none.
        policy: The policy's `data` section.
        label: The column whose check is named ``label_drift``.
        columns: The columns to compare; those that the baseline lacks are inconclusive.
    """
    section = policy.drift
    if baseline is None:
        message = "no approved model yet, so there is no baseline; this data becomes the first"
        return [inconclusive("drift", message, rule=policy.on_inconclusive)]
    row_check = too_few_rows(
        "drift", current, reference=baseline, minimum_rows=section.minimum_rows, rule=policy.on_inconclusive
    )
    if row_check is not None:
        return [row_check]
    thresholds = {name: section.columns.get(name, section) for name in current.columns}
    if label in thresholds and label not in section.columns:
        thresholds[label] = section.label or section

    def check_name(column: str) -> str:
        return f"label_drift[{column}]" if column == label else f"drift[{column}]"

    names = {name: check_name(name) for name in current.columns}
    checks = distance_checks(
        current,
        baseline,
        thresholds=thresholds,
        names=names,
        alpha=section.alpha,
        rule=policy.on_inconclusive,
        wording=_WORDING,
    )
    return checks + [
        inconclusive(
            check_name(name),
            f"the baseline has no column {name!r} to compare with; the next approved model's will",
            rule=policy.on_inconclusive,
        )
        for name in columns
        if name not in baseline.columns
    ]
