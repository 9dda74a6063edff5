from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from leakage_tables import FEATURES, leakage, table, verdicts

from modelway.components.core.checks import Verdict
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.data_policy import DataPolicy
from modelway.components.core.config.project import Project
from modelway.components.ingest.split import split_table
from modelway.components.validate.checks.leakage import leakage_checks


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("task", "label"), [("binary", "ill"), ("regression", "cost"), ("multiclass", "stage")])
def test_clean_rows_pass_every_check(task: str, label: str, seed: int) -> None:
    checks = leakage(table(seed), task=task, label=label, data={"label_time": "known"}, groups=["patient"])
    assert verdicts(checks) == {}
    assert set(checks) == {
        "leakage[single features]",
        "duplicate[features]",
        "identifier[features]",
        "shared_rows",
        "shared_groups[patient]",
        "label_time[admitted]",
        "future[admitted]",
        "at_serving[features]",
    }


def test_the_example_is_clean(root: Path) -> None:
    folder = root / "examples" / "insurance"
    project = Project.load(str(folder / "project.yaml"))
    splits = split_table(pl.read_parquet(folder / "claims.parquet"), project.data.split)
    contract = Contract.load(str(folder / "contract.yaml"))
    checks = leakage_checks(
        splits.train.lazy(),
        splits.test.lazy(),
        project=project,
        contract=contract,
        policy=DataPolicy(),
        serving_columns=None,
    )
    assert {check.verdict for check in checks} == {Verdict.PASSED}
    assert "shared_groups[person]" in {check.name for check in checks}


def test_a_feature_that_is_not_known_at_serving_is_caught() -> None:
    contract = {"dose": {"type": "number", "at_serving": False}}
    assert verdicts(leakage(table(1), contract=contract)) == {"at_serving[dose]": Verdict.FAILED}
    serving = [name for kind in FEATURES.values() for name in kind if name != "clinic"]
    assert verdicts(leakage(table(1), serving=serving)) == {"at_serving[clinic]": Verdict.FAILED}


def test_the_policy_switches_checks_off() -> None:
    off = {"single_feature": None, "duplicates": False, "identifiers": False, "shared_rows": None, "times": False}
    assert set(leakage(table(1), data={"label_time": "known"}, **off)) == {"at_serving[features]"}


def test_what_is_found_is_the_same_each_time() -> None:
    rows = table(1, 6000)
    assert leakage(rows, sample_rows=1000) == leakage(rows, sample_rows=1000)
    assert (
        "a random sample of 1,000 of 6,000 training rows"
        in leakage(rows, sample_rows=1000)["duplicate[features]"].message
    )


ODD = {
    "nothing": pl.lit(None),
    "not numbers": pl.lit(float("nan")),
    "infinite": pl.when(pl.col("smoker")).then(float("inf")).otherwise(pl.col("age")),
    "constant": pl.lit(1),
    "lists": pl.concat_list("visits"),
    "records": pl.struct("visits", "smoker"),
    "bytes": pl.col("clinic").cast(pl.Binary),
    "categories": pl.col("clinic").cast(pl.Categorical),
    "decimals": pl.col("age").cast(pl.Decimal(12, 2)),
    "durations": pl.col("known") - pl.col("admitted"),
    "zoned": pl.col("admitted").dt.replace_time_zone("UTC"),
    "clock": pl.col("admitted").dt.time(),
}


@pytest.mark.parametrize("rows", [0, 1, 400])
@pytest.mark.parametrize("kind", ["numeric", "categorical", "datetime"])
@pytest.mark.parametrize(("task", "label"), [("binary", "ill"), ("regression", "lists"), ("multiclass", "decimals")])
def test_odd_columns_are_judged_without_an_error(task: str, label: str, kind: str, rows: int) -> None:
    train, test = (table(seed, 400).with_columns(**ODD).head(rows) for seed in (1, 2))
    features = {kind: [name for name in ODD if name != label] + ["not there"]}
    data = {"label_time": "zoned", "split": {"by": "time", "column": "clinic"}}
    assert leakage(train, test, features=features, task=task, label=label, data=data, groups=["lists", "records"])
