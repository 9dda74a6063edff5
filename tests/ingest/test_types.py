from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

import polars as pl
import pytest

from modelway.components.core.config.contract import Contract
from modelway.components.ingest.types import parse_series, with_contract_types

DTYPES = {
    "string": pl.String,
    "integer": pl.Int64,
    "number": pl.Float64,
    "boolean": pl.Boolean,
    "date": pl.Date,
    "datetime": pl.Datetime("us"),
}


def convert(series: pl.Series, kind: str) -> pl.Series:
    """Converts a column by a contract that gives it a type."""
    typed = with_contract_types(pl.DataFrame({"a": series}), Contract.parse(f"columns: {{a: {{type: {kind}}}}}"))
    assert not typed.unparsed
    return typed.rows["a"]


@pytest.mark.parametrize(
    ("kind", "texts", "values"),
    [
        ("string", ["00123", "1e5", "NA", "null", "true"], ["00123", "1e5", "NA", "null", "true"]),
        ("integer", ["1", "-2", "1.0", "1e3", " 7 "], [1, -2, 1, 1000, 7]),
        ("integer", ["9007199254740993", "1"], [9_007_199_254_740_993, 1]),
        ("integer", ["1", "", "NA", "N/A", "null", "None", "NaN"], [1, None, None, None, None, None, None]),
        ("number", ["1", "2.5", "", "NA", "NaN"], [1.0, 2.5, None, None, None]),
        ("number", ["1", "N/A", "null"], [1.0, None, None]),
        ("number", ["-1e-3", "2"], [-0.001, 2.0]),
        ("boolean", ["yes", "No", "TRUE", "f", "1", "0", ""], [True, False, True, False, True, False, None]),
        ("boolean", ["1.0", "0.0", "NA"], [True, False, None]),
        ("date", ["2024-02-29", "", "N/A"], [dt.date(2024, 2, 29), None, None]),
        ("date", ["2024-02-29 00:00:00", "2024-03-01 00:00:00"], [dt.date(2024, 2, 29), dt.date(2024, 3, 1)]),
        ("date", ["29/02/2024", "01/03/2024"], [dt.date(2024, 2, 29), dt.date(2024, 3, 1)]),
        (
            "datetime",
            ["2024-02-29T10:00:00", "2024-03-01T00:00:00"],
            [dt.datetime(2024, 2, 29, 10), dt.datetime(2024, 3, 1)],
        ),
        ("datetime", ["2024-02-29", "2024-03-01 05:00:00"], [dt.datetime(2024, 2, 29), dt.datetime(2024, 3, 1, 5)]),
        ("datetime", ["2024-01-01T02:00:00+02:00"], [dt.datetime(2024, 1, 1)]),
        ("datetime", ["2024-01-01T00:00:00Z", "2024-01-01T02:00:00+02:00"], [dt.datetime(2024, 1, 1)] * 2),
    ],
)
def test_text_becomes_the_contracts_type(kind: str, texts: list[str], values: list[Any]) -> None:
    series = convert(pl.Series(texts), kind)
    assert series.to_list() == values
    assert series.dtype == DTYPES[kind]


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("integer", ["1", "two"]),
        ("integer", ["1", "1.5"]),
        ("integer", ["99999999999999999999"]),
        ("number", ["1", "about 2"]),
        ("number", ["1,5", "2,5"]),
        ("boolean", ["yes", "maybe"]),
        ("boolean", ["0", "2"]),
        ("date", ["2024-01-01", "soon"]),
        ("date", ["soon", "2024-01-01"]),
        ("date", ["2024-02-30", "2024-01-01"]),
        ("date", ["2024-01-01 13:45:00"]),
        ("datetime", ["2024-01-01 10:00:00", "10 o'clock"]),
    ],
)
def test_a_column_with_a_value_that_does_not_parse_stays_text(kind: str, texts: list[str]) -> None:
    assert convert(pl.Series(texts), kind).to_list() == texts


def test_what_does_not_parse_is_null_where_asked_for() -> None:
    assert parse_series(pl.Series(["1", "x", "NA"]), "integer").to_list() == [1, None, None]  # type: ignore[union-attr]
    assert parse_series(pl.Series([1.5]), "date") is None


def test_other_columns_are_kept_and_those_described_may_be_absent() -> None:
    contract = Contract.parse("columns: {a: {type: integer}, b: {type: string}}")
    table = with_contract_types(pl.DataFrame({"a": ["1"], "c": ["x"], "d": [2.5]}), contract)
    assert table.rows.to_dicts() == [{"a": 1, "c": "x", "d": 2.5}]


def typed_by(
    series: pl.Series, kind: str, says: str = "seen: {rows: 9}", strict: Collection[str] = ()
) -> tuple[pl.Series, list[Any]]:
    """Converts a column by a contract that says more of it; returns it with the values that were let pass."""
    contract = Contract.parse(f"columns: {{a: {{type: {kind}, {says}}}}}")
    typed = with_contract_types(pl.DataFrame({"a": series}), contract, strict=strict)
    values = typed.unparsed.get("a")
    return typed.rows["a"], [] if values is None else list(values.iter_rows())


@pytest.mark.parametrize(
    ("kind", "values", "parsed", "unparsed"),
    [
        ("integer", ["1", "two", "3", "NA"], [1, None, 3, None], [(1, "two")]),
        ("integer", ["1", "1.5", "3"], [1, None, 3], [(1, "1.5")]),
        ("integer", [1.0, 1.5, None, 3.0], [1, None, None, 3], [(1, "1.5")]),
        ("integer", ["1", "99999999999999999999", "3"], [1, None, 3], [(1, "99999999999999999999")]),
        ("number", [" 2 ", "?", "2.5", " ? ", "1"], [2.0, None, 2.5, None, 1.0], [(1, "?"), (3, " ? ")]),
        ("boolean", ["yes", "maybe", "no"], [True, None, False], [(1, "maybe")]),
        ("boolean", [0, 2, 1], [False, None, True], [(1, "2")]),
        (
            "date",
            ["soon", "29/02/2024", "01/03/2024"],
            [None, dt.date(2024, 2, 29), dt.date(2024, 3, 1)],
            [(0, "soon")],
        ),
        ("date", ["2024-02-30", "2024-01-01"], [None, dt.date(2024, 1, 1)], [(0, "2024-02-30")]),
        ("date", ["2024-01-01", "2024-01-02 13:45:00"], [dt.date(2024, 1, 1), None], [(1, "2024-01-02 13:45:00")]),
        ("datetime", ["2024-01-01 10:00:00", "10 o'clock"], [dt.datetime(2024, 1, 1, 10), None], [(1, "10 o'clock")]),
    ],
)
@pytest.mark.parametrize("says", ["seen: {rows: 9}", "allowed: 0.1 %", "seen: {rows: 9}, max_nulls: 0.7"])
def test_values_that_do_not_parse_become_missing_where_the_contract_lets_them(
    kind: str, values: list[Any], parsed: list[Any], unparsed: list[Any], says: str
) -> None:
    series, passed = typed_by(pl.Series(values), kind, says)
    assert (series.to_list(), passed, series.dtype) == (parsed, unparsed, DTYPES[kind])


@pytest.mark.parametrize(
    ("values", "says", "strict"),
    [
        (["1", "x"], "max_nulls: 0.5", ()),
        (["1", "x"], "seen: {rows: 9}, strict: true", ()),
        (["1", "x"], "seen: {rows: 9}", ("a",)),
        (["1", "x"], "allowed: 0.5", ("a",)),
        (["1", "x", "y"], "seen: {rows: 9}", ()),
        (["x", "NA", None, ""], "seen: {rows: 9}", ()),
    ],
    ids=["no evidence", "strict", "the label", "the label, allowed", "more than half", "all that is present"],
)
def test_a_column_stays_text_where_values_must_parse_or_most_do_not(
    values: list[str | None], says: str, strict: tuple[str, ...]
) -> None:
    series, passed = typed_by(pl.Series(values), "integer", says, strict)
    assert (series.to_list(), passed) == (values, [])


def test_a_column_of_another_kind_is_not_made_missing() -> None:
    lists = pl.Series([[1], [2]])
    series, passed = typed_by(lists, "number")
    assert (series.to_list(), passed) == ([[1], [2]], [])
