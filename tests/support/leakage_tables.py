"""Clean tables for the leakage checks, and the checks of some rows by name."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
from user_files import minimal_project

from modelway.components.core.checks import Check, OnInconclusive, Verdict
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.data_policy import DataPolicy, Leakage
from modelway.components.validate.checks.leakage import leakage_checks

NOW = dt.datetime(2026, 6, 1)


FEATURES = {"numeric": ["age", "dose", "visits"], "categorical": ["clinic", "smoker"], "datetime": ["admitted"]}


def table(seed: int, rows: int = 2000) -> pl.DataFrame:
    """Clean rows: every feature says a little of the label, or nothing."""
    dice = np.random.default_rng(seed)
    age = dice.normal(50, 15, rows)
    admitted = [dt.datetime(2024, 1, 1) + dt.timedelta(hours=int(hours)) for hours in dice.integers(0, 9000, rows)]
    ill = dice.random(rows) < 1 / (1 + np.exp(-(age - 60) / 10))
    return pl.DataFrame(
        {
            "patient": dice.permutation(rows) // 4 + 1_000_000 * seed,
            "age": age,
            "dose": [None if hole < 0.1 else value for hole, value in dice.random((rows, 2))],
            "visits": dice.poisson(3, rows),
            "clinic": [f"clinic {number}" for number in dice.integers(0, 12, rows)],
            "smoker": dice.random(rows) < 0.3,
            "admitted": admitted,
            "known": [time + dt.timedelta(days=30) for time in admitted],
            "cost": np.exp(dice.normal(3, 1, rows)) * (1 + age / 50),
            "stage": [f"stage {number}" for number in dice.choice(4, rows, p=[0.5, 0.3, 0.15, 0.05])],
            "ill": ill.astype(np.int64),
        }
    )


def leakage(
    train: pl.DataFrame,
    test: pl.DataFrame | None = None,
    *,
    features: dict[str, list[str]] | None = None,
    task: str = "binary",
    label: str = "ill",
    data: dict[str, Any] | None = None,
    contract: dict[str, Any] | None = None,
    serving: list[str] | None = None,
    rule: OnInconclusive = OnInconclusive.WARN,
    **policy: Any,
) -> dict[str, Check]:
    source = {"source": "rows.parquet", **(data or {})}
    project = minimal_project(task=task, label=label, data=source, features=features or FEATURES)
    contract_of_table = Contract.model_validate({"columns": {"age": {"type": "number"}, **(contract or {})}})
    data_policy = DataPolicy(leakage=Leakage.model_validate(policy), on_inconclusive=rule)
    checks = leakage_checks(
        train.lazy(),
        (table(99, 500) if test is None else test).lazy(),
        project=project,
        contract=contract_of_table,
        policy=data_policy,
        serving_columns=serving,
        today=NOW,
    )
    assert len({check.name for check in checks}) == len(checks)
    return {check.name: check for check in checks}


def verdicts(checks: dict[str, Check]) -> dict[str, Verdict]:
    return {name: check.verdict for name, check in checks.items() if check.verdict is not Verdict.PASSED}


def with_feature(name: str, kind: str) -> dict[str, list[str]]:
    return FEATURES | {kind: [*FEATURES[kind], name]}
