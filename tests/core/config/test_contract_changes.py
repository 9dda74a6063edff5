"""What the contract keeps of a widening that was accepted."""

from __future__ import annotations

import datetime as dt

import pytest

from modelway.components.core.config.contract import Contract
from modelway.components.core.errors import ModelwayError

TEXT = """
columns:
  age: {type: integer}
changes:
- date: 2026-11-27
  author: Ada <ada@example.org>
  reason: the south joined
  data: may.csv
  rows: 500
  lines: ['maximum[age]']
"""


def test_a_change_says_who_accepted_what_when_and_why() -> None:
    (change,) = Contract.parse(TEXT).changes
    assert change.date == dt.date(2026, 11, 27)
    assert (change.author, change.reason, change.data) == ("Ada <ada@example.org>", "the south joined", "may.csv")
    assert (change.rows, change.lines) == (500, ("maximum[age]",))


def test_a_change_belongs_to_what_evidence_binds() -> None:
    other = Contract.parse(TEXT.replace("the south joined", "the north joined"))
    assert other.sha256() != Contract.parse(TEXT).sha256()
    assert Contract.parse(other.canonical()) == other


@pytest.mark.parametrize(
    ("key", "old", "new"),
    [
        ("changes.0.author", "Ada <ada@example.org>", "' '"),
        ("changes.0.reason", "the south joined", "''"),
        ("changes.0.date", "2026-11-27", "May"),
        ("changes.0.rows", "500", "0"),
        ("changes.0.lines", "['maximum[age]']", "[]"),
    ],
)
def test_a_change_that_says_nothing_is_refused(key: str, old: str, new: str) -> None:
    with pytest.raises(ModelwayError) as error:
        Contract.parse(TEXT.replace(old, new))
    assert error.value.key == key
