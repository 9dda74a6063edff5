"""What a column becomes that is widened."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import pytest

from modelway.components.core.config.contract import Column, Line
from modelway.components.core.config.seen import Seen
from modelway.pipelines.project.batch_counts import BatchCounts
from modelway.pipelines.project.contract_widening import widened_column


def widened(column: Column, *lines: Line, alone: bool = False, **counts: Any) -> Column:
    batch = BatchCounts(**{"rows": 250, "unparsed": 0, "nulls": 0} | counts)
    after = widened_column(column, batch, lines=lines, alone=alone)
    return Column.model_validate(after.model_dump())


def test_bounds_go_outward_to_round_numbers_and_the_evidence_adds_up() -> None:
    seen = Seen(rows=500, rows_as_one=2.5, nulls=5, unparsed=1, minimum=18, maximum=90)
    column = Column(type="number", minimum=18, maximum=90, max_nulls=0.01, seen=seen)
    after = widened(column, "maximum", unparsed=2, nulls=1, minimum=20.0, maximum=95.3)
    assert (after.minimum, after.maximum, after.max_nulls) == (18, 96, 0.008)
    assert after.seen == Seen(rows=750, rows_as_one=2.5, nulls=6, unparsed=3, minimum=18, maximum=96)
    assert all(after.seen_for(line) is not None for line in after.lines())


def test_the_batch_alone_is_the_evidence_and_nothing_is_narrowed() -> None:
    seen = Seen(rows=500, nulls=5, minimum=18, maximum=90)
    column = Column(type="number", minimum=18, maximum=90, max_nulls=0.01, seen=seen)
    after = widened(column, "nulls", alone=True, nulls=50, minimum=30.0, maximum=60.0)
    assert (after.minimum, after.maximum, after.max_nulls) == (18, 90, 0.2)
    assert after.seen == Seen(rows=250, nulls=50, minimum=18, maximum=90)


@pytest.mark.parametrize(
    ("alone", "expected"),
    [(False, {"a": 400, "b": 200, "c": 149, "yes": 1}), (True, {"a": 100, "b": 0, "c": 149, "yes": 1})],
)
def test_new_categories_are_appended_with_their_rows(alone: bool, expected: dict[str, int]) -> None:
    column = Column(type="string", categories=("b", "a"), seen=Seen(rows=500, categories={"a": 300, "b": 200}))
    after = widened(column, "categories", alone=alone, categories={"yes": 1, "c": 149, "a": 100}, unseen=150)
    assert after.categories == ("b", "a", "c", "yes")
    assert after.seen is not None
    assert after.seen.categories == expected
    assert after.seen_for("categories") is not None


def test_a_persons_word_beside_a_widened_line_stays() -> None:
    seen = Seen(rows=500, nulls=5, minimum=18, maximum=90)
    column = Column(type="number", minimum=0, maximum=90, max_nulls=0.5, seen=seen)
    after = widened(column, "maximum", nulls=1, minimum=-5.0, maximum=95.0)
    assert (after.minimum, after.max_nulls) == (0, 0.5)
    assert after.seen is not None
    assert (after.seen.minimum, after.seen.maximum) == (18, after.maximum)
    assert (after.seen_for("minimum"), after.seen_for("nulls")) == (None, None)


def test_of_times_the_bound_is_the_value() -> None:
    last = dt.datetime(2030, 1, 2, 3, 4, 5, 678)
    column = Column(
        type="datetime", maximum=dt.datetime(2029, 1, 1), seen=Seen(rows=5, maximum=dt.datetime(2029, 1, 1))
    )
    assert widened(column, "maximum", minimum=dt.datetime(2020, 1, 1), maximum=last).maximum == last


@pytest.mark.parametrize("kind", ["integer", "number"])
def test_a_widened_bound_holds_every_value_and_is_no_wider_than_a_tenth_of_the_range(kind: Any) -> None:
    rng = np.random.default_rng(5)
    for _ in range(500):
        scale = 10.0 ** rng.uniform(-8, 12)
        low, high = sorted(float(number) for number in rng.normal(0, scale, 2) + rng.normal(0, 10 * scale))
        if kind == "integer":
            low, high = math.floor(low), math.ceil(high) + 1
        middle = (low + high) / 2 if kind == "number" else (low + high) // 2
        column = Column(type=kind, minimum=middle, maximum=middle, seen=Seen(rows=5, minimum=middle, maximum=middle))
        after = widened(column, "minimum", "maximum", minimum=low, maximum=high)
        assert isinstance(after.minimum, int | float)
        assert isinstance(after.maximum, int | float)
        span = high - low
        assert after.minimum <= low
        assert high <= after.maximum
        assert max(low - after.minimum, after.maximum - high) <= 0.1 * span * 1.0001 + (kind == "integer")
        assert after.seen_for("minimum") is not None
        assert after.seen_for("maximum") is not None
