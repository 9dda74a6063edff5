from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelway.components.core.policy import DataPolicy
from modelway.components.core.verdict import Verdict
from modelway.components.validate.drift import (
    BINS,
    MOST_CATEGORIES,
    Baseline,
    drift_checks,
    measure,
    measure_like,
    population_stability_index,
    shares_like,
)


def policy(psi: float = 0.2, minimum_rows: int = 2, rule: str = "warn") -> DataPolicy:
    return DataPolicy.model_validate({"drift": {"psi": psi, "minimum_rows": minimum_rows}, "on_inconclusive": rule})


def psi(before: pl.Series, now: pl.Series) -> float:
    """The index of one column, as the gate takes it."""
    baseline = measure(before.alias("x").to_frame(), ["x"], "")
    later = measure_like(now.alias("x").to_frame(), baseline, "")
    return population_stability_index(baseline.columns["x"].shares, later.columns["x"].shares)


def test_the_index_is_that_of_the_textbook() -> None:
    # (0.4-0.5)ln(0.4/0.5) + (0.35-0.3)ln(0.35/0.3) + (0.25-0.2)ln(0.25/0.2), worked out by hand
    by_hand = 0.0223143551 + 0.0077075340 + 0.0111571776
    assert population_stability_index([0.5, 0.3, 0.2], [0.4, 0.35, 0.25]) == pytest.approx(by_hand, abs=1e-9)


def test_an_empty_bin_counts_as_a_ten_thousandth() -> None:
    expected = (0.5 - 1e-4) * math.log(0.5 / 1e-4) + (0.5 - 1.0) * math.log(0.5)
    assert population_stability_index([1.0, 0.0], [0.5, 0.5]) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_the_index_is_symmetric_not_negative_and_zero_for_equals(seed: int) -> None:
    dice = np.random.default_rng(seed)
    one, other = dice.dirichlet(np.ones(6)).tolist(), dice.dirichlet(np.ones(6)).tolist()
    assert population_stability_index(one, one) == 0
    assert population_stability_index(one, other) > 0
    assert population_stability_index(one, other) == pytest.approx(population_stability_index(other, one))


def test_the_index_grows_with_the_shift() -> None:
    before = pl.Series(np.random.default_rng(0).normal(size=5000))
    found = [psi(before, before + shift) for shift in (0.0, 0.1, 0.3, 0.6, 1.0)]
    assert found[0] == 0
    assert found == sorted(found)
    assert found[1] < 0.1
    assert found[-1] > 0.25


def test_two_samples_of_one_thing_are_close() -> None:
    dice = np.random.default_rng(1)
    assert psi(pl.Series(dice.normal(size=3000)), pl.Series(dice.normal(size=3000))) < 0.02


@pytest.mark.parametrize(
    ("series", "shares"),
    [
        (pl.Series([float(number) for number in range(1, 101)]), [0.1] * BINS + [0.0]),
        (pl.Series([*range(1, 51), *[None] * 50]), [0.05] * BINS + [0.5]),
        (pl.Series([7, 7, 7, None]), [0.75, 0.0, 0.25]),
        (pl.Series([None, None], dtype=pl.Float64), [0.0, 1.0]),
        (pl.Series([float("nan"), float("inf"), 1.0, 1.0]), [0.5, 0.0, 0.5]),
        (pl.Series(["a", "b", "a", None]), [0.5, 0.25, 0.0, 0.25]),
        (pl.Series([True, False, True, None]), [0.5, 0.25, 0.0, 0.25]),
        (pl.Series([None, None], dtype=pl.String), [0.0, 1.0]),
        (pl.Series([], dtype=pl.Float64), [0.0, 0.0]),
    ],
)
def test_the_shares_of_a_column(series: pl.Series, shares: list[float]) -> None:
    found = measure(series.alias("x").to_frame(), ["x"], "").columns["x"].shares
    assert found == pytest.approx(shares)


@pytest.mark.parametrize(
    "values",
    [
        [dt.date(2024, 1, 1) + dt.timedelta(days=number) for number in range(100)],
        [dt.datetime(2024, 1, 1) + dt.timedelta(hours=number) for number in range(100)],
        [dt.time(number // 60, number % 60) for number in range(100)],
        [dt.timedelta(hours=number) for number in range(100)],
    ],
)
def test_dates_and_times_are_binned_by_deciles(values: list[Any]) -> None:
    series = pl.Series(values)
    shape = measure(series.alias("x").to_frame(), ["x"], "").columns["x"]
    assert shape.kind == "numeric"
    assert shape.shares == pytest.approx([0.1] * BINS + [0.0])
    assert psi(series, series.sample(fraction=1, shuffle=True, seed=0)) == 0
    assert psi(series[:50], series[50:]) > 1


def test_a_date_is_the_same_day_however_it_is_stored() -> None:
    days = pl.Series([dt.date(2024, 1, 1) + dt.timedelta(days=number) for number in range(50)])
    assert psi(days, days.cast(pl.Datetime("ns"))) == 0


@pytest.mark.parametrize(
    "series", [pl.Series([[1], [2]] * 10), pl.Series([b"\xff", b"\xfe"] * 10), pl.Series([{"a": 1}] * 20)]
)
def test_what_is_neither_number_nor_text_is_counted_by_value(series: pl.Series) -> None:
    shape = measure(series.alias("x").to_frame(), ["x"], "").columns["x"]
    assert shape.kind == "categorical"
    assert sum(shape.shares) == pytest.approx(1)


def test_missing_values_are_a_bin_of_their_own() -> None:
    before = pl.Series([1.0, 2.0, 3.0, 4.0] * 25)
    now = pl.Series([1.0, 2.0, 3.0, 4.0, None] * 20)
    expected = sum((0.2 - 0.25) * math.log(0.2 / 0.25) for _ in range(4)) + (0.2 - 1e-4) * math.log(0.2 / 1e-4)
    assert psi(before, now) == pytest.approx(expected)


def test_a_category_not_seen_before_is_among_the_others() -> None:
    baseline = measure(pl.DataFrame({"x": ["a", "a", "b", "b"]}), ["x"], "")
    assert baseline.columns["x"].values == ["a", "b"]
    assert shares_like(pl.Series(["a", "new", "newer", "b"]), baseline.columns["x"]) == [0.25, 0.25, 0.5, 0.0]


def test_rare_categories_beyond_the_most_frequent_are_one_bin() -> None:
    values = [f"c{number:03}" for number in range(MOST_CATEGORIES + 20)]
    table = pl.DataFrame({"x": values + values[20:]})
    shape = measure(table, ["x"], "").columns["x"]
    assert shape.values == values[20:]
    assert shape.shares[-2] == pytest.approx(20 / len(table))


def test_ties_are_broken_the_same_way_each_time() -> None:
    values = [f"c{number:03}" for number in range(300)]
    found = {
        tuple(measure(pl.DataFrame({"x": values[turn:] + values[:turn]}), ["x"], "").columns["x"].values)
        for turn in range(5)
    }
    assert found == {tuple(values[:MOST_CATEGORIES])}


@pytest.mark.parametrize("name", ["rows", "value", "count", "x y"])
def test_a_column_may_have_any_name(name: str) -> None:
    assert measure(pl.DataFrame({name: ["a", "b"]}), [name], "").columns[name].shares == [0.5, 0.5, 0.0, 0.0]


def test_numbers_that_became_text_are_all_missing() -> None:
    assert psi(pl.Series([1.0, 2.0, 3.0] * 10), pl.Series(["1", "2", "3"] * 10)) > 1


def test_a_baseline_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    table = pl.DataFrame({"a": [0.1, 1 / 3, None], "b": ["x", "größe", None]})
    baseline = measure(table, ["a", "b"], "hash")
    baseline.write(tmp_path / "baseline.json")
    assert Baseline.model_validate_json((tmp_path / "baseline.json").read_text(encoding="utf-8")) == baseline
    assert measure(table.reverse(), ["a", "b"], "hash") == baseline


@pytest.fixture
def baseline() -> Baseline:
    return measure(pl.DataFrame({"same": range(100), "moved": range(100)}), ["same", "moved"], "before")


def test_each_column_is_compared(baseline: Baseline) -> None:
    now = measure_like(pl.DataFrame({"same": range(100), "moved": range(50, 150)}), baseline, "now")
    same, moved = drift_checks(now, baseline, policy())
    assert (same.name, same.verdict, same.observed) == ("drift[same]", Verdict.PASSED, 0.0)
    assert (moved.name, moved.verdict, moved.blocks) == ("drift[moved]", Verdict.FAILED, True)
    assert moved.threshold == 0.2
    assert isinstance(moved.observed, float)
    assert moved.observed > 0.2
    assert f"PSI {moved.observed:.3f}" in moved.message


def test_the_threshold_itself_passes(baseline: Baseline) -> None:
    now = measure_like(pl.DataFrame({"same": range(10, 110)}), baseline, "now")
    index = population_stability_index(baseline.columns["same"].shares, now.columns["same"].shares)
    assert drift_checks(now, baseline, policy(index))[0].verdict is Verdict.PASSED
    assert drift_checks(now, baseline, policy(index * 0.999))[0].verdict is Verdict.FAILED


@pytest.mark.parametrize(("rule", "blocks"), [("warn", False), ("block", True)])
def test_without_a_baseline_the_answer_is_open(baseline: Baseline, rule: str, blocks: bool) -> None:
    (check,) = drift_checks(baseline, None, policy(rule=rule))
    assert (check.name, check.verdict, check.blocks) == ("drift", Verdict.INCONCLUSIVE, blocks)
    assert "no approved model yet" in check.message


@pytest.mark.parametrize(("least", "rows", "fewest"), [(101, 200, 100), (100, 99, 99)])
@pytest.mark.parametrize(("rule", "blocks"), [("warn", False), ("block", True)])
def test_with_too_few_rows_the_answer_is_open(
    baseline: Baseline, least: int, rows: int, fewest: int, rule: str, blocks: bool
) -> None:
    now = measure_like(pl.DataFrame({"same": range(rows)}), baseline, "now")
    (check,) = drift_checks(now, baseline, policy(minimum_rows=least, rule=rule))
    assert (check.verdict, check.blocks) == (Verdict.INCONCLUSIVE, blocks)
    assert (check.observed, check.threshold) == (fewest, least)


def test_columns_that_only_one_side_has_are_not_compared(baseline: Baseline) -> None:
    now = measure_like(pl.DataFrame({"same": range(100), "new": range(100)}), baseline, "now")
    assert list(now.columns) == ["same"]
