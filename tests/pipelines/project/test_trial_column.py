"""A column judged on one half of its rows by what was seen in the other."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from modelway.components.core.config.contract import Column
from modelway.pipelines.project.trial_column import TrialColumn

SEEN = np.arange(200) < 100
LEVEL = 0.01 / 4


def column_of(values: pl.Series, *, unparsed: pl.Series | None = None, each: int = 1, **lines: object) -> TrialColumn:
    seen = {"rows": 200} | {key: value for key, value in lines.items() if key in {"minimum", "maximum"}}
    column = Column.model_validate({"type": "number", "seen": seen} | lines)
    groups = np.arange(200) // each if each > 1 else None
    return TrialColumn(values.alias("x"), column, unparsed=unparsed, groups=groups)


@pytest.mark.parametrize(("bad", "fails"), [(0, False), (8, False), (9, True), (40, True)])
def test_as_many_rows_beyond_the_seen_maximum_fail_as_the_rule_says(bad: int, fails: bool) -> None:
    values = pl.Series([float(i % 10) for i in range(200 - bad)] + [20.0] * bad)
    column = column_of(values, minimum=0, maximum=20)
    assert list(column.failing_lines(SEEN, level=LEVEL)) == (["maximum[x]"] if fails else [])


def test_rows_of_one_group_count_once() -> None:
    values = pl.Series([float(i % 10) for i in range(180)] + [20.0] * 20)
    assert list(column_of(values, minimum=0, maximum=20).failing_lines(SEEN, level=LEVEL)) == ["maximum[x]"]
    assert list(column_of(values, each=10, minimum=0, maximum=20).failing_lines(SEEN, level=LEVEL)) == []


def test_missing_values_and_those_that_do_not_parse_are_two_lines() -> None:
    values = pl.Series([1.0] * 170 + [None] * 30)
    unparsed = pl.Series(np.arange(200) >= 185)
    column = column_of(values, unparsed=unparsed)
    assert list(column.failing_lines(SEEN, level=LEVEL)) == ["type[x]", "nulls[x]"]
    assert list(column_of(values).failing_lines(SEEN, level=LEVEL)) == ["nulls[x]"]


def test_a_half_has_its_own_categories() -> None:
    values = pl.Series(["a"] * 60 + ["b"] * 40 + ["a"] * 80 + ["new"] * 20)
    column = TrialColumn(
        values.alias("x"),
        Column.model_validate({"type": "string", "categories": ["a", "b", "new"], "seen": {"rows": 200}}),
        unparsed=None,
        groups=None,
    )
    renewed = column.with_categories_of(SEEN)
    assert renewed is not None
    assert renewed[1].categories == ("a", "b")
    assert renewed[1].seen is not None
    assert renewed[1].seen.categories == {"a": 60, "b": 40}
    assert column.with_categories_of(np.ones(200, dtype=bool)) is None
