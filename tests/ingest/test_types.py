from __future__ import annotations

import datetime as dt
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
    return with_contract_types(pl.DataFrame({"a": series}), Contract.parse(f"columns: {{a: {{type: {kind}}}}}"))["a"]


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
    assert table.to_dicts() == [{"a": 1, "c": "x", "d": 2.5}]
