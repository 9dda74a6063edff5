from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelway.components.core.config.project import Split
from modelway.components.core.errors import ModelwayError
from modelway.components.ingest.split import Splits, row_hashes, split_table


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    dice = np.random.default_rng(0)
    rows = 4000
    start = dt.datetime(2024, 1, 1)
    return pl.DataFrame(
        {
            "row": range(rows),
            "person": dice.integers(0, 800, rows),
            "region": [["north", "south", None][number] for number in dice.integers(0, 3, rows)],
            "income": [None if number < 0.1 else float(number) for number in dice.random(rows)],
            "at": [start + dt.timedelta(minutes=int(number)) for number in dice.integers(0, 3000, rows)],
            "late": dice.integers(0, 2, rows).astype(bool),
        }
    )


def sides(parts: Splits) -> tuple[pl.DataFrame, pl.DataFrame]:
    assert parts.unseen.is_empty()
    return parts.train, parts.test


KINDS = [
    {"by": "row"},
    {"by": "row", "column": "row"},
    {"by": "group", "column": "person"},
    {"by": "time", "column": "at"},
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5])
def test_the_sides_share_out_the_rows(table: pl.DataFrame, kind: dict[str, Any], fraction: float) -> None:
    train, test = sides(split_table(table, Split(**kind, test_fraction=fraction)))
    assert sorted([*train["row"], *test["row"]]) == list(range(len(table)))
    assert len(test) / len(table) == pytest.approx(fraction, abs=0.06)
    assert train["row"].is_sorted()
    assert train.schema == test.schema == table.schema


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_rows_and_columns_does_not_matter(table: pl.DataFrame, kind: dict[str, Any]) -> None:
    split = Split(**kind)
    expected = set(split_table(table, split).test["row"])
    assert set(split_table(table.reverse(), split).test["row"]) == expected
    assert set(split_table(table.sample(fraction=1, shuffle=True, seed=1), split).test["row"]) == expected
    assert set(split_table(table.select(reversed(table.columns)), split).test["row"]) == expected


@pytest.mark.parametrize("kind", KINDS[:3])
def test_rows_stay_where_they_are_when_others_come(table: pl.DataFrame, kind: dict[str, Any]) -> None:
    split = Split(**kind)
    before = set(split_table(table[:2500], split).test["row"])
    after = set(split_table(table, split).test["row"])
    assert after & set(range(2500)) == before


@pytest.mark.parametrize("kind", KINDS[:3])
def test_another_seed_gives_another_split(table: pl.DataFrame, kind: dict[str, Any]) -> None:
    sides = [set(split_table(table, Split(**kind, seed=seed)).test["row"]) for seed in range(4)]
    for number, side in enumerate(sides):
        for second_series in sides[:number]:
            overlap = len(side & second_series) / len(side)
            assert overlap == pytest.approx(0.2, abs=0.1)  # as independent draws do


def test_groups_stay_whole(table: pl.DataFrame) -> None:
    train, test = sides(split_table(table, Split(by="group", column="person")))
    assert not set(train["person"]) & set(test["person"])
    assert test["person"].n_unique() / table["person"].n_unique() == pytest.approx(0.2, abs=0.05)


def test_equal_rows_are_never_on_both_sides(table: pl.DataFrame) -> None:
    content = table.drop("row", "at").with_columns(pl.col("income").round(1))
    train, test = sides(split_table(pl.concat([content, content.reverse()]), Split()))
    assert not set(train.iter_rows()) & set(test.iter_rows())
    assert len(train) > 1000
    assert len(test) > 200


def test_the_test_side_is_later(table: pl.DataFrame) -> None:
    train, test = sides(split_table(table, Split(by="time", column="at")))
    assert test["at"].min() > train["at"].max()  # type: ignore[operator]


def test_rows_of_one_instant_stay_together() -> None:
    table = pl.DataFrame({"day": [1, 2, 3, 3, 3, 3, 3, 4, 5, 5]})
    train, test = sides(split_table(table, Split(by="time", column="day", test_fraction=0.5)))
    assert train["day"].to_list() == [1, 2, 3, 3, 3, 3, 3]
    assert test["day"].to_list() == [4, 5, 5]


@pytest.mark.parametrize(
    ("rows_per_day", "fraction", "test_days"),
    [
        ([10, 10, 10], 0.2, 1),  # monthly snapshots, of which each is more than the share
        ([10, 10, 10, 10], 0.2, 1),
        ([1, 99], 0.2, 1),
        ([99, 1], 0.2, 1),
        ([1, 1], 0.2, 1),
        ([50, 30, 10, 10], 0.25, 2),  # 20 % is nearer than 50 %
        ([50, 20, 20, 10], 0.25, 2),  # 30 % is nearer than 10 %
        ([1] * 10, 0.01, 1),
        ([1] * 10, 0.99, 9),
    ],
)
def test_the_cut_in_time_is_the_nearest_to_the_share_and_leaves_both_sides_rows(
    rows_per_day: list[int], fraction: float, test_days: int
) -> None:
    days = np.repeat(np.arange(len(rows_per_day)), rows_per_day)
    table = pl.DataFrame({"day": [dt.date(2024, 1, 1) + dt.timedelta(days=int(day)) for day in days]})
    train, test = sides(split_table(table, Split(by="time", column="day", test_fraction=fraction)))
    assert (test["day"].n_unique(), train["day"].n_unique()) == (test_days, len(rows_per_day) - test_days)


@pytest.mark.parametrize("rows_per_day", [[5, 5, 5], [90, 5, 5], [1, 1, 98], [1, 98, 1]])
def test_three_instants_are_enough_for_three_splits(rows_per_day: list[int]) -> None:
    table = pl.DataFrame({"day": np.repeat(np.arange(3), rows_per_day)})
    parts = split_table(table, Split(by="time", column="day", unseen_fraction=0.1))
    assert [part["day"].unique().to_list() for part in (parts.train, parts.test, parts.unseen)] == [[0], [1], [2]]


def test_fewer_instants_than_splits_is_an_error_that_counts_them() -> None:
    table = pl.DataFrame({"day": [1, 1, 2]})
    with pytest.raises(ModelwayError, match="leaves no unseen rows of 3") as error:
        split_table(table, Split(by="time", column="day", unseen_fraction=0.1))
    assert error.value.remedy is not None
    assert "needs 3 instants, and the column has 2" in error.value.remedy


# What these rows gave in version 0.1; a later version must not move rows between the sides.
GOLDEN = pl.DataFrame(
    {
        "id": [f"{number:03}" for number in range(20)],
        "age": [None if number % 7 == 0 else number * 1.5 for number in range(20)],
        "city": [["Bonn", "Köln", None, ""][number % 4] for number in range(20)],
        "paid": [number % 3 == 0 for number in range(20)],
        "day": [dt.date(2024, 1, 1) + dt.timedelta(days=number // 2) for number in range(20)],
        "at": [dt.datetime(2024, 1, 1, number % 24, 30) for number in range(20)],
    }
)


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ({"by": "row", "test_fraction": 0.3}, [1, 4, 5, 8, 10, 12, 15]),
        ({"by": "row", "test_fraction": 0.3, "seed": 7}, [1, 3, 7, 10, 16, 17, 18, 19]),
        ({"by": "row", "column": "id", "test_fraction": 0.3}, [0, 3, 7, 10, 13, 17, 18]),
        ({"by": "group", "column": "day", "test_fraction": 0.3}, [18, 19]),
        ({"by": "group", "column": "age", "test_fraction": 0.3}, [0, 3, 6, 7, 11, 13, 14, 15, 16, 18, 19]),
        ({"by": "time", "column": "at", "test_fraction": 0.3}, [14, 15, 16, 17, 18, 19]),
    ],
)
def test_the_split_is_the_same_in_every_version(split: dict[str, Any], expected: list[int]) -> None:
    table = GOLDEN.with_columns(pl.col("age").fill_null(-1.0)) if split.get("column") == "age" else GOLDEN
    test = split_table(table, Split(**split)).test
    assert [int(number) for number in test["id"]] == expected


@pytest.mark.parametrize(
    ("first_series", "second_series"),
    [
        (pl.Series([1, 2]), pl.Series([1.0, 2.0])),
        (pl.Series([1, 0]), pl.Series([True, False])),
        (pl.Series([0.0]), pl.Series([-0.0])),
        (pl.Series([None, 1.0]), pl.Series([float("nan"), 1.0])),
        (pl.Series(["a", "b"]), pl.Series(["a", "b"], dtype=pl.Categorical)),
        (pl.Series([dt.date(2024, 1, 1)]), pl.Series([dt.datetime(2024, 1, 1)], dtype=pl.Datetime("ns"))),
    ],
)
def test_a_value_has_one_hash_however_it_is_stored(first_series: pl.Series, second_series: pl.Series) -> None:
    first, second = (row_hashes(pl.DataFrame({"a": series}), ["a"]) for series in (first_series, second_series))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    "series",
    [
        pl.Series([0, 1, -1, 2**53]),
        pl.Series([0.1, 0.2, 1e-300]),
        pl.Series(["", " ", "a", "A", None]),
        pl.Series([dt.time(1), dt.time(2), None]),
        pl.Series([dt.timedelta(1), dt.timedelta(2)]),
        pl.Series([[1, 2], [12], []]),
        pl.Series([{"a": 1}, {"a": 2}]),
        pl.Series([b"\xff", b"\xfe"]),
    ],
)
def test_different_values_have_different_hashes(series: pl.Series) -> None:
    assert len(set(row_hashes(pl.DataFrame({"a": series}), ["a"]).tolist())) == len(series)


def test_values_do_not_run_together() -> None:
    table = pl.DataFrame({"a": ["x", "xy"], "b": ["yz", "z"]})
    assert len(set(row_hashes(table, ["a", "b"]).tolist())) == 2


@pytest.mark.parametrize(
    ("split", "key", "column", "says"),
    [
        ({"by": "group", "column": "city"}, "data.split.column", "city", "has no column 'city'"),
        ({"by": "row", "column": "city"}, "data.split.column", "city", "has no column 'city'"),
        ({"by": "group", "column": "region"}, "data.split.column", "region", "rows have no 'region'"),
        ({"by": "time", "column": "income"}, "data.split.column", "income", "rows have no 'income'"),
        ({"by": "row", "test_fraction": 1e-9}, "data.split", None, "no test rows of 4000"),
        ({"by": "row", "test_fraction": 1 - 1e-9}, "data.split", None, "no training rows of 4000"),
        ({"by": "group", "column": "one"}, "data.split", "one", "rows of 4000"),
        ({"by": "time", "column": "one"}, "data.split", "one", "no test rows of 4000"),
    ],
)
def test_splits_that_cannot_be(
    table: pl.DataFrame, split: dict[str, Any], key: str, column: str | None, says: str
) -> None:
    with pytest.raises(ModelwayError) as error:
        split_table(table.with_columns(one=1), Split(**split))
    assert (error.value.key, error.value.column) == (key, column)
    assert says in error.value.message
    assert error.value.remedy


@pytest.mark.parametrize("kind", KINDS)
def test_rows_held_back_are_in_no_other_split_and_leave_the_test_split_as_it_was(
    table: pl.DataFrame, kind: dict[str, Any]
) -> None:
    split = Split(**kind, test_fraction=0.2, unseen_fraction=0.15)
    parts = split_table(table, split)
    rows = [set(part["row"]) for part in (parts.train, parts.test, parts.unseen)]
    assert sum(map(len, rows)) == len(set.union(*rows)) == len(table)
    assert len(rows[2]) / len(table) == pytest.approx(0.15, abs=0.05)
    assert len(rows[1]) / len(table) == pytest.approx(0.2, abs=0.06)
    if kind["by"] == "time":
        assert parts.train["at"].max() < parts.test["at"].min() <= parts.test["at"].max() < parts.unseen["at"].min()  # type: ignore[operator]
    else:
        assert rows[1] == set(split_table(table, Split(**kind, test_fraction=0.2)).test["row"])


def test_no_rows_left_to_hold_back_is_an_error(table: pl.DataFrame) -> None:
    with pytest.raises(ModelwayError, match="leaves no unseen rows of 5") as error:
        split_table(table.head(5), Split(by="row", column="row", test_fraction=0.5, unseen_fraction=0.001))
    assert error.value.value == "0.001"
