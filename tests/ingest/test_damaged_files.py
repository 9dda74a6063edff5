"""Whatever a data file holds, reading it gives a table or an error of ours that names the file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from properties import bounded

from modelway.components.core.config.contract import Contract
from modelway.components.core.config.project import Data
from modelway.components.core.errors import ModelwayError
from modelway.components.ingest.source import read_source

TABLE = pl.DataFrame(
    {"id": ["a", "b", None], "n": [1, 2, 3], "x": [0.5, None, -1.0], "ok": [True, False, None]}
).with_columns(
    pl.Series("day", ["2024-02-29", None, "2000-01-01"]).str.to_date(),
    pl.Series("at", ["2024-02-29T10:00", None, "2000-01-01T00:00"]).str.to_datetime(),
)
KINDS = {"id": "string", "n": "integer", "x": "number", "ok": "boolean", "day": "date", "at": "datetime"}
CONTRACT = Contract.model_validate({"columns": {name: {"type": kind} for name, kind in KINDS.items()}})


def csv_bytes() -> bytes:
    return TABLE.write_csv().encode()


def parquet_bytes(**options: Any) -> bytes:
    target = io.BytesIO()
    TABLE.write_parquet(target, **options)
    return target.getvalue()


VALID = {
    "csv": [csv_bytes(), csv_bytes().replace(b",", b";"), csv_bytes().decode().encode("utf-16")],
    "parquet": [parquet_bytes(), parquet_bytes(compression="uncompressed"), parquet_bytes(compression="snappy")],
}


@st.composite
def mutated(draw: st.DrawFn, kind: str) -> bytes:
    """A valid file of which some bytes are changed, cut out, or put in."""
    content = bytearray(draw(st.sampled_from(VALID[kind])))
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(content)))
        how = draw(st.sampled_from(["change", "cut", "insert", "end"]))
        if how == "change" and place < len(content):
            content[place] = draw(st.integers(0, 255))
        elif how == "cut":
            del content[place : place + draw(st.integers(1, 40))]
        elif how == "insert":
            content[place:place] = draw(st.binary(min_size=1, max_size=20))
        elif place > 4:
            del content[place:]
    return bytes(content)


def read(folder: Path, content: bytes, *, kind: str, contract: Contract | None, **how: Any) -> None:
    """Reads a file with this content; an error must be ours, and name the file and what to do."""
    file = folder / f"data.{kind}"
    file.write_bytes(content)
    try:
        table = read_source(file, Data(source=str(file), **how), contract=contract, work=folder)
    except ModelwayError as error:
        assert str(file) in f"{error.file} {error.message}" or error.key == "data.encoding"  # noqa: PT017 - either is right
        assert len(error.remedy) > 10  # noqa: PT017
    else:
        assert len(table) > 0


@bounded(250)
@given(content=st.one_of(mutated("csv"), st.binary(min_size=1, max_size=300)), typed=st.booleans())
@example(content=b"\xff\xfe", typed=True)
@example(content=b'"', typed=True)
@example(content=b"\n", typed=True)
@example(content=b"\n\n\n", typed=False)
@example(content=b"a\0b\n1\n", typed=False)
@example(content=b"*,^.*$\n1,2\n", typed=False)
@example(content=b"x" * 200_000 + b"\n1\n", typed=False)
def test_a_damaged_csv_is_an_error_of_ours(tmp_path: Path, content: bytes, typed: bool) -> None:
    read(tmp_path, content, kind="csv", contract=CONTRACT if typed else None)


@bounded(60)
@given(
    content=st.one_of(mutated("csv"), st.binary(min_size=1, max_size=100)),
    encoding=st.sampled_from(["utf-16", "utf-32", "utf-7", "latin-1", "cp1252", "shift_jis", "idna", "punycode"]),
    delimiter=st.sampled_from([",", ";", "\t", "|", "a", " "]),
)
def test_a_damaged_csv_in_any_encoding_is_an_error_of_ours(
    tmp_path: Path, content: bytes, encoding: str, delimiter: str
) -> None:
    read(tmp_path, content, kind="csv", contract=CONTRACT, encoding=encoding, delimiter=delimiter)


@bounded(250)
@given(content=st.one_of(mutated("parquet"), st.binary(min_size=1, max_size=300)), typed=st.booleans())
@example(content=b"PAR1", typed=True)
@example(content=b"PAR1PAR1", typed=True)
@example(content=b"PAR1" + b"\xff" * 8 + b"PAR1", typed=True)
@example(content=b"PAR1" + b"\0" * 8 + b"PAR1", typed=True)
def test_a_damaged_parquet_is_an_error_of_ours(tmp_path: Path, content: bytes, typed: bool) -> None:
    read(tmp_path, content, kind="parquet", contract=CONTRACT if typed else None)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.one_of(st.none(), TEXTS, st.integers(-(10**30), 10**30).map(str))


@bounded(150)
@given(columns=st.lists(st.lists(VALUES, min_size=3, max_size=3), min_size=6, max_size=6))
def test_any_values_are_read_as_what_the_contract_says_or_stay_text(
    tmp_path: Path, columns: list[list[str | None]]
) -> None:
    """Against a date, a number or a flag that parses in a way that crashes."""
    values = [
        [None if value is None else value.encode("utf-8", "replace").decode() for value in part] for part in columns
    ]
    table = pl.DataFrame(dict(zip(KINDS, values, strict=True)), schema=dict.fromkeys(KINDS, pl.String))
    read(tmp_path, table.write_csv().encode(), kind="csv", contract=CONTRACT)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_valid_files_are_read(tmp_path: Path, kind: str) -> None:
    """Against property tests that never get past the first line."""
    file = tmp_path / f"data.{kind}"
    file.write_bytes(VALID[kind][0])
    table = read_source(file, Data(source=str(file)), contract=CONTRACT, work=tmp_path)
    assert table.equals(TABLE)
