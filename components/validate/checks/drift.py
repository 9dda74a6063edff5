"""Drift of each column from the baseline."""

from __future__ import annotations

from collections.abc import Sequence

from modelway.components.core.checks import Check, inconclusive
from modelway.components.core.config.data_policy import DataPolicy, Distances, Drift
from modelway.components.validate.distance_checks import Comparison
from modelway.components.validate.distributions import TableStatistics
from modelway.components.validate.time_parts import PARTS, is_comparable


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
    times = {f"{column}.{part}": (column, part) for column in current.days for part in PARTS}
    thresholds = {
        name: thresholds_of(times.get(name, (name, ""))[0], section, label=label)
        for name, distribution in current.columns.items()
        if (not distribution.of_times or name in section.columns) and _is_comparable(times.get(name), current, baseline)
    }
    names = {name: f"drift[{name}]" for name in (*current.columns, *columns)} | {label: f"label_drift[{label}]"}
    lacking = "the baseline has no column {!r} to compare with; the next approved model's will"
    return comparison.checks(thresholds, names) + [
        inconclusive(names[name], lacking.format(name), rule=rule) for name in columns if name not in baseline.columns
    ]


def _is_comparable(part: tuple[str, str] | None, *tables: TableStatistics) -> bool:
    """Whether both tables span days enough for a part of a time; what is no part is compared."""
    return part is None or all(is_comparable(part[1], table.days.get(part[0], 0)) for table in tables)


def thresholds_of(column: str, policy: Drift, *, label: str) -> Distances:
    """The thresholds of a column: its own, or else those of the label, or of all columns."""
    return policy.columns.get(column) or (policy.label if column == label else None) or policy
