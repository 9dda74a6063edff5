from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelway.components.validate.sample import draw, is_ordered, plain_series, ranks

TABLE = pl.DataFrame({"row": range(1000), "rest": ["x"] * 1000}).lazy()


def test_a_sample_holds_different_rows_in_order() -> None:
    sample = draw(TABLE, ["row"], limit=100)
    assert sample.table["row"].to_list() == sorted(set(sample.table["row"]))
    assert (len(sample.table), sample.total, sample.is_complete) == (100, 1000, False)
    assert sample.rows == "a random sample of 100 of 1,000"
    assert sample.table.equals(draw(TABLE, ["row"], limit=100).table)


def test_a_small_table_is_taken_whole() -> None:
    sample = draw(TABLE, ["rest"], limit=1000)
    assert (sample.is_complete, sample.rows, len(sample.table)) == (True, "1,000", 1000)


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([1.5, float("nan")], pl.Float64, [1.5, None]),
        ([dt.timedelta(seconds=1)], pl.Duration("us"), [1_000_000]),
        ([[1], None], pl.List(pl.Int64), ["[1]", None]),
        (["a", None], pl.Categorical, ["a", None]),
    ],
)
def test_columns_become_few_types(values: list[Any], dtype: Any, expected: list[Any]) -> None:
    assert plain_series(pl.Series(values, dtype=dtype)).to_list() == expected


def test_ranks_are_dense_and_missing_values_have_none() -> None:
    series = pl.Series([3.0, None, -1.0, 3.0])
    assert is_ordered(series)
    assert np.array_equal(ranks(series), [1.0, np.nan, 0.0, 1.0], equal_nan=True)
