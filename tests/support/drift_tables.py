"""A policy of drift, and the drift checks of two tables by name."""

from __future__ import annotations

from typing import Any

import polars as pl

from modelway.components.core.checks import Check
from modelway.components.core.config.data_policy import DataPolicy
from modelway.components.validate.checks.drift import drift_checks
from modelway.components.validate.distributions import measure, measure_like


def policy(psi: float | None = 0.2, minimum_rows: int = 2, rule: str = "warn", **sections: Any) -> DataPolicy:
    section = {"psi": psi, "minimum_rows": minimum_rows, **sections}
    return DataPolicy.model_validate({"drift": section, "skew": {"psi": psi}, "on_inconclusive": rule})


def drift(before: pl.DataFrame, now: pl.DataFrame, data_policy: DataPolicy, label: str = "") -> dict[str, Check]:
    """The checks of all columns, by their names."""
    baseline = measure(before, before.columns, data_hash="")
    return {
        check.name: check
        for check in drift_checks(measure_like(now, baseline, data_hash=""), baseline, policy=data_policy, label=label)
    }
