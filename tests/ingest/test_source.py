from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from polars.testing import assert_frame_equal

from modelway.components.core.config.contract import Contract
from modelway.components.core.config.project import Data
from modelway.components.core.errors import ModelwayError
from modelway.components.ingest.source import read_source

TYPES = {"id": "string", "n": "integer", "x": "number", "ok": "boolean", "day": "date", "at": "datetime"}
MARCH = dt.datetime(2024, 3, 1)
Read = Callable[..., pl.DataFrame]


def contract(**types: str) -> Contract:
    columns = "\n".join(f"  {name}: {{type: {kind}}}" for name, kind in types.items())
    return Contract.parse(f"columns:\n{columns}\n")


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Writes a file and reads it as a source."""

    def reader(
        content: str | bytes, types: dict[str, str] | None = None, *, name: str = "data.csv", **how: Any
    ) -> pl.DataFrame:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        expected = contract(**types) if types is not None else None
        return read_source(file, Data(source=str(file), **how), contract=expected, work=work)

    return reader


@pytest.fixture
def table() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": ["00123", "NA", "größe, “x”", "a\nb", None],
            "n": [1, -2, None, 9_007_199_254_740_993, 0],
            "x": [1.5, -0.25, None, 1e300, 3.0],
            "ok": [True, False, None, True, False],
            "day": [dt.date(2024, 2, 29), None, dt.date(1969, 12, 31), dt.date(2030, 1, 1), dt.date(2000, 1, 1)],
            "at": [
                dt.datetime(2024, 2, 29, 23, 59, 59, 123_456),
                None,
                *[dt.datetime(2024, 1, day) for day in (1, 2, 3)],
            ],
        }
    )


@pytest.mark.parametrize("types", [TYPES, None], ids=["contract", "no contract"])
def test_parquet_is_read_as_it_was_written(tmp_path: Path, table: pl.DataFrame, types: dict[str, str] | None) -> None:
    table.write_parquet(tmp_path / "data.parquet")
    expected = contract(**types) if types else None
    actual = read_source(tmp_path / "data.parquet", Data(source="x"), contract=expected, work=tmp_path)
    assert_frame_equal(actual, table)


@pytest.mark.parametrize(
    ("encoding", "bom"),
    [("utf-8", b""), ("utf-8", b"\xef\xbb\xbf"), ("utf-8-sig", b""), ("utf-16", b""), ("cp1252", b""), ("UTF8", b"")],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_and_parquet_give_the_same_table(
    tmp_path: Path, table: pl.DataFrame, encoding: str, bom: bytes, delimiter: str
) -> None:
    content = bom + table.write_csv(separator=delimiter).encode(encoding)
    (tmp_path / "data.csv").write_bytes(content)
    how = Data(source="x", delimiter=delimiter, encoding=encoding)
    actual = read_source(tmp_path / "data.csv", how, contract=contract(**TYPES), work=tmp_path)
    assert_frame_equal(actual, table)


def test_a_folder_is_one_table(tmp_path: Path, table: pl.DataFrame) -> None:
    folder = tmp_path / "data"
    (folder / "2024" / "part.parquet").mkdir(parents=True)
    table[:2].write_csv(folder / "1.csv")
    table[2:3].write_parquet(folder / "2.PQ")
    table[3:].write_parquet(folder / "2024" / "part.parquet" / "0.parquet")
    (folder / "README.md").write_text("not data", encoding="utf-8")
    (folder / ".ipynb_checkpoints").mkdir()
    table.write_csv(folder / ".ipynb_checkpoints" / "1-checkpoint.csv")
    table.write_csv(folder / "._1.csv")
    actual = read_source(folder, Data(source="x"), contract=contract(**TYPES), work=tmp_path)
    assert_frame_equal(actual, table)


@pytest.mark.parametrize("name", ["data.csv", "DATA.CSV", "data.txt", "data.tsv"])
def test_endings_of_csv(read: Read, name: str) -> None:
    mark = "\t" if name.endswith(".tsv") else ","
    assert read(f"a{mark}b\n1{mark}2\n", name=name).to_dicts() == [{"a": 1, "b": 2}]


def test_the_format_may_be_said(read: Read, tmp_path: Path) -> None:
    assert read("a\n1\n", name="data.dat", format="csv").to_dicts() == [{"a": 1}]
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "p")
    assert read((tmp_path / "p").read_bytes(), name="data.csv", format="parquet").to_dicts() == [{"a": 1}]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_quoted_fields_keep_their_line_ends(read: Read, encoding: str, end: str) -> None:
    content = f'id,n{end}"x{end}y, ""z""",1{end}é,2{end}'.encode(encoding)
    actual = read(content, {"id": "string", "n": "integer"}, encoding=encoding)
    assert actual.to_dicts() == [{"id": f'x{end}y, "z"', "n": 1}, {"id": "é", "n": 2}]


@pytest.mark.parametrize(
    ("content", "how", "key", "column", "says"),
    [
        (b"", {}, "data.source", None, "is empty"),
        (b"\n\n", {}, None, None, "holds no rows"),
        (b"a,b\n", {}, "data.source", None, "holds no rows"),
        (b"a,b,a\n1,2,3\n", {}, None, "a", "more than one column 'a'"),
        (b"a;b\n1;2\n", {}, "data.delimiter", None, "its header contains ';'"),
        (b"a\tb\n1\t2\n", {}, "data.delimiter", None, "its header contains '\\t'"),
        (b"a,b\n1,2\n", {"delimiter": ";"}, "data.delimiter", None, "its header contains ','"),
        (b"a,b\n1,2\n3,4,5\n", {}, "data.delimiter", None, "line 3 has 3 fields, the header 2"),
        (b'a,b\n"1\n1",2\n3,4,5,6\n', {}, "data.delimiter", None, "line 4 has 4 fields, the header 2"),
        (b"a\n" + b"x\n" * 3000 + b"gr\xf6\xdfe\nx\n", {}, "data.encoding", None, "line 3002 has bytes"),
        (b"a\n" + b"x\n" * 3000 + b"gr\xf6\xdfe\nx\n", {"encoding": "ascii"}, "data.encoding", None, "line 3002"),
        (b"a\n\x81\n", {"encoding": "cp1252"}, "data.encoding", None, "line 2 has bytes"),
        ("a\n1\n".encode("utf-16"), {}, "data.encoding", None, "line 1 has bytes"),
        (b"a\n1\n", {"encoding": "utf-16"}, "data.encoding", None, "line 1 has bytes"),
        (b"a\n1\n", {"encoding": "utf-9"}, "data.encoding", None, "there is no encoding 'utf-9'"),
        (b"a\n1\n", {"encoding": "base64"}, "data.encoding", None, "there is no encoding 'base64'"),
        (b"a\n1\n", {"format": "parquet"}, "data.format", None, "cannot be read as Parquet"),
        (b"PAR1 but not quite PAR1", {"format": "parquet"}, "data.format", None, "cannot be read as Parquet"),
    ],
)
def test_what_cannot_be_read_is_explained(
    read: Read, tmp_path: Path, content: bytes, how: dict[str, Any], key: str | None, column: str | None, says: str
) -> None:
    with pytest.raises(ModelwayError) as error:
        read(content, {"a": "string"}, **how)
    assert says in error.value.message
    assert (error.value.key, error.value.column) == (key, column)
    assert error.value.file == (None if "there is no encoding" in says else str(tmp_path / "data.csv"))
    assert error.value.remedy


@pytest.mark.parametrize("mark", [";", "\t", "|", ","])
def test_the_remedy_for_a_wrong_delimiter_can_be_pasted(read: Read, mark: str) -> None:
    with pytest.raises(ModelwayError) as error:
        read(f"a{mark}b\n1{mark}2\n", delimiter="\t" if mark != "\t" else ",")
    pasted = error.value.remedy.split("`")[1]
    assert yaml.safe_load(pasted) == {"data.delimiter": mark}


@pytest.mark.parametrize("name", ["data.xlsx", "data", "data.csv.gz"])
def test_an_ending_that_tells_no_format(read: Read, name: str) -> None:
    with pytest.raises(ModelwayError, match="has an unknown file extension") as error:
        read("a\n1\n", name=name)
    assert error.value.key == "data.format"


def folder_of(tmp_path: Path, files: dict[str, str | pl.DataFrame]) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, content in files.items():
        if isinstance(content, str):
            (folder / name).write_text(content, encoding="utf-8")
        else:
            content.write_parquet(folder / name)
    return folder


@pytest.mark.parametrize(
    ("files", "column", "says"),
    [
        ({"1.csv": "a,b\n1,2\n", "2.csv": "a,c\n1,2\n"}, "b", "differ in b, c"),
        ({"1.csv": "a,b\n1,2\n", "2.csv": "a\n1\n"}, "b", "differ in b"),
        ({"1.csv": "a,b\n1,2\n", "2.csv": "b,a\n1,2\n"}, "their order", "differ in their order"),
        (
            {"1.parquet": pl.DataFrame({"a": [1]}), "2.parquet": pl.DataFrame({"a": [dt.date(2024, 1, 1)]})},
            "a",
            "'a' is Int64 in 1.parquet and Date in 2.parquet",
        ),
        (
            {"1.parquet": pl.DataFrame({"a": [1]}), "2.parquet": pl.DataFrame({"a": [[1]]})},
            "a",
            "List(Int64) in 2.parquet",
        ),
    ],
)
def test_files_of_a_folder_that_differ(
    tmp_path: Path, files: dict[str, str | pl.DataFrame], column: str, says: str
) -> None:
    folder = folder_of(tmp_path, files)
    with pytest.raises(ModelwayError) as error:
        read_source(folder, Data(source="x"), contract=None, work=tmp_path)
    assert says in error.value.message
    assert error.value.column == column
    assert error.value.file == str(folder / sorted(files)[1])


@pytest.mark.parametrize(
    ("first", "second", "values"),
    [
        ([1], [2.5], [1.0, 2.5]),
        ([None], [2], [None, 2]),
        ([dt.date(2024, 1, 1)], [dt.datetime(2024, 1, 2, 3)], [dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 2, 3)]),
        (pl.Series(["a"], dtype=pl.Categorical), ["b"], ["a", "b"]),
    ],
)
def test_files_of_a_folder_may_store_a_column_in_several_ways(
    tmp_path: Path, first: list[Any], second: list[Any], values: list[Any]
) -> None:
    folder = folder_of(tmp_path, {"1.parquet": pl.DataFrame({"a": first}), "2.parquet": pl.DataFrame({"a": second})})
    assert read_source(folder, Data(source="x"), contract=None, work=tmp_path)["a"].to_list() == values


def test_a_folder_without_data(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"README.md": "no data here"})
    with pytest.raises(ModelwayError, match="contains no CSV or Parquet file") as error:
        read_source(folder, Data(source="x"), contract=None, work=tmp_path)
    assert (error.value.file, error.value.key) == (str(folder), "data.source")


def test_parquet_without_rows(tmp_path: Path) -> None:
    pl.DataFrame({"a": pl.Series([], dtype=pl.Int64)}).write_parquet(tmp_path / "data.parquet")
    with pytest.raises(ModelwayError, match="holds no rows"):
        read_source(tmp_path / "data.parquet", Data(source="x"), contract=None, work=tmp_path)


def test_an_empty_field_is_missing_and_a_quoted_one_keeps_its_blanks(read: Read) -> None:
    table = read('a,b\n,1\na,1\n" b ",1\n', {"a": "string", "b": "integer"})
    assert table["a"].to_list() == [None, "a", " b "]


@pytest.mark.parametrize(
    ("series", "kind", "dtype", "values"),
    [
        (pl.Series([1, 2], dtype=pl.Int8), "integer", pl.Int64, [1, 2]),
        (pl.Series([1.0, None]), "integer", pl.Int64, [1, None]),
        (pl.Series([1.0, float("nan")]), "integer", pl.Int64, [1, None]),
        (pl.Series([1.5, 2.0]), "integer", pl.Float64, [1.5, 2.0]),
        (pl.Series([1, 2]), "number", pl.Float64, [1.0, 2.0]),
        (pl.Series([1.5, float("nan")], dtype=pl.Float32), "number", pl.Float64, [1.5, None]),
        (pl.Series([Decimal("1.5")]), "number", pl.Float64, [1.5]),
        (pl.Series([1, 0, None]), "boolean", pl.Boolean, [True, False, None]),
        (pl.Series([1.0, 0.0]), "boolean", pl.Boolean, [True, False]),
        (pl.Series([0.5, 1.0]), "boolean", pl.Float64, [0.5, 1.0]),
        (pl.Series([1, 2]), "boolean", pl.Int64, [1, 2]),
        (pl.Series([1, 2]), "string", pl.Int64, [1, 2]),
        (pl.Series(["a", "b"], dtype=pl.Categorical), "string", pl.String, ["a", "b"]),
        (pl.Series(["a", "b"], dtype=pl.Enum(["a", "b"])), "string", pl.String, ["a", "b"]),
        (pl.Series([None, None]), "date", pl.Date, [None, None]),
        (pl.Series([None, None]), "string", pl.String, [None, None]),
        (pl.Series([dt.datetime(2024, 1, 1)]), "date", pl.Date, [dt.date(2024, 1, 1)]),
        (pl.Series([dt.date(2024, 1, 1)]), "datetime", pl.Datetime("us"), [dt.datetime(2024, 1, 1)]),
        (
            pl.Series([dt.datetime(2024, 7, 1, 12)]).dt.replace_time_zone("Europe/Berlin"),
            "datetime",
            pl.Datetime("us"),
            [dt.datetime(2024, 7, 1, 10)],
        ),
        (pl.Series([20240101]), "date", pl.Int64, [20240101]),
        (pl.Series([dt.timedelta(1)]), "datetime", pl.Duration("us"), [dt.timedelta(1)]),
        (pl.Series([dt.time(1)]), "date", pl.Time, [dt.time(1)]),
    ],
)
def test_stored_values_become_the_contracts_type_where_nothing_is_lost(
    tmp_path: Path, series: pl.Series, kind: str, dtype: pl.DataType, values: list[Any]
) -> None:
    series.alias("a").to_frame().write_parquet(tmp_path / "data.parquet")
    actual = read_source(tmp_path / "data.parquet", Data(source="x"), contract=contract(a=kind), work=tmp_path)["a"]
    assert actual.dtype == dtype
    assert actual.to_list() == values
