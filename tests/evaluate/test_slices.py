from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelway.components.core.config.model_policy import Slices
from modelway.components.core.errors import ModelwayError
from modelway.components.evaluate.slices import MOST_VALUES, find_slices


def slices(values: Any, bins: int = 4, dtype: Any = None) -> dict[str, list[int]]:
    """The rows of each slice of a column named x."""
    policy = Slices.model_validate({"columns": ["x"], "metrics": {"accuracy": {"min": 0}}, "bins": bins})
    parts = list(find_slices(pl.DataFrame({"x": pl.Series(values, dtype=dtype, strict=False)}), policy))
    assert len({part.name for part in parts}) == len(parts)
    return {part.name: part.rows.tolist() for part in parts}


DAYS = [dt.date(2024, 1, 1) + dt.timedelta(days=number) for number in range(40)]
COLUMNS: dict[str, Any] = {
    "text": ["a", "b", None, "a", ""],
    "truth values": [True, False, None, True],
    "few numbers": [1, 2, None, 2],
    "many integers": [*range(40), None],
    "many numbers": [*np.random.default_rng(0).normal(size=50), None, float("nan")],
    "mostly zero": [0] * 30 + list(range(1, 11)),
    "mostly the greatest": list(range(10)) + [99] * 30,
    "nearly all the greatest": [1, 2, 3, 4] + [9] * 90,
    "infinite": [*range(20), float("inf"), float("-inf")],
    "dates": [*DAYS, None],
    "times": [dt.datetime(2024, 1, 1, hour % 24, hour) for hour in range(30)],
    "all missing": [None, None, None],
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("bins", [2, 4, 10])
def test_every_row_is_in_one_slice(name: str, bins: int) -> None:
    parts = slices(COLUMNS[name], bins)
    assert sorted(row for rows in parts.values() for row in rows) == list(range(len(COLUMNS[name])))
    assert all(parts.values()), "a slice without rows"


def test_values() -> None:
    assert slices(["b", "a", None, "b"]) == {"x=b": [0, 3], "x=a": [1], "x=missing": [2]}
    assert slices([True, False, True]) == {"x=False": [1], "x=True": [0, 2]}
    assert slices([1.0, 2.0, float("nan"), None]) == {"x=1.0": [0], "x=2.0": [1], "x=missing": [2, 3]}
    assert slices(["a", "b"], dtype=pl.Categorical) == {"x=a": [0], "x=b": [1]}


def test_ranges_of_equal_size() -> None:
    parts = slices(list(range(100)))
    assert list(parts) == ["x<=25", "25<x<=50", "50<x<=74", "x>74"]
    assert [len(rows) for rows in parts.values()] == [26, 25, 24, 25]
    assert parts["x>74"] == list(range(75, 100))


def test_ranges_are_by_value_and_not_by_row() -> None:
    values = np.random.default_rng(1).permutation(100)
    assert sorted(values[slices(values.tolist())["x<=25"]]) == list(range(26))


def test_ranges_of_dates_and_times() -> None:
    parts = slices(DAYS, 2)
    assert list(parts) == ["x<=2024-01-21", "x>2024-01-21"]
    assert parts["x>2024-01-21"] == list(range(21, 40))
    moments = slices([dt.datetime(2024, 1, 1, hour) for hour in range(24)], 2)
    assert list(moments) == ["x<=2024-01-01 12:00:00", "x>2024-01-01 12:00:00"]


def test_missing_numbers_are_a_slice_of_their_own() -> None:
    parts = slices([*range(20), None, float("nan")], dtype=pl.Float64)
    assert parts["x=missing"] == [20, 21]
    assert 21 not in parts["x>14"]


def test_a_number_with_few_values_is_sliced_by_value() -> None:
    assert list(slices([0, 1, 0, 1, 2, 3])) == ["x=0", "x=1", "x=2", "x=3"]
    assert list(slices([0, 1, 0, 1, 2, 3], bins=3)) == ["x<=1", "x>1"]


def test_several_columns_one_after_the_other() -> None:
    policy = Slices.model_validate({"columns": ["b", "a"], "metrics": {"f1": {"min": 0}}})
    table = pl.DataFrame({"a": ["x", "y"], "b": [True, True]})
    assert [part.name for part in find_slices(table, policy)] == ["b=True", "a=x", "a=y"]


def test_a_column_that_is_not_there() -> None:
    policy = Slices.model_validate({"columns": ["city"], "metrics": {"f1": {"min": 0}}})
    with pytest.raises(ModelwayError, match="slices by 'city'") as error:
        list(find_slices(pl.DataFrame({"a": [1], "b": [2]}), policy))
    assert (error.value.key, error.value.column) == ("model.slices.columns", "city")
    assert "a, b" in error.value.remedy


@pytest.mark.parametrize(("count", "is_refused"), [(MOST_VALUES, False), (MOST_VALUES + 1, True)])
def test_text_with_too_many_values(count: int, is_refused: bool) -> None:
    values = [f"v{number}" for number in range(count)]
    if not is_refused:
        assert len(slices(values)) == count
        return
    with pytest.raises(ModelwayError, match="too many to slice by") as error:
        slices(values)
    assert error.value.column == "x"
