"""What a batch would widen in one column, and what only a person may."""

from __future__ import annotations

from typing import Any

import pytest

from modelway.components.core.checks import Verdict
from modelway.components.core.config.contract import Column
from modelway.components.core.config.seen import ALPHA, Seen
from modelway.pipelines.project.batch_counts import BatchCounts
from modelway.pipelines.project.column_difference import ColumnDifference, column_difference

INCONCLUSIVE, FAILED = Verdict.INCONCLUSIVE, Verdict.FAILED
AGE = Column(type="number", minimum=18, maximum=90, seen=Seen(rows=500, minimum=18, maximum=90))
CITY = Column(type="string", categories=("a", "b"), seen=Seen(rows=500, categories={"a": 300, "b": 200}))


def compared(column: Column, *, is_label: bool = False, splits: bool = False, **counts: Any) -> ColumnDifference:
    batch = BatchCounts(**{"rows": 500, "unparsed": 0, "nulls": 0, "minimum": 20.0, "maximum": 80.0} | counts)
    return column_difference("x", column, batch, level=ALPHA / 60, is_label=is_label, splits=splits)


def test_a_batch_that_keeps_every_line_changes_nothing() -> None:
    assert compared(AGE) == ColumnDifference((), AGE)


def test_a_difference_says_what_the_line_says_and_would_say() -> None:
    difference = compared(AGE, above=3, maximum=95.3)
    (line,) = difference.lines
    assert (line.name, line.verdict, line.now, line.widened) == ("maximum[x]", INCONCLUSIVE, 90, 96)
    assert (line.bad, line.rows, line.examples, line.by_hand, line.note) == (3, 500, ("95.3",), "", "")
    assert difference.widened.seen == Seen(rows=1000, minimum=18, maximum=96)

    (line,) = compared(CITY, categories={"a": 496, "c": 1, "d": 3}, unseen=4).lines
    assert (line.name, line.now, line.widened) == ("categories[x]", "2 categories", "4 categories")
    assert list(line.values.items()) == [("d", 3), ("c", 1)]

    nulls, kind = sorted(compared(AGE, nulls=5, unparsed=2, examples=("x",)).lines, key=lambda line: line.name)
    assert (nulls.name, nulls.now, nulls.widened) == ("nulls[x]", 0, 0.005)
    assert (kind.name, kind.now, kind.widened, kind.examples) == (
        "type[x]",
        "number",
        "number, but for 2 of 1,000",
        ("x",),
    )


def test_the_batch_alone_is_the_evidence_of_a_column_that_has_changed() -> None:
    difference = compared(AGE, above=100, maximum=140.0)
    (line,) = difference.lines
    assert line.verdict is FAILED
    assert "this data alone" in line.note
    assert difference.widened.seen == Seen(rows=500, minimum=18, maximum=140)


@pytest.mark.parametrize(("nulls", "rows_seen"), [(3, 1000), (40, 500), (499, 500)])
def test_what_was_accepted_passes_when_it_comes_again(nulls: int, rows_seen: int) -> None:
    counts = {"nulls": nulls, "unparsed": 1, "below": 2, "minimum": 10.0}
    widened = compared(AGE, **counts).widened
    assert widened.seen is not None
    assert widened.seen.rows == rows_seen
    again = compared(widened, **counts | {"below": 0})
    assert again == ColumnDifference((), widened)


@pytest.mark.parametrize(
    ("changes", "counts", "reason"),
    [
        ({"seen": None}, {"above": 1}, "without `seen`"),
        ({"strict": True}, {"above": 1}, "`strict: true`"),
        ({"allowed": 0.001}, {"above": 1}, "`allowed: 0.001`"),
        ({"maximum": 91}, {"above": 1}, "edited since it was seen"),
        ({"max_nulls": 0.001}, {"nulls": 1}, "edited since it was seen"),
        ({}, {"above": 1, "maximum": float("inf")}, "infinite"),
        ({}, {"unparsed": 300, "is_another": True}, "more than half"),
    ],
)
def test_accepting_leaves_a_persons_word(changes: dict[str, Any], counts: dict[str, Any], reason: str) -> None:
    column = AGE.model_copy(update=changes)
    if "max_nulls" in changes:
        counts = counts | {"nulls": 2}
    difference = compared(column, **counts)
    (line,) = difference.lines
    assert reason in line.by_hand
    assert line.widened is None
    assert difference.widened == column


def test_no_line_of_the_label_is_widened() -> None:
    label = Column(type="integer", categories=(0, 1), seen=Seen(rows=500, categories={"0": 300, "1": 200}))
    difference = compared(label, is_label=True, categories={0: 499, 2: 1}, unseen=1, nulls=1)
    assert [(line.line, line.verdict) for line in difference.lines] == [("nulls", FAILED), ("categories", FAILED)]
    assert {line.by_hand for line in difference.lines} == {"the label's lines are strict"}
    assert difference.widened == label


def test_values_of_another_type_come_first() -> None:
    difference = compared(AGE, splits=True, unparsed=1, above=1, maximum=95.0)
    assert [line.by_hand for line in difference.lines] == ["rows are split by it", "values of another type come first"]
    assert difference.widened == AGE


def test_very_many_values_are_no_categories() -> None:
    many = {f"n{number}": 1 for number in range(1000)}
    (line,) = compared(CITY, rows=1000, categories=many, unseen=1000).lines
    assert "no categories" in line.by_hand


@pytest.mark.parametrize(("counts", "is_far"), [({"maximum": 810.0}, False), ({"maximum": 811.0}, True)])
def test_an_absurd_value_is_pointed_out(counts: dict[str, Any], is_far: bool) -> None:
    (line,) = compared(AGE, above=1, **counts).lines
    assert ("10 times the range" in line.note) is is_far
