from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from modelway.components.core.errors import DamagedError
from modelway.components.core.tables.unparsed import (
    MOST_POSITIONS,
    UNPARSED_KEY,
    Unparsed,
    unparsed_among,
    unparsed_metadata,
    unparsed_of,
    unparsed_together,
    unparsed_values,
)

TABLE = pl.DataFrame({"a": [1, None, 3, None]})
VALUES = {"a": Unparsed(2, ("é?", "x"), (1, 3))}


def write(folder: Path, metadata: dict[str, str] | None) -> str:
    TABLE.write_parquet(folder / "table", metadata=metadata)
    return str(folder / "table")


def test_they_travel_with_the_file_and_change_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path, unparsed_metadata(VALUES))
    assert unparsed_values(path) == VALUES
    assert pl.read_parquet(path).equals(TABLE)
    assert pq.read_table(path).to_pydict() == TABLE.to_dict(as_series=False)


@pytest.mark.parametrize("values", [{}, {"a": Unparsed(0, (), ())}])
def test_a_file_without_any_is_written_as_ever(tmp_path: Path, values: dict[str, Unparsed]) -> None:
    assert unparsed_metadata(values) is None
    before = Path(write(tmp_path, None)).read_bytes()
    assert Path(write(tmp_path, unparsed_metadata(values))).read_bytes() == before
    assert unparsed_values(str(tmp_path / "table")) == {}


def test_examples_are_few_different_and_short() -> None:
    values = unparsed_of(pl.Series([0, 2, 3, 5, 8]), pl.Series(["x", "x", "y" * 500, "z", "w"]))
    assert values == Unparsed(5, ("x", "y" * 200, "z"), (0, 2, 3, 5, 8))


def test_where_too_many_are_is_not_said() -> None:
    positions = pl.Series(range(MOST_POSITIONS + 1))
    assert unparsed_of(positions, positions.cast(pl.String)).positions is None
    assert unparsed_of(positions[1:], positions[1:].cast(pl.String)).positions == tuple(range(1, MOST_POSITIONS + 1))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        json.dumps({"a": 2}),
        json.dumps({"a": {"rows": -1, "examples": []}}),
        json.dumps({"a": {"rows": "many", "examples": []}}),
        json.dumps({"a": {"rows": 5, "examples": []}}),
        json.dumps({"a": {"rows": 1, "examples": [], "positions": [4]}}),
        json.dumps({"a": {"rows": 2, "examples": [], "positions": [3, 3]}}),
        json.dumps({"a": {"rows": 2, "examples": [], "positions": []}}),
        "[" * 100_000,
    ],
)
def test_metadata_that_are_not_as_they_were_written(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, {UNPARSED_KEY: text})
    with pytest.raises(DamagedError, match="metadata") as error:
        unparsed_values(path)
    assert (error.value.file, error.value.key) == (path, UNPARSED_KEY)


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ({}, {}, {}),
        (VALUES, {}, VALUES),
        ({}, VALUES, {"a": Unparsed(2, ("é?", "x"), (5, 7))}),
        (VALUES, {"a": Unparsed(3, ("x", "y", "z"), (0, 1, 2))}, {"a": Unparsed(5, ("é?", "x", "y"), (1, 3, 4, 5, 6))}),
        (VALUES, {"a": Unparsed(3, (), None)}, {"a": Unparsed(5, ("é?", "x"), None)}),
        (VALUES, {"b": Unparsed(1, ("y",), (0,))}, {**VALUES, "b": Unparsed(1, ("y",), (4,))}),
    ],
)
def test_those_of_two_tables_together(first: Any, second: Any, together: Any) -> None:
    assert unparsed_together(first, second, first_rows=4) == together


@pytest.mark.parametrize(
    ("rows", "among"),
    [
        ([True, True, True, True], VALUES),
        ([False, True, False, True], {"a": Unparsed(2, ("é?", "x"), (0, 1))}),
        ([True, False, True, True], {"a": Unparsed(1, ("é?", "x"), (2,))}),
        ([True, False, True, False], {}),
    ],
)
def test_those_among_some_rows(rows: list[bool], among: dict[str, Unparsed]) -> None:
    assert unparsed_among(np.array(rows), VALUES) == among
