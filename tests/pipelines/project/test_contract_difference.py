"""What a batch would widen in a contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from user_files import minimal_project

from modelway.components.core.checks import Verdict
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError
from modelway.components.ingest.source import read_source
from modelway.pipelines.project.contract_difference import as_written, contract_difference

ROWS = 300
CONTRACT = Contract.parse("""
columns:
  income: {type: number, minimum: 0, maximum: 100, seen: {rows: 300, minimum: 0, maximum: 100}}
  city: {type: string, categories: [a, b], seen: {rows: 300, categories: {a: 200, b: 100}}}
  branch: {type: integer}
  note: {type: string, required: false}
  late: {type: integer, categories: [0, 1]}
""")
PROJECT = minimal_project()
GROUPED = minimal_project(data={"source": "loans.parquet", "split": {"by": "group", "column": "branch"}})


def batch(**columns: list[object] | pl.Series) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    usual = {
        "income": rng.uniform(0, 100, ROWS),
        "city": rng.choice(["a", "b"], ROWS),
        "branch": np.arange(ROWS) // 10,
        "late": rng.integers(0, 2, ROWS),
    }
    return pl.DataFrame(usual).with_columns(**columns)


def test_a_batch_that_the_contract_holds_changes_nothing() -> None:
    difference = contract_difference(batch(), CONTRACT, project=PROJECT)
    assert (difference.rows, difference.unit, difference.lines, difference.columns) == (ROWS, "rows", (), {})


@pytest.mark.parametrize(("extra_columns", "verdict"), [("allow", Verdict.PASSED), ("forbid", Verdict.FAILED)])
def test_missing_and_new_columns_are_for_a_person(extra_columns: str, verdict: Verdict) -> None:
    contract = CONTRACT.model_copy(update={"extra_columns": extra_columns})
    table = batch(fresh=pl.lit(1)).drop("income", "late")
    difference = contract_difference(table, contract, project=PROJECT)
    assert [(line.name, line.verdict) for line in difference.lines] == [
        ("column[income]", Verdict.FAILED),
        ("column[late]", Verdict.FAILED),
        ("column[fresh]", verdict),
    ]
    assert difference.acceptable == ()
    assert [line.column for line in difference.by_hand] == ["income", "late", "fresh"][
        : 3 if "forbid" in extra_columns else 2
    ]


def test_a_column_stored_as_another_type_is_for_a_person() -> None:
    difference = contract_difference(batch(city=pl.int_range(pl.len())), CONTRACT, project=PROJECT)
    (line,) = difference.by_hand
    assert (line.name, line.by_hand) == ("type[city]", "it is stored as Int64")


@pytest.mark.parametrize(
    ("project", "bad", "rows", "unit", "seen"), [(PROJECT, 10, 300, "rows", 300), (GROUPED, 1, 30, "groups", 330)]
)
def test_rows_of_one_group_count_as_one(project: Project, bad: int, rows: int, unit: str, seen: int) -> None:
    table = batch(income=pl.when(pl.col("branch") == 3).then(120.0).otherwise("income"))
    difference = contract_difference(table, CONTRACT, project=project)
    (line,) = difference.lines
    assert (line.bad, line.rows, difference.rows, difference.unit) == (bad, rows, rows, unit)
    evidence = difference.columns["income"].seen
    assert evidence is not None
    assert evidence.rows == seen


def test_a_batch_without_its_groups_is_refused() -> None:
    with pytest.raises(ModelwayError) as error:
        contract_difference(batch().drop("branch"), CONTRACT, project=GROUPED)
    assert (error.value.key, error.value.column) == ("data.split.column", "branch")


def test_values_that_do_not_parse_are_counted_beside_the_others(tmp_path: Path) -> None:
    income = pl.when(pl.int_range(pl.len()) < 2).then(pl.lit("n/k")).otherwise(pl.col("income").cast(pl.String))
    income = pl.when(pl.int_range(pl.len()) == 5).then(pl.lit("104.5")).otherwise(income)
    batch(income=income).write_csv(tmp_path / "next.csv")
    table = read_source(tmp_path / "next.csv", PROJECT.data, contract=as_written(CONTRACT), work=tmp_path)
    difference = contract_difference(table, CONTRACT, project=PROJECT)
    assert [(line.name, line.bad, line.examples) for line in difference.lines] == [
        ("type[income]", 2, ("n/k",)),
        ("maximum[income]", 1, ("104.5",)),
    ]
    assert difference.lines == difference.acceptable
