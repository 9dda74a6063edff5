from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from modelway.examples.insurance import build
from modelway.examples.insurance.weeks import CONCEPT_SUBGROUP, app, week

COVARIATES = [
    "log_coinsurance",
    "deductible_plan",
    "log_incentive",
    "log_max_expenditure",
    "physical_limitation",
    "chronic_diseases",
    "health",
]
CONTINUOUS = ["log_incentive", "log_max_expenditure", "chronic_diseases"]
CATEGORICAL = ["log_coinsurance", "deductible_plan", "physical_limitation", "health", "high_use"]
CLEAN_WEEKS = range(1, 6)


@pytest.fixture(scope="module")
def base() -> pl.DataFrame:
    return pl.read_parquet(build.CLAIMS)


@pytest.fixture(scope="module")
def raw() -> Any:
    from statsmodels.datasets import randhie

    return randhie.load_pandas().data


def psi(expected: pl.Series, observed: pl.Series) -> float:
    edges = np.unique(np.quantile(expected, np.linspace(0, 1, 11)))[1:-1]
    shares = [
        np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1) / len(values) + 1e-4
        for values in (expected.to_numpy(), observed.to_numpy())
    ]
    return float(((shares[0] - shares[1]) * np.log(shares[0] / shares[1])).sum())


def share(values: pl.Series) -> float:
    return float(values.to_numpy().mean())


def unwell(table: pl.DataFrame) -> float:
    return share(table["health"].is_in(["fair", "poor"]))


def test_the_file_is_what_the_build_makes(base: pl.DataFrame, tmp_path: Path) -> None:
    first, second = tmp_path / "first.parquet", tmp_path / "second.parquet"
    build.build(first)
    build.build(second)
    assert_frame_equal(pl.read_parquet(first), base)
    assert first.read_bytes() == second.read_bytes()
    assert build.CLAIMS.stat().st_size < 400_000


def test_the_build_command_writes_where_it_is_told(base: pl.DataFrame, tmp_path: Path) -> None:
    result = CliRunner().invoke(build.app, ["-o", str(tmp_path / "claims.parquet")])
    assert result.exit_code == 0
    assert "20,190 rows of 5,294 people" in result.output
    assert_frame_equal(pl.read_parquet(tmp_path / "claims.parquet"), base)


def test_the_columns_and_types(base: pl.DataFrame) -> None:
    assert base.schema == {
        "person": pl.Int64,
        "year": pl.Int64,
        "log_coinsurance": pl.Float64,
        "deductible_plan": pl.Boolean,
        "log_incentive": pl.Float64,
        "log_max_expenditure": pl.Float64,
        "physical_limitation": pl.String,
        "chronic_diseases": pl.Float64,
        "health": pl.String,
        "high_use": pl.Int64,
    }
    assert base.null_count().sum_horizontal().item() == 0


@pytest.mark.parametrize(
    ("column", "low", "high"),
    [
        ("person", 1, 5294),
        ("year", 1, 30),
        ("log_coinsurance", 0, np.log(101)),
        ("log_incentive", 0, 7.2),
        ("log_max_expenditure", 0, 8.3),
        ("chronic_diseases", 0, 58.6),
        ("high_use", 0, 1),
    ],
)
def test_the_ranges(base: pl.DataFrame, column: str, low: float, high: float) -> None:
    values = base[column].to_numpy()
    assert values.min() == low
    assert values.max() == pytest.approx(high, abs=0.05)


@pytest.mark.parametrize(
    ("column", "counts"),
    [
        ("physical_limitation", {"none": 16751, "unknown": 1052, "full": 2387}),
        ("health", {"excellent": 11019, "good": 7309, "fair": 1560, "poor": 302}),
        ("deductible_plan", {False: 14941, True: 5249}),
        ("high_use", {0: 14806, 1: 5384}),
    ],
)
def test_the_counts_are_those_of_the_source(base: pl.DataFrame, column: str, counts: dict[object, int]) -> None:
    assert dict(base[column].value_counts().iter_rows()) == counts


def test_rows_keep_the_order_of_the_source(base: pl.DataFrame, raw: Any) -> None:
    assert (base["high_use"].to_numpy() == (raw["mdvis"] >= 4).to_numpy()).all()
    assert (base["chronic_diseases"].to_numpy() == raw["disea"].to_numpy()).all()
    assert ((base["health"] == "poor").to_numpy() == (raw["hlthp"] == 1).to_numpy()).all()
    assert ((base["physical_limitation"] == "full").to_numpy() == (raw["physlm"] == 1).to_numpy()).all()


def test_a_person_starts_where_a_covariate_changes(base: pl.DataFrame, raw: Any) -> None:
    covariates = raw.drop(columns="mdvis").to_numpy()
    changes = (covariates[1:] != covariates[:-1]).any(axis=1)
    assert (np.diff(base["person"].to_numpy()) == changes).all()


@pytest.mark.parametrize("number", [None, 1, 7])
def test_covariates_are_constant_and_years_run_within_a_person(base: pl.DataFrame, number: int | None) -> None:
    table = base if number is None else week(number, drift=0.3)
    people = table.group_by("person", maintain_order=True).agg(pl.col(COVARIATES).n_unique(), pl.col("year"))
    assert people.select(pl.col(COVARIATES).max()).row(0) == (1,) * len(COVARIATES)
    assert all(years == list(range(1, len(years) + 1)) for years in people["year"].to_list())


def test_a_week_is_reproducible() -> None:
    options: dict[str, Any] = {
        "rows": 500,
        "drift": 0.4,
        "concept": 0.5,
        "schema_break": True,
        "label_noise": 0.1,
        "leakage": True,
        "nulls": 0.1,
    }
    assert_frame_equal(week(3, **options), week(3, **options))


def test_weeks_differ_and_share_no_person(base: pl.DataFrame) -> None:
    tables = [base, *(week(number) for number in CLEAN_WEEKS)]
    people = pl.concat([table["person"].unique() for table in tables])
    assert people.is_unique().all()
    assert not week(1).drop("person").equals(week(2).drop("person"))


def test_the_largest_week_does_not_reach_the_next_ones_ids() -> None:
    people = week(1, rows=1_000_000)["person"]
    assert people.n_unique() > 200_000
    assert people.to_numpy().max() < week(2, rows=1)["person"].item()


@pytest.mark.parametrize("rows", [1, 7, 2000])
def test_a_week_has_the_asked_number_of_rows(rows: int) -> None:
    assert week(4, rows=rows).height == rows


@pytest.mark.parametrize("number", CLEAN_WEEKS)
def test_a_clean_week_looks_like_the_base(base: pl.DataFrame, number: int) -> None:
    table = week(number)
    assert table.schema == base.schema
    for column in CONTINUOUS:
        assert table[column].is_between(base[column].min(), base[column].max()).all()
        assert psi(base[column], table[column]) < 0.1
    for column in CATEGORICAL:
        assert set(table[column]) == set(base[column])
    assert share(table["high_use"]) == pytest.approx(share(base["high_use"]), abs=0.05)


def test_continuous_values_step_a_little_but_keep_their_zeros(base: pl.DataFrame) -> None:
    columns = ["log_coinsurance", "deductible_plan", "physical_limitation", "health", *CONTINUOUS]
    copies = week(1).join(base.select(columns).unique(), on=columns, how="semi").height
    assert 200 < copies < 1800
    for column in CONTINUOUS:
        zeros = share(week(1, rows=20_000)[column] == 0)
        assert zeros == pytest.approx(share(base[column] == 0), abs=0.03)


def test_drift_raises_psi_and_brings_sicker_people(base: pl.DataFrame) -> None:
    tables = [week(2, drift=strength) for strength in (0.0, 0.5, 1.0)]
    distances = [psi(base["chronic_diseases"], table["chronic_diseases"]) for table in tables]
    assert distances[0] < 0.05
    assert 0.1 < distances[1] < 0.4 < distances[2]
    illness = [unwell(table) for table in tables]
    assert illness[0] < illness[1] - 0.03 < illness[2] - 0.1
    labels = [share(table["high_use"]) for table in tables]
    assert labels[0] < labels[1] < labels[2]
    assert psi(base["log_incentive"], tables[2]["log_incentive"]) < 0.1


def test_drift_keeps_the_relation_to_the_label(base: pl.DataFrame) -> None:
    table = week(2, rows=100_000, drift=1.0)
    cells = ["health", "physical_limitation", "chronic_diseases"]
    rates = base.group_by(cells).agg(rate=pl.col("high_use").mean(), size=pl.len()).filter(pl.col("size") > 300)
    week_rates = table.group_by(cells).agg(week_rate=pl.col("high_use").mean(), drawn=pl.len())
    pairs = rates.join(week_rates, on=cells).filter(pl.col("drawn") > 300)
    assert pairs.height > 10
    assert (pairs["week_rate"] - pairs["rate"]).abs().to_numpy().max() < 0.08


def test_concept_inverts_the_labels_of_its_subgroup_only() -> None:
    clean, partly, wholly = (week(5, concept=part) for part in (0.0, 0.5, 1.0))
    assert_frame_equal(clean.drop("high_use"), wholly.drop("high_use"))
    assert_frame_equal(clean.filter(~CONCEPT_SUBGROUP), wholly.filter(~CONCEPT_SUBGROUP))
    inverted = 1 - clean.filter(CONCEPT_SUBGROUP)["high_use"]
    assert inverted.len() > 100
    assert (wholly.filter(CONCEPT_SUBGROUP)["high_use"] == inverted).all()

    people = partly.filter(CONCEPT_SUBGROUP).select("person", flipped=pl.Series(inverted) == pl.col("high_use"))
    by_person = people.group_by("person").agg(pl.col("flipped").n_unique().alias("kinds"), pl.col("flipped").first())
    assert by_person["kinds"].to_numpy().max() == 1
    assert share(by_person["flipped"]) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("noise", [0.05, 0.2, 1.0])
def test_label_noise_flips_the_asked_share(noise: float) -> None:
    clean, noisy = week(6), week(6, label_noise=noise)
    assert share(clean["high_use"] != noisy["high_use"]) == pytest.approx(noise)
    assert_frame_equal(clean.drop("high_use"), noisy.drop("high_use"))


@pytest.mark.parametrize("options", [{}, {"label_noise": 0.3}, {"concept": 1.0}])
def test_leakage_determines_the_label(options: dict[str, Any]) -> None:
    leaking = week(6, leakage=True, **options)
    assert ((leaking["visits"] >= build.HIGH_USE_VISITS) == (leaking["high_use"] == 1)).all()
    assert leaking["visits"].n_unique() > 5
    assert_frame_equal(leaking.drop("visits"), week(6, **options))


@pytest.mark.parametrize("nulls", [0.0, 0.1, 1.0])
def test_nulls_empty_one_column(nulls: float) -> None:
    table = week(6, nulls=nulls)
    assert table["chronic_diseases"].null_count() == round(nulls * table.height)
    assert_frame_equal(table.drop("chronic_diseases"), week(6).drop("chronic_diseases"))
    assert_frame_equal(table.drop_nulls(), week(6).filter(table["chronic_diseases"].is_not_null()))


def test_a_schema_break_renames_retypes_and_adds_a_category(base: pl.DataFrame) -> None:
    clean, broken = week(6), week(6, schema_break=True)
    assert set(broken.columns) ^ set(base.columns) == {"log_incentive", "participation_incentive"}
    assert (broken["participation_incentive"] == clean["log_incentive"]).all()
    assert broken["chronic_diseases"].str.contains(r"^\d+\.\d conditions$").all()
    assert set(broken["health"]) - set(base["health"]) == {"very good"}
    assert 0.05 < share(broken["health"] == "very good") < 0.2


def test_even_a_single_row_shows_a_schema_break_and_nulls_stay_null() -> None:
    broken = week(6, rows=1, schema_break=True, nulls=1.0)
    assert broken["health"].item() == "very good"
    assert broken.schema["chronic_diseases"] == pl.String
    assert broken["chronic_diseases"].item() is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"number": 0}, "number is 0, but must be from 1 to 1,000,000"),
        ({"number": 1_000_001}, "number is 1000001, but must be from 1 to 1,000,000"),
        ({"rows": 0}, "rows is 0, but must be from 1 to 1,000,000"),
        ({"rows": 1_000_001}, "rows is 1000001, but must be from 1 to 1,000,000"),
        *(
            ({name: value}, f"{name} is {value}, but must be from 0 to 1")
            for name in ("drift", "concept", "label_noise", "nulls")
            for value in (-0.01, 1.01, float("nan"))
        ),
    ],
)
def test_an_argument_out_of_range_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        week(**({"number": 1} | arguments))


FLAGS = [
    "--rows=300",
    "--drift=0.5",
    "--concept=0.4",
    "--schema-break",
    "--label-noise=0.1",
    "--leakage",
    "--nulls=0.2",
]


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_the_command_writes_what_the_function_returns(tmp_path: Path, suffix: str) -> None:
    output = tmp_path / f"week3{suffix}"
    result = CliRunner().invoke(app, ["3", *FLAGS, "-o", str(output)])
    assert result.exit_code == 0, result.output
    expected = week(3, rows=300, drift=0.5, concept=0.4, schema_break=True, label_noise=0.1, leakage=True, nulls=0.2)
    actual = pl.read_parquet(output) if suffix == ".parquet" else pl.read_csv(output)
    assert_frame_equal(actual, expected)
    assert result.output.count("\n") == 1
    assert result.output.startswith(f"{output}: week 3, 300 rows of {expected['person'].n_unique()} people")


def test_a_clean_week_keeps_its_types_through_csv(base: pl.DataFrame, tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["3", "-o", str(tmp_path / "week.csv")]).exit_code == 0
    assert pl.read_csv(tmp_path / "week.csv").schema == base.schema


def test_the_module_runs_and_prints_one_json_object(tmp_path: Path) -> None:
    output = tmp_path / "week3.parquet"
    command = [sys.executable, "-m", "modelway.examples.insurance.weeks", "3", "--json", "-o", str(output)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    table = week(3)
    assert json.loads(result.stdout) == {
        "output": str(output),
        "week": 3,
        "rows": 2000,
        "people": table["person"].n_unique(),
        "high_use": round(share(table["high_use"]), 4),
    }
    assert_frame_equal(pl.read_parquet(output), table)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["3", "-o", "week.parquet", "--drift", "2"], "drift is 2.0, but must be from 0 to 1"),
        (["0", "-o", "week.parquet"], "number is 0, but must be from 1 to 1,000,000"),
        (["3", "-o", "week.txt"], "must end in .parquet or .csv"),
        (["3", "-o", "absent/week.parquet"], "No such file or directory"),
        (["3"], "Missing option '--output'"),
        (["three", "-o", "week.parquet"], "Invalid value for 'number'"),
    ],
)
def test_the_command_refuses_bad_arguments(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []
