"""What a batch has of a column."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from modelway.components.core.config.contract import Column
from modelway.pipelines.project.batch_counts import BatchCounts, batch_counts, count_rows

AGE = Column(type="integer", minimum=18, maximum=90)


def counts_of(values: list[Any], column: Column, *, groups: list[int] | None = None) -> BatchCounts:
    table = pl.DataFrame({"x": values} | ({} if groups is None else {"g": groups}))
    counts = batch_counts(table, "x", column, group=None if groups is None else "g")
    assert counts is not None
    return counts


def test_rows_are_counted_by_what_is_bad_of_them() -> None:
    counts = counts_of(["17", "18", "90", "95", "99", "x", "1.5", "NA", None], AGE)
    assert counts == BatchCounts(
        rows=9, unparsed=2, nulls=2, below=1, above=2, minimum=17, maximum=99, examples=("x", "1.5")
    )


def test_rows_of_one_group_count_as_one() -> None:
    values, groups = [17, 17, 95, 30, 95, None, None], [1, 1, 1, 2, 3, 3, 2]
    counts = counts_of(values, AGE, groups=groups)
    assert (counts.rows, counts.below, counts.above, counts.nulls) == (3, 1, 2, 2)
    city = counts_of(["a", "a", "b", "b", "c"], Column(type="string", categories=("a",)), groups=[1, 1, 1, 2, 3])
    assert (city.categories, city.unseen) == ({"a": 1, "b": 2, "c": 1}, 3)
    assert count_rows(pl.DataFrame({"g": groups}), "g") == 3


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        (Column(type="string", categories=("a", "b")), ["a", "c", "d", "c", None], {"c": 2, "d": 1}),
        (Column(type="integer", categories=(0, 1)), ["0", "2", "10", "2", "x"], {2: 2, 10: 1}),
        (Column(type="boolean", categories=(True,)), ["yes", "no"], {False: 1}),
    ],
)
def test_new_categories_are_counted_the_commonest_first(
    column: Column, values: list[Any], expected: dict[Any, int]
) -> None:
    counts = counts_of(values, column)
    assert list(counts.new_categories(column).items()) == list(expected.items())
    assert counts.unseen == sum(expected.values())


@pytest.mark.parametrize(("values", "is_another"), [(["1", "x"], False), (["1", "x", "y"], True), ([None, "x"], True)])
def test_a_column_of_which_most_does_not_parse_is_another(values: list[str | None], is_another: bool) -> None:
    assert counts_of(values, AGE).is_another is is_another


def test_times_and_infinite_numbers_have_extremes() -> None:
    day = Column(type="date", maximum=dt.date(2025, 1, 1))
    counts = counts_of(["2024-01-01", "2025-01-02", "2025-01-01T08:00:00"], day)
    assert (counts.above, counts.maximum, counts.unparsed) == (1, dt.date(2025, 1, 2), 1)
    number = counts_of([1.0, float("inf"), float("nan")], Column(type="number", maximum=5))
    assert (number.above, number.maximum, number.nulls) == (1, float("inf"), 1)


def test_a_column_that_cannot_be_converted_has_no_counts() -> None:
    assert batch_counts(pl.DataFrame({"x": [1, 2]}), "x", Column(type="string")) is None
