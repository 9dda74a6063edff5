from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelway.components.core.measures.stability import population_stability_index
from modelway.components.validate.counting import SAMPLE_ROWS
from modelway.components.validate.distributions import (
    BINS,
    MOST_CATEGORIES,
    Distribution,
    TableStatistics,
    measure,
    measure_like,
)


def psi(before: pl.Series, now: pl.Series) -> float:
    """The index of one column, as the gate takes it."""
    baseline = measure(before.alias("x").to_frame(), ["x"], data_hash="")
    later = measure_like(now.alias("x").to_frame(), baseline, data_hash="")
    return population_stability_index(baseline.columns["x"].shares, later.columns["x"].shares)


def test_the_index_grows_with_the_shift() -> None:
    before = pl.Series(np.random.default_rng(0).normal(size=5000))
    indices = [psi(before, before + shift) for shift in (0.0, 0.1, 0.3, 0.6, 1.0)]
    assert indices[0] == 0
    assert indices == sorted(indices)
    assert indices[1] < 0.1
    assert indices[-1] > 0.25


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
    measured_shares = measure(series.alias("x").to_frame(), ["x"], data_hash="").columns["x"].shares
    assert measured_shares == pytest.approx(shares)


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
    distribution = measure(series.alias("x").to_frame(), ["x"], data_hash="").columns["x"]
    assert distribution.kind == "numeric"
    assert distribution.shares == pytest.approx([0.1] * BINS + [0.0])
    assert psi(series, series.sample(fraction=1, shuffle=True, seed=0)) == 0
    assert psi(series[:50], series[50:]) > 1


def test_a_date_is_the_same_day_however_it_is_stored() -> None:
    days = pl.Series([dt.date(2024, 1, 1) + dt.timedelta(days=number) for number in range(50)])
    assert psi(days, days.cast(pl.Datetime("ns"))) == 0


@pytest.mark.parametrize(
    "series", [pl.Series([[1], [2]] * 10), pl.Series([b"\xff", b"\xfe"] * 10), pl.Series([{"a": 1}] * 20)]
)
def test_what_is_neither_number_nor_text_is_counted_by_value(series: pl.Series) -> None:
    distribution = measure(series.alias("x").to_frame(), ["x"], data_hash="").columns["x"]
    assert distribution.kind == "categorical"
    assert sum(distribution.shares) == pytest.approx(1)


def test_missing_values_are_a_bin_of_their_own() -> None:
    before = pl.Series([1.0, 2.0, 3.0, 4.0] * 25)
    now = pl.Series([1.0, 2.0, 3.0, 4.0, None] * 20)
    expected = sum((0.2 - 0.25) * math.log(0.2 / 0.25) for _ in range(4)) + (0.2 - 1e-4) * math.log(0.2 / 1e-4)
    assert psi(before, now) == pytest.approx(expected)


def test_a_category_not_seen_before_is_among_the_others() -> None:
    baseline = measure(pl.DataFrame({"x": ["a", "a", "b", "b"]}), ["x"], data_hash="")
    assert baseline.columns["x"].values == ["a", "b"]
    later = measure_like(pl.DataFrame({"x": ["a", "new", "newer", "b"]}), baseline, data_hash="")
    assert later.columns["x"].shares == [0.25, 0.25, 0.5, 0.0]


def test_rare_categories_beyond_the_most_frequent_are_one_bin() -> None:
    values = [f"c{number:03}" for number in range(MOST_CATEGORIES + 20)]
    table = pl.DataFrame({"x": values + values[20:]})
    distribution = measure(pl.concat([table] * 50), ["x"], data_hash="").columns["x"]
    assert len(distribution.values) == MOST_CATEGORIES
    assert len(set(distribution.values) & set(values[20:])) > 95
    assert distribution.shares[-2] == pytest.approx(20 / len(table), abs=0.03)
    assert sum(distribution.chosen_by) == 50 * len(table) // 2


def test_ties_are_broken_the_same_way_each_time() -> None:
    values = [f"c{number:03}" for number in range(MOST_CATEGORIES)]
    orders = {
        tuple(measure(pl.DataFrame({"x": values[turn:] + values[:turn]}), ["x"], data_hash="").columns["x"].values)
        for turn in range(5)
    }
    assert orders == {tuple(values)}


@pytest.mark.parametrize("name", ["rows", "value", "count", "x y"])
def test_a_column_may_have_any_name(name: str) -> None:
    assert measure(pl.DataFrame({name: ["a", "b"]}), [name], data_hash="").columns[name].shares == [0.5, 0.5, 0.0, 0.0]


def test_numbers_that_became_text_are_all_missing() -> None:
    assert psi(pl.Series([1.0, 2.0, 3.0] * 10), pl.Series(["1", "2", "3"] * 10)) > 1


def test_a_baseline_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    table = pl.DataFrame({"a": [0.1, 1 / 3, None], "b": ["x", "größe", None]})
    baseline = measure(table, ["a", "b"], data_hash="hash")
    baseline.write(tmp_path / "baseline.json")
    assert TableStatistics.model_validate_json((tmp_path / "baseline.json").read_text(encoding="utf-8")) == baseline
    assert measure(table.reverse(), ["a", "b"], data_hash="hash") == baseline


def of(series: pl.Series) -> Distribution:
    return measure(series.alias("x").to_frame(), ["x"], data_hash="").columns["x"]


def test_whole_numbers_with_few_values_have_a_bin_for_each() -> None:
    distribution = of(pl.Series([0] * 50 + [1] * 950))
    assert (distribution.kind, distribution.edges) == ("discrete", [0.0, 1.0])
    assert distribution.shares == [0.05, 0.95, 0.0, 0.0]


@pytest.mark.parametrize("place", [0.0, 5.0, 100.0])
def test_a_value_that_fills_a_decile_is_parted_from_its_neighbours(place: float) -> None:
    dice = np.random.default_rng(0)
    spread = dice.random(200) * 100
    before = pl.Series(np.concatenate([np.full(800, place), spread]))
    now = pl.Series(np.concatenate([np.full(500, place), dice.random(500) * 100]))
    assert psi(before, now) > 0.2


def test_values_below_the_most_frequent_least_one_are_seen() -> None:
    before = pl.Series([0.0] * 500 + [float(number) for number in range(1, 501)])
    assert psi(before, before.replace(0.0, -5.0)) > 1


@pytest.mark.parametrize(("before", "now"), [([7] * 50, [9] * 50), ([7] * 50, [5] * 50), ([1, 2] * 25, [1, 3] * 25)])
def test_another_value_than_any_before_is_seen(before: list[int], now: list[int]) -> None:
    assert psi(pl.Series(before), pl.Series(now)) > 1


def test_text_that_becomes_flags_or_numbers_is_compared_by_what_it_says() -> None:
    flags = pl.Series(["true", "false"] * 10)
    assert psi(flags, pl.Series([True, False] * 10)) == 0
    assert psi(pl.Series(["yes", "no"] * 10), pl.Series([True, False] * 10)) > 1
    assert psi(pl.Series(["1", "2"] * 10), pl.Series([1, 2] * 10)) == 0


def test_a_value_may_be_named_as_anything() -> None:
    before = pl.Series(["known", "least", "0", "true"] * 5)
    assert psi(before, pl.Series(["x", "least"] * 10)) > 1
    later = measure_like(
        pl.DataFrame({"x": ["x"] * 4}), measure(before.alias("x").to_frame(), ["x"], data_hash=""), data_hash=""
    )
    assert later.columns["x"].shares == [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt64, pl.Int32, pl.Float32, pl.Float64, pl.Decimal(10, 2), pl.Int128])
def test_numbers_are_counted_alike_however_they_are_stored(dtype: Any) -> None:
    numbers = pl.Series(np.random.default_rng(0).integers(0, 100, 1000))
    assert of(numbers.cast(dtype)).shares == of(numbers).shares
    assert psi(numbers, numbers.cast(dtype)) == 0


def test_large_numbers_do_not_overflow() -> None:
    numbers = pl.Series([2**63 + number * 2**50 for number in range(1000)], dtype=pl.UInt64)
    assert of(numbers).shares == pytest.approx([0.1] * BINS + [0.0], abs=0.01)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> pl.LazyFrame:
    """More rows than the bins are read off, with infinities and gaps, sorted by one column."""
    dice = np.random.default_rng(0)
    rows = 3 * SAMPLE_ROWS
    number = dice.normal(size=rows)
    number[:1000] = [np.nan, np.inf, -np.inf, 0.0] * 250
    table = pl.DataFrame(
        {
            "number": number,
            "whole": np.sort(dice.integers(0, 10**6, rows)),
            "text": np.array(["a", "b", "c", "rare"])[dice.choice(4, rows, p=[0.5, 0.3, 0.1999, 0.0001])],
        }
    )
    path = tmp_path_factory.mktemp("large") / "table.parquet"
    table.with_columns(pl.col("text").replace("c", None)).write_parquet(path, row_group_size=50_000)
    return pl.scan_parquet(path)


def test_the_bins_of_a_large_table_are_counted_over_every_row(large: pl.LazyFrame) -> None:
    statistics = measure(large, ["number", "whole", "text"], data_hash="")
    table = large.collect()
    assert statistics.rows == len(table)
    for name in ("number", "whole"):
        distribution = statistics.columns[name]
        values = table[name].cast(pl.Float64).to_numpy()
        finite = values[np.isfinite(values)]
        by_hand = np.bincount(np.searchsorted(distribution.edges, finite, side="left"), minlength=BINS) / len(values)
        assert distribution.shares == pytest.approx([*by_hand, 1 - len(finite) / len(values)])
        assert distribution.shares[:-1] == pytest.approx(
            [0.1] * BINS, abs=0.01
        )  # the sample's deciles are near the table's
    text = statistics.columns["text"]
    counts = dict(table["text"].drop_nulls().value_counts().iter_rows())
    assert text.values == ["a", "b", "rare"]
    assert text.shares[:3] == pytest.approx([counts[value] / len(table) for value in text.values])
    assert text.shares[-1] == pytest.approx(table["text"].null_count() / len(table))


def test_a_large_table_gives_the_same_baseline_each_time(large: pl.LazyFrame) -> None:
    names = ["number", "whole", "text"]
    assert (
        measure(large, names, data_hash="")
        == measure(large, names, data_hash="")
        == measure(large.collect(), names, data_hash="")
    )


def test_a_baseline_written_before_groups_were_known_is_read() -> None:
    old = '{"data_hash": "x", "rows": 3, "columns": {"a": {"kind": "numeric", "edges": [1.0], "shares": [1, 0, 0]}}}'
    assert TableStatistics.model_validate_json(old).rows_per_group == 1


def test_rows_of_a_group_weigh_as_one() -> None:
    table = pl.DataFrame({"x": range(60), "person": [number // 4 for number in range(60)]})
    assert measure(table, ["x"], data_hash="", group="person").rows_per_group == 4
    assert measure(table, ["x"], data_hash="", group="x").rows_per_group == 1
