"""Where rows of some content go: hashes that stay, and places that are independent of one another."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest

from modelway.components.core.config.project import Split
from modelway.components.core.tables.placement import (
    TEST,
    TRAIN,
    UNSEEN,
    hashed_columns,
    numbers_among_equal,
    row_hashes,
    sides,
)


@pytest.mark.parametrize(
    ("split", "columns"),
    [
        ({}, ["age", "late", "opened"]),
        ({"equal_rows": "apart"}, ["age", "late", "opened"]),
        ({"equal_rows": "together"}, ["age", "opened"]),
        ({"column": "age"}, ["age"]),
        ({"by": "group", "column": "opened"}, ["opened"]),
    ],
)
def test_which_columns_decide(split: dict[str, str], columns: list[str]) -> None:
    assert hashed_columns(["opened", "late", "age"], Split.model_validate(split), label="late") == columns


def test_equal_rows_are_numbered_in_their_order() -> None:
    hashes = np.array([7, 9, 7, 7, 9, 2**63], dtype=np.uint64)
    assert numbers_among_equal(hashes).tolist() == [0, 0, 1, 2, 1, 0]
    assert numbers_among_equal(hashes[:0]).tolist() == []


def test_rows_of_one_hash_have_places_as_independent_as_rows_of_many() -> None:
    split = Split(equal_rows="apart", test_fraction=0.2, unseen_fraction=0.1)
    numbers = np.arange(100_000, dtype=np.uint64)
    one, many = np.zeros(100_000, dtype=np.uint64), numbers * np.uint64(1_000_003)
    for hashes in (one, many):
        side = sides(hashes, split, numbers=numbers)
        for place, share in ((TEST, 0.2), (UNSEEN, 0.1), (TRAIN, 0.7)):
            assert abs((side == place).mean() - share) < 4 * (share * (1 - share) / 100_000) ** 0.5
        is_test = side == TEST
        for lag in (1, 2, 3, 8, 1024):  # one row's place tells nothing of that of another one
            assert abs(np.corrcoef(is_test[:-lag], is_test[lag:])[0, 1]) < 4.5 / 100_000**0.5
    assert len(set(sides(one, split).tolist())) == 1


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


@pytest.mark.parametrize("repeats", [1, 2, 50])
@pytest.mark.parametrize("missing", [[], [None]])
def test_a_text_has_the_hash_that_pandas_gives_it_however_often_it_stands(
    repeats: int, missing: list[str | None]
) -> None:
    texts = [*missing, "", " ", "a", "Zürich", "nan", "None", "x" * 500, *map(str, range(300))] * repeats
    hashes = row_hashes(pl.DataFrame({"a": texts}), ["a"])
    expected = pd.util.hash_pandas_object(pd.DataFrame({"a": pd.Series(texts, dtype=object)}), index=False)
    np.testing.assert_array_equal(hashes, expected)


def test_a_column_without_any_text_has_hashes() -> None:
    hashes = row_hashes(pl.DataFrame({"a": pl.Series([None, None], dtype=pl.String)}), ["a"])
    expected = pd.util.hash_pandas_object(pd.DataFrame({"a": pd.Series([None, None], dtype=object)}), index=False)
    np.testing.assert_array_equal(hashes, expected)
    assert len(row_hashes(pl.DataFrame({"a": pl.Series([], dtype=pl.String)}), ["a"])) == 0


def test_values_do_not_run_together() -> None:
    table = pl.DataFrame({"a": ["x", "xy"], "b": ["yz", "z"]})
    assert len(set(row_hashes(table, ["a", "b"]).tolist())) == 2
