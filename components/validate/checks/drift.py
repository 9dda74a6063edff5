"""Drift of each column from the baseline."""

from __future__ import annotations

from collections.abc import Sequence

from modelway.components.core.checks import Check, inconclusive
from modelway.components.core.config.data_policy import DataPolicy
from modelway.components.validate.distance_checks import Wording, distance_checks, too_few_rows
from modelway.components.validate.distributions import Baseline

_WORDING = Wording(
    "{} rows", "the baseline's {}", "look at the column's source, or retrain on purpose and raise the threshold"
)


def drift_checks(
    current: Baseline, baseline: Baseline | None, *, policy: DataPolicy, label: str = "", columns: Sequence[str] = ()
) -> list[Check]:
    """A check for each column: its distances from the baseline in the baseline's bins, and how certain they are.

    Without a baseline, or with too few rows on either side, the answer is inconclusive and says so once.

    Args:
        current: This data's distributions in the baseline's bins.
        baseline: What is compared with, if there is anything.
        policy: The thresholds.
        label: The column whose check is named ``label_drift``.
        columns: The columns to be compared; those that the baseline lacks are inconclusive.
    """
    asked = policy.drift
    if baseline is None:
        message = "no approved model yet, so no baseline to compare with; this data becomes the first"
        return [inconclusive("drift", message, rule=policy.on_inconclusive)]
    few = too_few_rows("drift", current, reference=baseline, least=asked.minimum_rows, rule=policy.on_inconclusive)
    if few is not None:
        return [few]
    thresholds = {name: asked.columns.get(name, asked) for name in current.columns}
    if label in thresholds and label not in asked.columns:
        thresholds[label] = asked.label or asked

    def named(column: str) -> str:
        return f"label_drift[{column}]" if column == label else f"drift[{column}]"

    names = {name: named(name) for name in current.columns}
    checks = distance_checks(
        current,
        baseline,
        thresholds=thresholds,
        names=names,
        alpha=asked.alpha,
        rule=policy.on_inconclusive,
        wording=_WORDING,
    )
    return checks + [
        inconclusive(
            named(name),
            f"the baseline has no column {name!r} to compare with; the next approved model's will",
            rule=policy.on_inconclusive,
        )
        for name in columns
        if name not in baseline.columns
    ]
