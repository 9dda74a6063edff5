"""Drift of each column from the baseline."""

from __future__ import annotations

from collections.abc import Sequence

from modelway.components.core.checks import Check, inconclusive
from modelway.components.core.config.data_policy import DataPolicy, Distances, Drift
from modelway.components.core.measures.time_parts import Days, part_names
from modelway.components.validate.distance_checks import Comparison
from modelway.components.validate.distributions import Distribution, TableStatistics


def drift_checks(
    current: TableStatistics,
    baseline: TableStatistics | None,
    *,
    policy: DataPolicy,
    label: str = "",
    columns: Sequence[str] = (),
) -> list[Check]:
    """A check for each column: its distances from the baseline, in the baseline's bins, and their significance.

    Of dates and times the parts are compared, where both tables span days enough; later times alone are no drift. A
    column of times that the policy has thresholds for is compared by its times too. Without a baseline, or with too few
    rows on either side, there is one inconclusive check.

    Args:
        current: This data's distributions in the baseline's bins.
        baseline: The baseline; None if there is none.
        policy: The policy's `data` section.
        label: The column whose check is named ``label_drift``.
        columns: The columns to compare; those that the baseline lacks are inconclusive.
    """
    section, rule = policy.drift, policy.on_inconclusive
    if baseline is None:
        message = "no approved model yet, so there is no baseline; this data becomes the first"
        return [inconclusive("drift", message, rule=rule)]
    comparison = Comparison(
        current,
        baseline,
        policy=section,
        rule=rule,
        rows=f"over {current.rows:,} rows against the baseline's {baseline.rows:,}",
        remedy="check the column's source, or retrain and raise the threshold",
    )
    row_check = comparison.too_few_rows("drift")
    if row_check is not None:
        return [row_check]
    thresholds = {
        name: limits
        for name, distribution in current.columns.items()
        if (limits := limits_of(name, distribution, policy=section, label=label, days=(current.days, baseline.days)))
    }
    names = {name: f"drift[{name}]" for name in (*current.columns, *columns)} | {label: f"label_drift[{label}]"}
    lacking = "the baseline has no column {!r} to compare with; the next approved model's will"
    return comparison.checks(thresholds, names) + [
        inconclusive(names[name], lacking.format(name), rule=rule) for name in columns if name not in baseline.columns
    ]


def limits_of(
    name: str, distribution: Distribution, *, policy: Drift, label: str, days: tuple[dict[str, Days], dict[str, Days]]
) -> Distances | None:
    """What a column, or a part of a column of times, is compared by; None: it is not compared.

    Args:
        name: The column, or ``column.part``.
        distribution: How it is distributed.
        policy: The policy's `data.drift`.
        label: The column for which the policy may have thresholds of its own.
        days: The days of both tables' columns of times.
    """
    column, part = part_names(days[0]).get(name, (name, ""))
    if part and not all(days_of_columns.get(column, Days()).show(part) for days_of_columns in days):
        return None
    if distribution.of_times and name not in policy.columns:
        return None
    return thresholds_of(column, policy, label=label)


def thresholds_of(column: str, policy: Drift, *, label: str) -> Distances:
    """The thresholds of a column: its own, or else those of the label, or of all columns."""
    return policy.columns.get(column) or (policy.label if column == label else None) or policy
