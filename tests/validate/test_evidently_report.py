from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from modelway.components.core.config.data_policy import Drift
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.stability import population_stability_index
from modelway.components.validate.distances import cramers_v, jensen_shannon, kolmogorov_smirnov
from modelway.components.validate.distributions import measure, measure_like
from modelway.components.validate.evidently_report import SAMPLE_ROWS, EvidentlySummary, write_evidently
from modelway.components.validate.time_parts import time_parts
from modelway.examples.insurance.weeks import week

MEASURES = {
    "psi": population_stability_index,
    "jensen_shannon": jensen_shannon,
    "kolmogorov_smirnov": kolmogorov_smirnov,
    "cramers_v": cramers_v,
}
ALL = {"psi": 0.2, "jensen_shannon": 0.1, "kolmogorov_smirnov": 0.1, "cramers_v": 0.1}
ASKED = Drift.model_validate({**ALL, "columns": {"time": ALL}})


def gates_own(current: pl.DataFrame, reference: pl.DataFrame, column: str, distance: str) -> float:
    """The distance as the gate takes it."""
    parts = time_parts(reference.schema, ["time", "day"])
    before = measure(reference.with_columns(**parts), [column], data_hash="")
    now = measure_like(current.with_columns(**parts), before, data_hash="")
    return MEASURES[distance](before.columns[column].shares, now.columns[column].shares)


def table(seed: int, rows: int, shift: float) -> pl.DataFrame:
    dice = np.random.default_rng(seed)
    number = dice.lognormal(shift, 1, rows)
    number[: rows // 20] = np.inf
    start = dt.datetime(2026, 1, 1)
    return pl.DataFrame(
        {
            "number": number,
            "with_nulls": [None if hole < 0.1 + shift / 5 else value for hole, value in dice.random((rows, 2))],
            "few": dice.binomial(3, 0.3 + shift / 4, rows),
            "mostly_zero": np.maximum(0, dice.integers(-8, 5, rows)),
            "text": [f"plan {value}" for value in dice.geometric(0.2 + shift / 10, rows)],
            "rare": [f"code {value}" for value in dice.integers(0, 400, rows)],
            "flag": pl.Series([None if hole < 0.05 else hole < 0.5 + shift / 4 for hole in dice.random(rows)]),
            "time": [start + dt.timedelta(hours=hours) for hours in dice.integers(0, 2000, rows).tolist()],
            "day": [start.date() + dt.timedelta(days=days) for days in dice.integers(0, 5, rows).tolist()],
        }
    )


@pytest.fixture(scope="module")
def tables() -> tuple[pl.DataFrame, pl.DataFrame]:
    return table(1, 3000, 0.3), table(2, 4000, 0.0)


@pytest.fixture(scope="module")
def comparison(
    tables: tuple[pl.DataFrame, pl.DataFrame], tmp_path_factory: pytest.TempPathFactory
) -> tuple[EvidentlySummary, Path]:
    page = tmp_path_factory.mktemp("evidently") / "pages" / "page.html"
    return write_evidently(*tables, columns=[*tables[0].columns, "not_there"], policy=ASKED, path=page), page


@pytest.mark.parametrize("column", [*table(0, 1, 0).columns[:-1], "time.weekday", "time.hour"])
def test_the_page_shows_the_distances_that_the_gate_judges(
    column: str, comparison: tuple[EvidentlySummary, Path], tables: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    distances = {
        distance: columns[column] for distance, columns in comparison[0].distances.items() if column in columns
    }
    assert {"psi", "jensen_shannon"} < set(distances)
    for distance, value in distances.items():
        assert value == pytest.approx(gates_own(*tables, column, distance), abs=1e-9), distance


def test_a_distance_is_shown_of_the_columns_that_it_fits(comparison: tuple[EvidentlySummary, Path]) -> None:
    distances = comparison[0].distances
    assert "text" not in distances["kolmogorov_smirnov"]
    assert "number" not in distances["cramers_v"]
    assert {"number", "time"} <= set(distances["kolmogorov_smirnov"])
    assert {"text", "flag"} <= set(distances["cramers_v"])


def test_that_time_goes_on_is_no_drift_there_either(comparison: tuple[EvidentlySummary, Path], tmp_path: Path) -> None:
    """Times are compared where the policy has thresholds for them, and weekdays where enough days are there."""
    names = set(comparison[0].distances["psi"])
    assert {"time", "time.weekday", "time.hour"} <= names
    assert not {name for name in names if name.startswith("day")}
    later = table(5, 3000, 0).with_columns(pl.col("time") + dt.timedelta(days=364))
    page = tmp_path / "page.html"
    summary = write_evidently(later, table(6, 3000, 0), columns=("time",), policy=Drift(), path=page)
    assert set(summary.distances["psi"]) == {"time.weekday", "time.hour"}
    assert max(summary.distances["psi"].values()) < 0.05


def test_the_page_names_the_columns_and_the_distances(comparison: tuple[EvidentlySummary, Path]) -> None:
    page = comparison[1].read_text(encoding="utf-8")
    assert "mostly_zero" in page
    assert "Jensen-Shannon distance" in page


def test_all_rows_leave_no_sampling_error(comparison: tuple[EvidentlySummary, Path]) -> None:
    summary = comparison[0]
    assert (
        (summary.sample_rows, summary.reference_sample_rows) == (summary.rows, summary.reference_rows) == (3000, 4000)
    )
    assert {error for errors in summary.sampling_errors.values() for error in errors.values()} == {0.0}


def test_a_sample_states_its_size_and_an_error_that_holds(tmp_path: Path) -> None:
    current, reference = table(3, 60_000, 0.3), table(4, 50_000, 0.0)
    columns = ("number", "with_nulls", "few", "flag")
    summary = write_evidently(current, reference, columns=columns, policy=Drift(), path=tmp_path / "page.html")
    assert (summary.sample_rows, summary.reference_sample_rows) == (SAMPLE_ROWS, SAMPLE_ROWS)
    assert (summary.rows, summary.reference_rows) == (60_000, 50_000)
    for column, value in summary.distances["psi"].items():
        error = summary.sampling_errors["psi"][column]
        assert 0 < error < 0.05
        assert abs(value - gates_own(current, reference, column, "psi")) < 2 * error


def test_thresholds_are_those_of_the_policy_for_each_column(tmp_path: Path) -> None:
    policy = Drift.model_validate(
        {"psi": None, "columns": {"health": {"psi": None, "jensen_shannon": 0.2}}, "label": {"psi": 0.1}}
    )
    columns = ("health", "chronic_diseases", "high_use")
    summary = write_evidently(
        week(3), week(4), columns=columns, policy=policy, path=tmp_path / "page.html", label="high_use"
    )
    assert {distance: set(names) for distance, names in summary.distances.items()} == {
        "jensen_shannon": {"health"},
        "psi": {"high_use"},
    }


def test_without_thresholds_the_page_only_summarizes(tmp_path: Path) -> None:
    summary = write_evidently(
        week(3), week(4), columns=("health",), policy=Drift(psi=None), path=tmp_path / "page.html"
    )
    assert summary.distances == {}
    assert "health" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_column_that_is_missing_throughout_has_drifted(tmp_path: Path) -> None:
    empty = week(3).with_columns(health=pl.lit(None, pl.String))
    summary = write_evidently(empty, week(4), columns=("health",), policy=Drift(), path=tmp_path / "page.html")
    assert summary.distances["psi"]["health"] > 1


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelwayError, match="no rows"):
        write_evidently(week(3).head(0), week(4), columns=("health",), policy=Drift(), path=tmp_path / "page.html")
