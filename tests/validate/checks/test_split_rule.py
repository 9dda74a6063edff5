"""The rule by which rows are split: where it turns the truth round, and where the champion was split by another."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from modelway.components.core.checks import Verdict
from modelway.components.core.config.project import Split
from modelway.components.validate.checks.split_rule import split_rule_check

TOGETHER, APART, FIRST = Split(equal_rows="together"), Split(equal_rows="apart"), Split(rule=1)


def table(rows: int, distinct: int) -> pl.DataFrame:
    return pl.DataFrame({"answer": [number % distinct for number in range(rows)], "agrees": range(rows)})


def judge(split: Split, before: Split | None = None, distinct: int = 500) -> Any:
    rows = table(500, distinct)
    return split_rule_check(rows[100:].lazy(), rows[:100].lazy(), split=split, label="agrees", before=before)


@pytest.mark.parametrize(
    ("split", "before", "distinct", "verdict", "says"),
    [
        (Split(), None, 500, Verdict.PASSED, "rows are split by row, rule 1; 500 of 500 (100.00%) are distinct"),
        (FIRST, FIRST, 500, Verdict.PASSED, "rule 1"),
        (Split(), None, 497, Verdict.INCONCLUSIVE, "`equal_rows: together`"),
        (Split(), None, 16, Verdict.FAILED, "write `rule: 2` and `equal_rows: apart`"),
        (Split(), APART, 16, Verdict.FAILED, "write `rule: 2`"),
        (Split(), Split(by="group", column="answer"), 16, Verdict.FAILED, "write `rule: 2`"),
        (Split(), Split(), 16, Verdict.INCONCLUSIVE, "the champion was split by rule 1, which is kept until then"),
        (FIRST, Split(), 16, Verdict.INCONCLUSIVE, "the test split holds the answers that the training split does not"),
        (APART, None, 16, Verdict.PASSED, "rows are split by row, rule 2, equal rows apart"),
        (APART, APART, 16, Verdict.PASSED, "rule 2"),
        (
            APART,
            Split(),
            16,
            Verdict.INCONCLUSIVE,
            "the champion's were split by row, rule 1: it has learned from some",
        ),
        (TOGETHER, APART, 500, Verdict.INCONCLUSIVE, "`no_regression` can pass but not fail"),
    ],
)
def test_the_rule_is_judged_by_the_rows_and_the_champion(
    split: Split, before: Split | None, distinct: int, verdict: Verdict, says: str
) -> None:
    check = judge(split, before, distinct)
    assert (check.verdict, check.blocks) == (verdict, verdict is Verdict.FAILED)
    assert says in check.message


@pytest.mark.parametrize("split", [Split(column="answer"), Split(by="group", column="answer")])
def test_other_splits_have_no_rule(split: Split) -> None:
    assert judge(split, Split(), 16) is None
