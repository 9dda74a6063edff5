"""A proposed contract, tried on halves of its data."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelway.components.core.config.project import Project
from modelway.pipelines.project.column_types import typed_table
from modelway.pipelines.project.contract_trial import ContractTrial, try_contract
from modelway.pipelines.project.propose_contract import proposed_contract

RNG = np.random.default_rng(2)
ROWS = 1_000


def project_of(table: pl.DataFrame, split: dict[str, Any] | None = None) -> Project:
    numeric = [name for name, dtype in table.schema.items() if dtype.is_numeric() and name != "label"]
    return Project.model_validate(
        {
            "name": "p",
            "task": "binary",
            "label": "label",
            "data": {"source": "t.csv", "split": split or {"by": "row"}},
            "features": {
                "numeric": numeric,
                "categorical": [name for name, dtype in table.schema.items() if dtype == pl.String],
            },
            "model": {"estimator": "sklearn.tree.DecisionTreeClassifier"},
        }
    )


def trial_of(columns: dict[str, Any], *, split: dict[str, Any] | None = None, halves: int = 50) -> ContractTrial | None:
    rows = len(next(iter(columns.values())))
    table = pl.DataFrame({"label": [i % 2 for i in range(rows)]} | columns)
    project = project_of(table, split)
    contract = proposed_contract(table, project)
    return try_contract(typed_table(table, strict=("label",)), contract, project=project, halves=halves)


def test_halves_of_rows_drawn_alike_are_not_blocked() -> None:
    columns = {
        "normal": RNG.normal(size=ROWS),
        "heavy": RNG.pareto(1.1, ROWS),
        "counts": RNG.poisson(2, ROWS),
        "city": RNG.choice([f"city {i}" for i in range(20)], ROWS, p=(w := 1 / np.arange(1, 21) ** 2) / w.sum()),
        "holes": pl.Series(RNG.normal(size=ROWS)).set(pl.Series(RNG.random(ROWS) < 0.1), None),
        "typos": [("x" if RNG.random() < 0.01 else f"{RNG.normal():.3f}") for _ in range(ROWS)],
    }
    trial = trial_of(columns)
    assert trial is not None
    assert (trial.blocked, trial.halves, trial.way, trial.rows) == (0, 50, "at random", ROWS)
    assert trial.greatest_rate == pytest.approx(0.0582, abs=1e-4)
    assert "blocked 0 of 50 times: at 95 % confidence it blocks at most 6 % of such batches" in str(trial)


DAYS = [dt.date(2020, 1, 1) + dt.timedelta(days=i) for i in range(ROWS)]


@pytest.mark.parametrize("step", [1, -1], ids=["in order", "the latest first"])
def test_rows_in_order_of_time_are_cut_by_time(step: int) -> None:
    trial = trial_of({"day": DAYS[::step], "noise": RNG.normal(size=ROWS)})
    assert trial is not None
    assert (trial.way, trial.blocked) == ("by time", 0)


def test_later_rows_that_a_contract_blocks_are_counted_by_line() -> None:
    values = np.where(np.arange(ROWS) < 700, RNG.normal(size=ROWS), RNG.normal(5, 1, ROWS))
    table = pl.DataFrame({"label": [i % 2 for i in range(ROWS)], "day": DAYS, "x": values})
    shuffled = table.with_columns(pl.col("x").shuffle(seed=1))
    contract = proposed_contract(shuffled, project_of(table))  # knows nothing of the order of `x`
    trial = try_contract(typed_table(table), contract, project=project_of(table), halves=20)
    assert trial is not None
    assert trial.way == "by time"
    assert 10 <= trial.blocked == trial.lines["maximum[x]"]
    assert f"(maximum[x] {trial.blocked})" in str(trial)


def test_groups_are_halved_whole() -> None:
    person = np.repeat(np.arange(200), 5)
    city = np.array([f"city {i % 12}" for i in range(200)])[person]
    columns = {"person": person, "height": RNG.normal(170, 10, 200)[person], "city": city}
    trial = trial_of(columns, split={"by": "group", "column": "person"})
    assert trial is not None
    assert (trial.way, trial.blocked) == ("by group", 0)


def test_rows_in_clusters_are_halved_in_blocks() -> None:
    site = np.repeat(RNG.normal(0, 3, 50), 40)
    trial = trial_of({"x": site + RNG.normal(size=2_000), "y": RNG.normal(size=2_000)})
    assert trial is not None
    assert trial.way == "by blocks of neighbouring rows"
    assert trial.blocked <= 1


def test_nothing_to_try_is_no_trial() -> None:
    assert trial_of({"x": RNG.normal(size=ROWS)}, halves=0) is None


def test_of_many_columns_fewer_halves_are_tried_and_of_too_many_none() -> None:
    columns = {f"x{number}": RNG.normal(size=40) for number in range(2_001)}
    assert trial_of(columns) is None
    trial = trial_of(dict([*columns.items()][:1_000]))
    assert trial is not None
    assert trial.halves == 19  # with the label
    assert trial_of({"x": [1.0], "label": [0]}) is None


def test_a_contract_that_always_blocks_says_so() -> None:
    trial = ContractTrial(50, 50, {"maximum[x]": 50, "nulls[y]": 2}, "at random", 100)
    assert trial.greatest_rate == 1
    assert str(trial).endswith("at most 100 % of such batches (maximum[x] 50, nulls[y] 2)")


def test_a_long_table_is_sampled_in_its_order() -> None:
    trial = trial_of({"x": RNG.normal(size=60_000)}, halves=5)
    assert trial is not None
    assert (trial.rows, trial.blocked) == (50_000, 0)
