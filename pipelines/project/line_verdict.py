"""Whether a batch passes a line of the contract, by counts of its rows."""

from __future__ import annotations

from typing import Literal

from modelway.components.core.checks import Verdict, combine
from modelway.components.core.config.contract import Column
from modelway.components.core.config.seen import SeenRows
from modelway.components.validate.checks.evidence import LineRule, ValueRows
from modelway.components.validate.checks.unseen_values import CategoriesRule
from modelway.pipelines.project.batch_counts import BatchCounts

CountedLine = Literal["type", "nulls", "minimum", "maximum", "categories"]
LINES: tuple[CountedLine, ...] = ("type", "nulls", "minimum", "maximum", "categories")


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
    """Whether a batch passes a line, by the data gate's rules: by what was seen, or as a person's word says.

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
    if line == "categories":
        return _categories_verdict(column, counts, seen=seen, level=level)
    return LineRule(seen, column.most).verdict(bad, rows=counts.rows, level=level)


def _categories_verdict(column: Column, counts: BatchCounts, *, seen: SeenRows, level: float) -> Verdict:
    new, before = counts.new_categories(column), (column.seen.categories if column.seen else None) or {}
    rows_of_each = {str(value): rows for value, rows in (counts.categories or {}).items()}
    known = tuple(rows + rows_of_each.get(value, 0) for value, rows in before.items())
    commonest = max(new.values())
    value_rows = ValueRows(known, commonest=commonest, ties=sum(rows == commonest for rows in new.values()))
    rule, rows = CategoriesRule.of(column, seen), counts.rows
    if rule.exceeded_share(counts.unseen, rows=rows, level=level) is not None:
        return Verdict.FAILED
    verdicts = (
        rule.of_values.verdict(len(new), rows=rows, level=level),
        rule.of_commonest(value_rows).verdict(commonest, rows=rows, level=level),
    )
    return combine(verdicts)
