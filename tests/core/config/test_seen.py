"""What was seen of a column, and which lines of the contract are judged by it."""

from __future__ import annotations

import pytest

from modelway.components.core.config.contract import Contract
from modelway.components.core.config.seen import ALPHA, SeenRows
from modelway.components.core.errors import ModelwayError

COLUMN = """
columns:
  age:
    type: integer
    max_nulls: 0.0313
    minimum: 18
    maximum: 90
    seen: {rows: 20000, nulls: 626, unparsed: 2, minimum: 18, maximum: 90}
  plan:
    type: string
    categories: [basic, full]
    seen: {rows: 500, rows_as_one: 2.5, categories: {basic: 499, full: 1}}
"""


def contract(**edits: str) -> Contract:
    text = COLUMN
    for old, new in edits.items():
        assert old in text
        text = text.replace(old, new)
    return Contract.parse(text, "contract.yaml")


def test_each_line_is_judged_by_what_was_seen() -> None:
    columns = contract().columns
    assert {line: columns["age"].seen_for(line) for line in columns["age"].lines()} == {
        "type": SeenRows(20000, 2),
        "nulls": SeenRows(20000, 626),
        "minimum": SeenRows(20000),
        "maximum": SeenRows(20000),
    }
    assert {line: columns["plan"].seen_for(line) for line in columns["plan"].lines()} == {
        "type": SeenRows(500, 0, 2.5),
        "nulls": SeenRows(500, 0, 2.5),
        "categories": SeenRows(500, 1, 2.5),
        "commonest": SeenRows(500, 0, 2.5),
    }


@pytest.mark.parametrize(
    ("old", "new", "column", "lines"),
    [
        ("    minimum: 18", "    minimum: 21", "age", {"minimum"}),
        ("max_nulls: 0.0313", "max_nulls: 0.02", "age", {"nulls"}),
        ("[basic, full]", "[basic, full, other]", "plan", {"categories", "commonest"}),
        ("    maximum: 90\n", "    maximum: 90\n    strict: true\n", "age", {"type", "nulls", "minimum", "maximum"}),
        ("    maximum: 90\n", "    maximum: 90\n    allowed: 0.1 %\n", "age", {"type", "minimum", "maximum"}),
    ],
)
def test_a_line_that_was_edited_is_a_person_s_word(old: str, new: str, column: str, lines: set[str]) -> None:
    edited = contract(**{old: new}).columns[column]
    assert {line for line in edited.lines() if edited.seen_for(line) is None} == lines


def test_the_lines_that_are_judged_by_what_was_seen_share_the_level() -> None:
    assert contract().level("outcome") == ALPHA / 8
    assert contract().level("plan") == ALPHA / 4  # the label's are strict
    assert Contract.parse("columns: {a: {type: integer}}", "contract.yaml").level("b") == ALPHA


@pytest.mark.parametrize(("text", "share"), [("0.1 %", 0.001), ("2%", 0.02), ("0.25", 0.25)])
def test_a_share_may_be_a_percentage(text: str, share: float) -> None:
    column = Contract.parse(f"columns: {{a: {{type: integer, allowed: {text}}}}}", "contract.yaml").columns["a"]
    assert column.allowed == pytest.approx(share)


@pytest.mark.parametrize("edit", ["allowed: 120 %", "allowed: some %", "strict: true, allowed: 1 %"])
def test_what_allows_nothing_that_can_be_is_refused(edit: str) -> None:
    with pytest.raises(ModelwayError):
        Contract.parse(f"columns: {{a: {{type: integer, {edit}}}}}", "contract.yaml")
