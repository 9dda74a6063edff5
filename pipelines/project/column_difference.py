"""What a batch would widen in one column of a contract, line by line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from modelway.components.core.checks import Verdict
from modelway.components.core.config.contract import Column
from modelway.pipelines.project.batch_counts import BatchCounts
from modelway.pipelines.project.contract_widening import widened_column
from modelway.pipelines.project.line_verdict import LINES, CountedLine, bad_rows, line_verdict

MOST_CATEGORIES = 1000  # of a column; with more it has none
FAR = 10  # times the range

_BOUNDS = {"minimum", "maximum"}
_ALONE = "the column has changed: what is seen from now on is this data alone"


@dataclass(frozen=True)
class LineDifference:
    """A line of the contract that a batch does not keep to.

    Attributes:
        column: The column's name.
        line: Which line; ``column``: whether the column is there.
        verdict: Whether the batch passes it, by what was seen or, where it is a person's word, as it is written.
        now: What the line says: a bound, the share of values that may be missing, or in words.
        widened: What it would say to hold the batch too; None: only a person can say it.
        bad: How many rows of the batch are bad by it; groups, where rows of one group count as one.
        rows: How many rows, or groups, the batch has.
        values: New categories with their rows, the commonest first.
        examples: Some values that do not parse; of a bound, the batch's most extreme value.
        by_hand: Why accepting does not widen it, a clause; empty: it does.
        note: What to look at before it is accepted, a clause; empty: nothing.
    """

    column: str
    line: Literal["column"] | CountedLine
    verdict: Verdict
    now: float | str
    widened: float | str | None
    bad: int
    rows: int
    values: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[str, ...] = ()
    by_hand: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        """The name of the check that judges it."""
        return f"{self.line}[{self.column}]"


@dataclass(frozen=True)
class ColumnDifference:
    """What a batch would widen in one column.

    Attributes:
        lines: The lines that it does not keep to.
        widened: The column as accepting the batch would write it.
    """

    lines: tuple[LineDifference, ...]
    widened: Column


def column_difference(
    name: str, column: Column, counts: BatchCounts, *, level: float, is_label: bool = False, splits: bool = False
) -> ColumnDifference:
    """Compares a batch with what a contract says of a column.

    Args:
        name: The column's name.
        column: What the contract says of it.
        counts: What the batch has of it.
        level: The chance that each line may have of failing on rows drawn like those that were seen.
        is_label: Whether it is the label, whose lines are strict.
        splits: Whether rows are split by it, so that every value must parse.
    """
    verdicts = {line: line_verdict(column, line, counts, level=level, is_label=is_label) for line in LINES}
    reasons = {
        line: _why_by_hand(column, line, counts, is_label=is_label, splits=splits)
        for line, verdict in verdicts.items()
        if verdict is not Verdict.PASSED
    }
    if reasons.get("type"):
        reasons = {line: reason or "values of another type come first" for line, reason in reasons.items()}
    lines = [line for line, reason in reasons.items() if not reason]
    widened = _widened(column, counts, {line: verdicts[line] for line in lines}, level=level) if lines else column
    is_alone = widened.seen is not None and widened.seen.rows == counts.rows
    differences = [
        LineDifference(
            column=name,
            line=line,
            verdict=verdicts[line],
            now=_text_of(column, line),
            widened=None if reason else _text_of(widened, line),
            bad=bad_rows(line, counts),
            rows=counts.rows,
            values=_new_categories(column, counts) if line == "categories" else {},
            examples=_examples(line, counts),
            by_hand=reason,
            note=_note(column, line, counts) or (_ALONE if not reason and is_alone else ""),
        )
        for line, reason in reasons.items()
    ]
    return ColumnDifference(tuple(differences), widened)


def _widened(column: Column, counts: BatchCounts, verdicts: Mapping[CountedLine, Verdict], *, level: float) -> Column:
    """The column with some lines widened.

    The evidence becomes that of the rows that were seen and the batch together, if no line is certain to have changed
    and the batch passes by it; else that of the batch alone: what was seen says nothing of rows like these.
    """
    if Verdict.FAILED not in verdicts.values():
        together = widened_column(column, counts, lines=tuple(verdicts), alone=False)
        shares: tuple[CountedLine, ...] = ("type", "nulls")  # the other lines hold the batch by what they say
        again = [line_verdict(together, line, counts, level=level, is_label=False) for line in shares]
        if {*again} == {Verdict.PASSED}:
            return together
    return widened_column(column, counts, lines=tuple(verdicts), alone=True)


def _why_by_hand(column: Column, line: CountedLine, counts: BatchCounts, *, is_label: bool, splits: bool) -> str:
    """Why accepting a batch does not widen a line, a clause; empty if it does."""
    categories = len(column.categories or ()) + len(counts.new_categories(column))
    reasons = {
        "the label's lines are strict": is_label,
        "rows are split by it": line == "type" and splits,
        "more than half of the values are not of the type": line == "type" and counts.is_another,
        "an infinite value bounds nothing": line in _BOUNDS and _is_infinite(getattr(counts, line)),
        f"more than {MOST_CATEGORIES:,} values are no categories": line == "categories"
        and categories > MOST_CATEGORIES,
        "a person's word, without `seen`": column.seen is None,
        "a person's word, `strict: true`": column.strict,
        f"a person's word, `allowed: {column.allowed}`": column.allowed is not None and line != "nulls",
        "a person's word, edited since it was seen": column.seen_for(line) is None,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _is_infinite(value: object) -> bool:
    return isinstance(value, float) and math.isinf(value)


def _text_of(column: Column, line: CountedLine) -> float | str:
    """What a line says."""
    if line == "nulls":
        return column.max_nulls
    if line in _BOUNDS:
        bound = getattr(column, line)
        return bound if isinstance(bound, int | float) else str(bound)
    if line == "categories":
        return f"{len(column.categories or ()):,} categories"
    if column.seen is None or not column.seen.unparsed:
        return column.type
    return f"{column.type}, but for {column.seen.unparsed:,} of {column.seen.rows:,}"


def _new_categories(column: Column, counts: BatchCounts) -> dict[str, int]:
    return {str(value): rows for value, rows in counts.new_categories(column).items()}


def _examples(line: CountedLine, counts: BatchCounts) -> tuple[str, ...]:
    if line == "type":
        return counts.examples
    return (str(getattr(counts, line)),) if line in _BOUNDS else ()


def _note(column: Column, line: CountedLine, counts: BatchCounts) -> str:
    """What to look at, of a value absurdly far out."""
    low, high = column.minimum, column.maximum
    if line not in _BOUNDS or not isinstance(low, int | float) or not isinstance(high, int | float):
        return ""
    value = getattr(counts, line)
    outside = low - value if line == "minimum" else value - high
    is_far = high > low and outside > FAR * (high - low)
    return (
        f"more than {FAR} times the range outside: look for another unit or a mark of missing values" if is_far else ""
    )
