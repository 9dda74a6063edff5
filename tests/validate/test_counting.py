from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelway.components.core.errors import ModelwayError
from modelway.components.validate import counting
from modelway.components.validate.counting import (
    Tally,
    aligned,
    count,
    multiplicities,
    row_hash,
    rows_per_group,
    sample_of,
)

TABLE = pl.DataFrame({"number": range(1000), "letter": ["a", "b", "a", None] * 250}).lazy()


def test_numbers_and_values_are_counted_together() -> None:
    text = pl.col("number").cast(pl.String)
    values = {"letter": (pl.col("letter"), ["a", "z", "b"]), "number": (text, [])}
    counts = count(TABLE, Tally({"small": pl.col("number") < 10}, values))
    assert (counts.rows, counts.numbers) == (1000, {"small": 10})
    assert counts.values == {"letter": {"a": 500, "b": 250}, "number": {}}


def test_columns_of_few_values_give_the_same_counts() -> None:
    letter, number = pl.col("letter"), pl.col("number")
    conditions = {"b": letter == "b", "null": letter.is_null(), "both": (letter == "a") & (number < 9), "n": number < 5}
    tally = Tally(conditions | {"all": pl.repeat(value=True, n=pl.len())}, {"letter": (letter, ["a"])})
    plain, quick = count(TABLE, tally), count(TABLE, tally, low_cardinality=["letter"])
    assert (plain.rows, plain.numbers) == (quick.rows, quick.numbers)
    assert plain.numbers == {"b": 250, "null": 250, "both": 5, "n": 5, "all": 1000}
    assert plain.values["letter"]["a"] == quick.values["letter"]["a"] == 500


def test_counts_of_two_parts_add_up_to_that_of_the_whole() -> None:
    tally = Tally({"even": pl.col("number") % 2 == 0, "rare": pl.col("letter") == "b"})
    parts = count(TABLE.head(333), tally) + count(TABLE.slice(333), tally)
    whole = count(TABLE, tally)
    assert (parts.rows, parts.numbers) == (whole.rows, whole.numbers)


def test_more_columns_of_text_than_are_counted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "PLANS_AT_ONCE", 3)
    table = pl.DataFrame({f"c{number}": ["a"] * number + ["b"] * (20 - number) for number in range(10)}).lazy()
    tally = Tally({}, {f"c{number}": (pl.col(f"c{number}"), ["a"]) for number in range(10)})
    values = count(table, tally).values
    assert [values[f"c{number}"].get("a", 0) for number in range(10)] == list(range(10))


def test_what_cannot_be_evaluated_is_an_error_that_says_so() -> None:
    with pytest.raises(ModelwayError, match="a row rule cannot be evaluated"):
        count(TABLE, Tally({"wrong": pl.col("letter") + 1 > 2}))


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> pl.LazyFrame:
    path: Path = tmp_path_factory.mktemp("counting") / "table.parquet"
    pl.DataFrame({"place": range(200_000)}).write_parquet(path, row_group_size=30_000)
    return pl.scan_parquet(path)


def test_a_sample_is_as_large_as_asked_drawn_everywhere_and_always_the_same(parquet: pl.LazyFrame) -> None:
    places = sample_of(parquet, ["place"], limit=5_000)["place"].to_numpy()
    assert len(np.unique(places)) == 5_000
    tenths = np.bincount(places // 20_000, minlength=10)
    assert (abs(tenths - 500) < 100).all()
    assert abs(np.corrcoef(places, np.arange(5_000))[0, 1]) < 0.05  # in random order, so that its head is a sample too
    assert (places == sample_of(parquet, ["place"], limit=5_000)["place"].to_numpy()).all()
    assert set(places) != set(sample_of(parquet, ["place"], limit=5_000, seed=1)["place"])


def test_a_sample_of_a_file_is_that_of_the_same_rows_in_memory(parquet: pl.LazyFrame) -> None:
    assert sample_of(parquet, ["place"], limit=5_000).equals(
        sample_of(parquet.collect().lazy(), ["place"], limit=5_000)
    )


def test_neighbours_in_a_sample_are_as_far_apart_as_chance_has_them(parquet: pl.LazyFrame) -> None:
    gaps = np.diff(np.sort(sample_of(parquet, ["place"], limit=5_000)["place"].to_numpy()))
    assert np.std(gaps) == pytest.approx(np.mean(gaps), rel=0.1)  # geometric, unlike those of every n-th row


@pytest.mark.parametrize("limit", [1000, 2000])
def test_a_sample_of_a_small_table_is_all_of_it(limit: int) -> None:
    assert sorted(sample_of(TABLE, ["number"], limit=limit)["number"]) == list(range(1000))


@pytest.mark.parametrize("at_once", [10, 100, 10_000])
def test_equal_keys_are_found_however_few_rows_are_held(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "ROWS_AT_ONCE", at_once)
    table = TABLE.with_columns(pl.col("number") // 3)
    frames = list(multiplicities(table, ["number", "letter"], rows=1000))
    assert len(frames) == -(-1000 // at_once)
    sizes = pl.concat(frames)
    expected = table.group_by("number", "letter").len().collect()["len"].to_list()
    assert sorted(sizes["rows"].to_list()) == sorted(expected)


def test_missing_values_are_equal_keys_and_columns_are_kept_apart() -> None:
    table = pl.DataFrame({"a": [None, None, "x", ""], "b": ["x", "x", None, ""]})
    keys = table.select(row_hash(["a", "b"]))["a"].to_list()
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    ("groups", "effect"), [([1, 2, 3, 4], 1.0), ([1, 1, 2, 2], 2.0), ([1, 1, 1, 2], 2.5), ([], 1.0)]
)
def test_rows_per_group_weigh_groups_by_their_size(groups: list[int], effect: float) -> None:
    assert rows_per_group(pl.LazyFrame({"group": groups}, schema={"group": pl.Int64}), "group") == effect


@pytest.mark.parametrize(
    ("first", "second", "common"),
    [
        ({"a": [1]}, {"a": [1.5]}, pl.Float64()),
        ({"a": [1]}, {"a": ["x"]}, pl.String()),
        ({"a": [True]}, {"a": [1]}, pl.String()),
        ({"a": [1]}, {"b": [1]}, pl.Int64()),
        ({"a": ["x"]}, {"a": [[1, 2]]}, pl.String()),
        ({"a": [b"x"]}, {"a": [{"b": 1}]}, pl.String()),
    ],
)
def test_tables_of_different_columns_are_brought_together(
    first: dict[str, Any], second: dict[str, Any], common: pl.DataType
) -> None:
    tables = aligned(pl.LazyFrame(first), pl.LazyFrame(second))
    schemas = [table.collect_schema() for table in tables]
    assert schemas[0] == schemas[1]
    assert schemas[0]["a"] == common
    assert pl.concat(tables).collect().height == 2


@pytest.mark.parametrize("rows_at_once", [3, 1_000])
def test_groups_with_a_row_that_meets_a_condition(monkeypatch: pytest.MonkeyPatch, rows_at_once: int) -> None:
    monkeypatch.setattr(counting, "ROWS_AT_ONCE", rows_at_once)
    table = pl.LazyFrame({"group": ["a", "a", "b", "c", None, "d"], "x": [1, None, 3, 4, 5, 0]})
    conditions = {"above 2": pl.col("x") > 2, "missing": pl.col("x").is_null(), "negative": pl.col("x") < 0}
    assert counting.groups_with(table, "group", conditions) == (5, {"above 2": 3, "missing": 1, "negative": 0})
    assert counting.groups_with(table, "group", {}) == (5, {})
    assert counting.groups_with(table.head(0), "group", conditions) == (0, dict.fromkeys(conditions, 0))


@pytest.mark.parametrize("rows_at_once", [3, 1_000])
def test_groups_with_the_same_value(monkeypatch: pytest.MonkeyPatch, rows_at_once: int) -> None:
    monkeypatch.setattr(counting, "ROWS_AT_ONCE", rows_at_once)
    table = pl.LazyFrame({"value": ["x", "x", "x", "y", "y", "z"], "group": [1, 1, 2, 3, 4, None]})
    frames = list(counting.multiplicities(table, ["value"], rows=6, group="group"))
    assert sorted(rows for frame in frames for rows in frame["rows"]) == [1, 2, 2]
    frames = list(counting.multiplicities(table, ["value"], rows=6))
    assert sorted(rows for frame in frames for rows in frame["rows"]) == [1, 2, 3]
