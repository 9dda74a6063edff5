"""What columns of text are taken for."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from modelway.pipelines.project.column_types import column_type, typed_table

NUMBERS = [str(i) for i in range(200)]


@pytest.mark.parametrize(
    ("values", "dtype", "unparsed"),
    [
        pytest.param([*NUMBERS, "x"], pl.Int64(), 1, id="a bad value"),
        pytest.param([*NUMBERS, "1.5", "?", "12 EUR"], pl.Float64(), 2, id="a fraction among them"),
        pytest.param([*NUMBERS, *["n.a."] * 10], pl.Int64(), 10, id="just enough parse"),
        pytest.param([*NUMBERS, *["n.a."] * 11], pl.String(), 0, id="too few parse"),
        pytest.param([*NUMBERS, "NA", " N/A ", None, ""], pl.Int64(), 0, id="missing"),
        pytest.param([*["0", "1", "2"] * 60, *["3+"] * 8], pl.String(), 0, id="a category"),
        pytest.param([*["0", "1", "2"] * 60, "x"], pl.Int64(), 1, id="few values, one bad"),
        pytest.param([f"{i:05}" for i in range(200)], pl.String(), 0, id="codes with leading zeros"),
        pytest.param([f"2025-03-{1 + i % 31:02}" for i in range(200)] + ["soon"], pl.Date(), 1, id="days"),
        pytest.param([f"2025-03-01 {i % 24:02}:00:00" for i in range(199)], pl.Datetime("us"), 0, id="times"),
        pytest.param(["true", "False"] * 100 + ["maybe"], pl.Boolean(), 1, id="flags"),
        pytest.param(["yes", "no"] * 100, pl.String(), 0, id="words"),
        pytest.param(["a", "b"] * 100, pl.String(), 0, id="text"),
        pytest.param([None] * 10, pl.String(), 0, id="nothing"),
        pytest.param(["", "NA"], pl.String(), 0, id="marks alone"),
    ],
)
def test_text_is_what_nearly_all_of_it_parses_as(values: list[Any], dtype: pl.DataType, unparsed: int) -> None:
    typed = typed_table(pl.DataFrame({"x": pl.Series(values, dtype=pl.String)}))
    assert typed.rows.schema["x"] == dtype
    assert sum(int(mask.sum()) for mask in typed.unparsed.values()) == unparsed
    if unparsed:
        assert typed.rows["x"].filter(typed.unparsed["x"]).null_count() == unparsed
        assert 0 < len(typed.examples["x"]) <= 3


def test_every_value_of_a_strict_column_must_parse() -> None:
    table = pl.DataFrame({"x": [*NUMBERS, "bad"], "y": [*NUMBERS, "NA"]})
    typed = typed_table(table, strict=("x", "y"))
    assert list(typed.rows.schema.values()) == [pl.String(), pl.Int64()]
    assert typed.unparsed == {}


def test_a_part_has_its_own_unparsed_rows() -> None:
    typed = typed_table(pl.DataFrame({"x": ["bad", *NUMBERS]})).filter(pl.Series([0, 5, 6]))
    assert typed.rows["x"].to_list() == [None, 4, 5]
    assert typed.unparsed["x"].to_list() == [True, False, False]


@pytest.mark.parametrize(
    ("dtype", "word"),
    [
        (pl.Boolean(), "boolean"),
        (pl.UInt8(), "integer"),
        (pl.Decimal(10, 2), "number"),
        (pl.Null(), "number"),
        (pl.Date(), "date"),
        (pl.Datetime("ns", "UTC"), "datetime"),
        (pl.String(), "string"),
    ],
)
def test_each_type_has_its_word(dtype: pl.DataType, word: str) -> None:
    assert column_type(dtype) == word
