"""Whether a batch passes a line, at the boundaries of the rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from modelway.components.core.checks import Verdict
from modelway.components.core.config.contract import Column
from modelway.components.core.config.seen import ALPHA, Seen
from modelway.components.core.measures.bad_rows import least_certain
from modelway.pipelines.project.batch_counts import BatchCounts
from modelway.pipelines.project.line_verdict import CountedLine, line_verdict

PASSED, INCONCLUSIVE, FAILED = Verdict.PASSED, Verdict.INCONCLUSIVE, Verdict.FAILED
LEVEL = ALPHA / 60
NONE_BAD = BatchCounts(rows=500, unparsed=0, nulls=0)
AGE = Column(type="integer", minimum=18, maximum=90, seen=Seen(rows=500, minimum=18, maximum=90))
CITY = Column(type="string", categories=("a", "b"), seen=Seen(rows=500, categories={"a": 300, "b": 200}))


def verdict(column: Column, line: CountedLine, *, is_label: bool = False, **counts: Any) -> Verdict:
    return line_verdict(column, line, replace(NONE_BAD, **counts), level=LEVEL, is_label=is_label)


@pytest.mark.parametrize(("above", "expected"), [(0, PASSED), (1, INCONCLUSIVE), (12, INCONCLUSIVE), (13, FAILED)])
def test_thirteen_rows_fail_a_bound_where_as_many_were_seen_and_sixty_lines_are_judged(
    above: int, expected: Verdict
) -> None:
    assert verdict(AGE, "maximum", above=above) is expected


def test_more_than_most_fails_whatever_was_seen() -> None:
    few = AGE.model_copy(update={"seen": Seen(rows=100, minimum=18, maximum=90)})
    assert verdict(few, "minimum", rows=1_000_000, below=9_900) is INCONCLUSIVE
    assert verdict(few, "minimum", rows=1_000_000, below=11_000) is FAILED
    lenient = few.model_copy(update={"most": 0.02})
    assert verdict(lenient, "minimum", rows=1_000_000, below=11_000) is INCONCLUSIVE


@pytest.mark.parametrize("line", ["nulls", "type"])
def test_bad_rows_that_were_seen_are_expected_again(line: CountedLine) -> None:
    seen = Seen(rows=500, nulls=10, unparsed=10)
    column, key = Column(type="integer", max_nulls=0.02, seen=seen), {"nulls": "nulls", "type": "unparsed"}[line]
    of_line = column.seen_for(line)
    assert of_line is not None
    certain = least_certain(of_line, rows=500, level=LEVEL)
    assert certain is not None
    results = {bad: verdict(column, line, **{key: bad}) for bad in (0, 10, 15, 25, certain)}
    assert list(results.values()) == [PASSED, PASSED, PASSED, INCONCLUSIVE, FAILED]


def test_a_new_category_warns_and_its_rows_come_together() -> None:
    assert verdict(CITY, "categories", categories={"a": 500}) is PASSED
    assert verdict(CITY, "categories", categories={"a": 498, "c": 2}, unseen=2) is INCONCLUSIVE
    assert verdict(CITY, "categories", categories={"a": 470, "c": 30}, unseen=30) is FAILED
    many = {"a": 480} | {f"n{number}": 1 for number in range(20)}
    assert verdict(CITY, "categories", categories=many, unseen=20) is FAILED
    rare = Seen(rows=500, categories={"a": 480} | {f"s{number}": 1 for number in range(20)})
    of_rare = Column(type="string", categories=tuple(rare.categories or ()), seen=rare)
    assert verdict(of_rare, "categories", categories=many, unseen=20) is PASSED


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"seen": None}, FAILED),
        ({"strict": True}, FAILED),
        ({"maximum": 91}, FAILED),
        ({"allowed": 0.002}, PASSED),
        ({"allowed": 0.001}, FAILED),
    ],
)
def test_a_persons_word_is_judged_as_such(changes: dict[str, Any], expected: Verdict) -> None:
    assert verdict(AGE.model_copy(update=changes), "maximum", above=1) is expected


def test_max_nulls_that_was_edited_is_a_share() -> None:
    column = Column(type="integer", max_nulls=0.01, seen=Seen(rows=500, nulls=1))
    assert [verdict(column, "nulls", nulls=nulls) for nulls in (5, 6)] == [PASSED, FAILED]


def test_the_label_is_strict() -> None:
    label = Column(type="integer", max_nulls=0.5, categories=(0, 1), seen=Seen(rows=500, categories={"0": 1, "1": 499}))
    assert verdict(label, "nulls", nulls=1, is_label=True) is FAILED
    assert verdict(label, "categories", categories={0: 499, 2: 1}, unseen=1, is_label=True) is FAILED
