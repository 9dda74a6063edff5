from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from contract_tables import checks_of
from user_files import minimal_project

from modelway.components.core.config.contract import Contract
from modelway.components.validate.counting import SAMPLE_ROWS
from modelway.components.validate.distributions import measure, measure_like
from modelway.components.validate.profile import profile_splits

PROJECT = minimal_project(
    data={"source": "x.csv", "split": {"by": "group", "column": "person"}},
    features={"numeric": ["income"], "categorical": ["region", "street"]},
)
CONTRACT = Contract.model_validate(
    {
        "columns": {
            "income": {"type": "number", "minimum": 0, "max_nulls": 0.005},
            "region": {"type": "string", "categories": ["north", "south"], "pattern": "[a-z]+", "max_nulls": 0.1},
            "street": {"type": "string", "pattern": "street [0-9]+"},
            "person": {"type": "integer", "unique": True},
            "late": {"type": "boolean"},
        },
        "unique": [["person", "street"]],
        "rules": [
            {"name": "in_town", "rule": "region = 'north' OR income > 1"},
            {"name": "named", "rule": "LENGTH(region) = 5", "tolerance": 0.2},
            {"name": "whole", "rule": "AVG(income) > 0", "per": "table"},
        ],
    }
)


def rows(seed: int, count: int) -> pl.DataFrame:
    dice = np.random.default_rng(seed)
    regions = np.array(["north", "south", "West", None], dtype=object)
    columns: dict[str, Any] = {
        "income": np.where(dice.random(count) < 0.01, np.nan, dice.gamma(2, size=count) - 0.1),
        "region": regions[dice.choice(4, count, p=[0.5, 0.4, 0.09, 0.01])],
        "street": [f"street {number}" for number in dice.integers(0, 20_000, count)],
        "person": np.arange(count) // 2,
        "late": dice.random(count) < 0.3,
    }
    return pl.DataFrame(columns, schema_overrides={"region": pl.String})


@pytest.mark.parametrize("count", [3_000, SAMPLE_ROWS + 20_000])
def test_one_pass_finds_what_each_function_finds_alone(tmp_path: Path, count: int) -> None:
    rows(0, count).write_parquet(tmp_path / "train", row_group_size=30_000)
    rows(1, 2_000).write_parquet(tmp_path / "test")
    train, test = (pl.scan_parquet(tmp_path / side) for side in ("train", "test"))
    names = ["income", "region", "street", "late"]
    before = measure(rows(2, 4_000), names, data_hash="before")
    profile = profile_splits(train, test, contract=CONTRACT, project=PROJECT, reference=before, data_hash="abc")
    assert (profile.train_rows, profile.test_rows, profile.columns) == (count, 2_000, tuple(names))
    assert profile.checks == checks_of(pl.concat([train, test]), CONTRACT, PROJECT)
    assert profile.current == measure_like(train, before, data_hash="abc", group="person")
    assert profile.new_baseline == profile.current.model_copy(
        update={
            "columns": {
                name: distribution.model_copy(update={"chosen_by": []})
                for name, distribution in profile.current.columns.items()
            }
        }
    )
    assert profile.new_baseline.rows_per_group == 2
    assert profile.sample is None
    failed = {check.name for check in profile.checks if check.blocks}
    assert {"minimum[income]", "nulls[income]", "categories[region]", "pattern[region]", "unique[person]"} <= failed
    assert "rule[in_town]" in failed
    assert not {"nulls[region]", "pattern[street]", "rule[named]", "rule[whole]"} & failed


def test_the_first_table_is_measured_in_bins_of_its_own() -> None:
    train = rows(0, 3_000).lazy()
    names = ["income", "region", "street", "late"]
    profile = profile_splits(
        train, rows(1, 500).lazy(), contract=CONTRACT, project=PROJECT, reference=None, data_hash="abc"
    )
    assert profile.new_baseline == profile.current == measure(train, names, data_hash="abc", group="person")
    assert profile.sample is not None
    assert len(profile.sample) == 3_000


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("income", pl.col("income") + 5),
        ("region", pl.when(pl.col("street") > "street 5").then(pl.lit("abroad")).otherwise(pl.col("region"))),
        ("income", pl.lit(None, pl.Float64)),
    ],
    ids=["numbers", "categories", "nothing left"],
)
def test_a_column_that_the_baselines_bins_no_longer_fit_gets_its_own(name: str, change: pl.Expr) -> None:
    before = measure(rows(2, 4_000), ["income", "region", "street", "late"], data_hash="before")
    train = rows(0, 3_000).with_columns(change.alias(name))
    profile = profile_splits(
        train.lazy(), rows(1, 500).lazy(), contract=None, project=PROJECT, reference=before, data_hash="abc"
    )
    assert profile.new_baseline.columns[name] == measure(train, [name], data_hash="abc").columns[name]
    unchanged = {"income", "region", "street", "late"} - {name}
    edges = {
        column: (profile.new_baseline.columns[column].edges, profile.new_baseline.columns[column].values)
        for column in unchanged
    }
    assert edges == {column: (before.columns[column].edges, before.columns[column].values) for column in unchanged}
