"""The text of a proposed contract."""

from __future__ import annotations

import datetime as dt

import yaml

from modelway.components.core.config.contract import Contract
from modelway.pipelines.project.contract_text import contract_body, contract_head
from modelway.pipelines.project.contract_trial import ContractTrial

COLUMNS = {
    "age": {"type": "integer", "minimum": 0, "seen": {"rows": 1000, "minimum": 0}},
    "city": {"type": "string", "categories": ["no", "Ulm"], "seen": {"rows": 9, "categories": {"no": 2, "Ulm": 7}}},
    "until": {"type": "date", "maximum": dt.date(9999, 12, 31), "seen": {"rows": 9, "maximum": dt.date(9999, 12, 31)}},
}


def test_what_was_seen_is_one_line_of_a_column() -> None:
    text = contract_body(COLUMNS)
    assert "  age:\n    type: integer\n    minimum: 0\n    seen: {rows: 1000, minimum: 0}\n" in text
    assert "    seen: {rows: 9, categories: {'no': 2, Ulm: 7}}\n" in text
    assert yaml.safe_load(text) == {"columns": COLUMNS}
    assert Contract.parse(text, "contract.yaml").columns["age"].minimum == 0


def test_the_head_says_how_to_read_it_and_what_the_halves_showed() -> None:
    head = contract_head(ContractTrial(50, 1, {"nulls[x]": 1}, "at random", 300))
    assert "# Tried on halves: proposed from one half of 300 rows" in head
    assert "blocked 1 of 50 times" in head.replace("\n#", "")
    assert all(line.startswith("# ") and len(line) <= 110 for line in head.splitlines())
    assert "Tried" not in contract_head(None)
