"""Whether a batch passes a line of the contract, by counts of its rows."""

from __future__ import annotations

from typing import Literal

from modelway.components.core.checks import Verdict
from modelway.components.core.config.contract import Column
from modelway.components.core.config.seen import SeenRows
from modelway.components.core.measures.bad_rows import certainly_more, commonest_p_value, p_value
from modelway.pipelines.project.batch_counts import BatchCounts

CountedLine = Literal["type", "nulls", "minimum", "maximum", "categories"]
LINES: tuple[CountedLine, ...] = ("type", "nulls", "minimum", "maximum", "categories")
SURPRISE = 0.05  # a line with seen bad rows warns of a number that has no greater chance, and lets others pass


def bad_rows(line: CountedLine, counts: BatchCounts) -> int:
    """How many rows of a batch are bad by a line."""
    return {
        "type": counts.unparsed,
        "nulls": counts.nulls,
        "minimum": counts.below,
        "maximum": counts.above,
        "categories": counts.unseen,
    }[line]


def line_verdict(column: Column, line: CountedLine, counts: BatchCounts, *, level: float, is_label: bool) -> Verdict:
    """Whether a batch passes a line: by what was seen, or as it is written where it is a person's word.

    By what was seen a batch fails if its bad rows are certainly more than chance gives, or than `most` beyond the share
    that was seen. What is not certain is inconclusive, but for a number that a line with seen bad rows leads one to
    expect.

    Args:
        column: What the contract says.
        line: The line.
        counts: What the batch has.
        level: The chance that each line may have of failing on rows drawn like those that were seen.
        is_label: Whether the column is the label, whose lines are strict.
    """
    bad, seen = bad_rows(line, counts), None if is_label else column.seen_for(line)
    if bad == 0:
        return Verdict.PASSED
    if seen is None:
        allowed = 0.0 if is_label else column.max_nulls if line == "nulls" else column.allowed or 0.0
        return Verdict.PASSED if bad / counts.rows <= allowed else Verdict.FAILED
    share = min(1.0, column.most + seen.bad / max(seen.rows, 1))
    if certainly_more(bad, rows=counts.rows, share=share, level=level, rows_as_one=seen.rows_as_one):
        return Verdict.FAILED
    if line == "categories":
        return _categories_verdict(column, counts, seen=seen, level=level)
    chance = p_value(seen, bad, rows=counts.rows)
    if chance <= level:
        return Verdict.FAILED
    return Verdict.PASSED if seen.bad and chance > SURPRISE else Verdict.INCONCLUSIVE


def _categories_verdict(column: Column, counts: BatchCounts, *, seen: SeenRows, level: float) -> Verdict:
    """By how many values are new, and by the rows of the commonest of them, which come together."""
    new, before = counts.new_categories(column), (column.seen.categories if column.seen else None) or {}
    rows_of_each = {str(value): rows for value, rows in (counts.categories or {}).items()}
    together = [before.get(value, 0) + rows_of_each.get(value, 0) for value in {*before, *rows_of_each}]
    most_rows = max(new.values())
    values = sum(rows >= most_rows for rows in together)
    commonest = column.seen_for("commonest") or seen
    chances = (
        p_value(seen, len(new), rows=counts.rows),
        commonest_p_value(commonest, most_rows, rows=counts.rows, values=values),
    )
    return Verdict.FAILED if min(chances) <= level else Verdict.INCONCLUSIVE
