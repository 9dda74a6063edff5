"""The contract's text once a batch was accepted."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from user_files import minimal_project

from modelway.components.core.config.contract import Contract
from modelway.components.core.config.contract_changes import Change
from modelway.components.core.errors import ModelwayError
from modelway.pipelines.project.contract_acceptance import accepted_text
from modelway.pipelines.project.contract_difference import contract_difference

TEXT = """\
# Reviewed by the underwriters.
columns:
  income: {type: number, minimum: 0, maximum: 100, seen: {rows: 100, minimum: 0, maximum: 100}}  # thousands
  city:
    type: string
    categories:
    - a   # the north
    - b
    seen: {rows: 100, categories: {a: 60, b: 40}}
  until: {type: date, maximum: '2030-01-01', seen: {rows: 100, maximum: '2030-01-01'}}
  late: {type: integer, categories: [0, 1]}
extra_columns: allow   # for now
"""
BATCH = pl.DataFrame(
    {
        "income": [107.0, None, *[50.0] * 98],
        "city": ["c", *["a"] * 99],
        "until": [dt.date(2031, 5, 6), *[dt.date(2029, 1, 1)] * 99],
        "late": [0, 1] * 50,
    }
)
CHANGE = Change(
    date=dt.date(2026, 11, 27), author="Ada", reason="c: opened # in May", data="may.csv", rows=100, lines=("type[x]",)
)


def accepted(text: str, table: pl.DataFrame = BATCH) -> str:
    difference = contract_difference(table, Contract.parse(text), project=minimal_project())
    return accepted_text(text, difference, change=CHANGE, name="contract.yaml")


def test_the_contract_holds_the_batch_and_stays_as_it_was_written() -> None:
    text = accepted(TEXT)
    assert (
        text
        == """\
# Reviewed by the underwriters.
columns:
  income: {type: number, max_nulls: 0.005, minimum: 0, maximum: 110, seen: {rows: 200, minimum: 0, maximum: 110, nulls: 1}}  # thousands
  city:
    type: string
    categories:
    - a   # the north
    - b
    - c
    seen: {rows: 200, categories: {a: 159, b: 40, c: 1}}
  until: {type: date, maximum: '2031-05-06', seen: {rows: 200, maximum: '2031-05-06'}}
  late: {type: integer, categories: [0, 1]}
extra_columns: allow   # for now
changes:
- date: '2026-11-27'
  author: Ada
  reason: 'c: opened # in May'
  data: may.csv
  rows: 100
  lines: ['type[x]']
"""  # noqa: E501 - a line of the file
    )
    contract = Contract.parse(text)
    assert contract.changes == (CHANGE,)
    assert contract_difference(BATCH, contract, project=minimal_project()).lines == ()
    others = {"late": Contract.parse(TEXT).columns["late"]}
    assert {name: contract.columns[name] for name in others} == others


def test_a_second_acceptance_is_added_to_the_first() -> None:
    first = accepted(TEXT)
    second = accepted(first, BATCH.with_columns(income=pl.lit(140.0)))
    assert second.startswith(first[: first.index("  income")])
    assert Contract.parse(second).changes == (CHANGE, CHANGE)


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("  income: {", "  income: &shared {").replace("  until", "  other: *shared\n  until"),
        TEXT.replace("minimum: 0, maximum: 100}}", "minimum: 0, maximum: &top 100}}").replace(
            "  until", "  other: {type: integer, maximum: *top}\n  until"
        ),
    ],
)
def test_a_column_that_shares_its_lines_with_another_is_refused(text: str) -> None:
    table = BATCH.with_columns(other=pl.lit(50))
    with pytest.raises(ModelwayError, match="YAML alias") as error:
        accepted(text, table)
    assert (error.value.file, error.value.key) == ("contract.yaml", "columns")


def test_a_contract_in_json_is_edited_too() -> None:
    text = Contract.parse(TEXT).canonical()
    assert Contract.parse(accepted(text)) == Contract.parse(accepted(TEXT))
