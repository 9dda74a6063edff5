from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from leakage_tables import leakage, table

from modelway.components.core.checks import Verdict


@pytest.mark.parametrize("by", ["policy", "split"])
def test_groups_on_both_sides_are_caught(by: str) -> None:
    train, test = table(1), table(2, 500)
    options: dict[str, Any] = {"groups": ["patient"]}
    if by == "split":
        options = {"data": {"split": {"by": "group", "column": "patient"}}}
    leaky_test = pl.concat([test, train.head(1).with_columns(age=1.5)])
    assert leakage(train, test, **options)["shared_groups[patient]"].verdict is Verdict.PASSED
    check = leakage(train, leaky_test, **options)["shared_groups[patient]"]
    assert (check.verdict, check.observed) == (Verdict.FAILED, 1)
    assert str(train["patient"][0]) in check.message


def test_a_group_column_that_is_not_there_fails() -> None:
    assert leakage(table(1), groups=["ward"])["shared_groups[ward]"].verdict is Verdict.FAILED
