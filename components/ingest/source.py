"""Reads CSV and Parquet into a table with the contract's types, or says what is wrong with the file."""

from __future__ import annotations

import codecs
import csv
import json
import shutil
from pathlib import Path

import polars as pl
import polars.exceptions

from modelway.components.core.contract import ColumnType, Contract
from modelway.components.core.errors import ModelwayError, first_line
from modelway.components.core.project import Data

_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet"}
_MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]
_TRUE, _FALSE = ["true", "t", "yes", "y", "1"], ["false", "f", "no", "n", "0"]


def read_source(path: Path, data: Data, contract: Contract | None, work: Path) -> pl.DataFrame:
    """Reads a file, or all CSV or Parquet files of a folder, one below the other.

    Text that all parses as the contract's type is converted; a column with a value that does not stays text, for
    the data gate to report.

    Args:
        path: The local file or folder.
        data: How to read it.
        contract: The types to read as; None: those that the file suggests.
        work: A scratch folder.

    Raises:
        ModelwayError: nothing there, empty, duplicate columns, wrong delimiter or encoding, not the format it claims.
    """
    files = sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES) if path.is_dir() else [path]
    if not files:
        raise ModelwayError(
            f"{path} holds no CSV or Parquet file",
            file=str(path),
            key="data.source",
            remedy=f"put files ending in {', '.join(_SUFFIXES)} there, or correct `data.source`",
        )
    tables = [_read_file(file, data, contract, work) for file in files]
    for file, table in zip(files, tables, strict=True):
        if table.columns != tables[0].columns:
            odd = sorted(set(table.columns) ^ set(tables[0].columns)) or ["their order"]
            raise ModelwayError(
                f"{file.name} and {files[0].name} do not have the same columns: they differ in {', '.join(odd[:5])}",
                file=str(file),
                column=odd[0],
                remedy="give all files of the folder the same columns in the same order",
            )
    table = pl.concat(tables, how="vertical_relaxed")
    if table.is_empty():
        raise ModelwayError(
            f"{path} holds no rows", file=str(path), key="data.source", remedy="export it again, with its rows"
        )
    return table if contract is None else with_contract_types(table, contract)


def _read_file(file: Path, data: Data, contract: Contract | None, work: Path) -> pl.DataFrame:
    if file.stat().st_size == 0:
        raise ModelwayError(f"{file} is empty", file=str(file), key="data.source", remedy="export it again")
    kind = data.format or _SUFFIXES.get(file.suffix)
    if kind == "parquet":
        try:
            return pl.read_parquet(file, glob=False)
        except (polars.exceptions.PolarsError, OSError) as error:
            raise ModelwayError(
                f"{file} cannot be read as Parquet: {first_line(error)}",
                file=str(file),
                key="data.format",
                remedy="write it again as Parquet, or set `data.format: csv`",
            ) from error
    if kind == "csv":
        return _read_csv(file, data, contract, work)
    raise ModelwayError(
        f"{file}'s ending tells no format",
        file=str(file),
        key="data.format",
        value=file.suffix or file.name,
        remedy="set `data.format` to csv or parquet",
    )


def _read_csv(file: Path, data: Data, contract: Contract | None, work: Path) -> pl.DataFrame:
    delimiter = "\t" if file.suffix == ".tsv" and data.delimiter == "," else data.delimiter
    text = _as_utf8(file, data.encoding, work)
    header = _header(file, text, delimiter)
    columns = {} if contract is None else contract.columns
    as_text = [name for name in header if name in columns and columns[name].type != "number"]
    text_kept = {name for name in as_text if columns[name].type == "string"}
    try:
        return pl.read_csv(
            text,
            separator=delimiter,
            infer_schema_length=None,
            schema_overrides=dict.fromkeys(as_text, pl.String),
            null_values={name: "" if name in text_kept else "NA" for name in header},
            glob=False,
        )
    except polars.exceptions.NoDataError as error:
        raise ModelwayError(f"{file} holds no rows", file=str(file), remedy="export it again") from error
    except polars.exceptions.PolarsError as error:
        raise ModelwayError(
            f"{file} cannot be read as CSV: {first_line(error)}",
            file=str(file),
            key="data.delimiter",
            value=delimiter,
            remedy="check that every line has as many fields as the header, and `data.delimiter`",
        ) from error


def _as_utf8(file: Path, encoding: str, work: Path) -> Path:
    """The file itself if it is UTF-8, else a converted copy."""
    try:
        name = codecs.lookup(encoding).name
    except LookupError as error:
        raise ModelwayError(
            f"there is no encoding {encoding!r}",
            key="data.encoding",
            value=encoding,
            remedy="name a Python codec, such as utf-8, latin-1 or cp1252",
        ) from error
    copy = work / f"{file.name}.utf8"
    line = 0
    try:
        with file.open(encoding=name) as source:
            if name == "utf-8":
                for line, _ in enumerate(source, 1):  # noqa: B007 - the count is for the error
                    pass
                return file
            with copy.open("w", encoding="utf-8") as target:
                shutil.copyfileobj(source, target)
    except UnicodeError as error:
        raise ModelwayError(
            f"{file} is not {encoding} text: line {line + 1} holds bytes that do not decode",
            file=str(file),
            key="data.encoding",
            value=encoding,
            remedy="set `data.encoding` to what the file was written in, often cp1252, latin-1 or utf-16",
        ) from error
    return copy


def _header(file: Path, text: Path, delimiter: str) -> list[str]:
    with text.open(encoding="utf-8-sig", newline="") as lines:
        header = next(csv.reader(lines, delimiter=delimiter), [])
    if len(header) == 1:
        other = next((mark for mark in (";", "\t", "|", ",") if mark != delimiter and mark in header[0]), None)
        if other is not None:
            raise ModelwayError(
                f"{file} has one column by the delimiter {delimiter!r}, and its header holds {other!r}",
                file=str(file),
                key="data.delimiter",
                value=delimiter,
                remedy=f"set `data.delimiter: {json.dumps(other)}`",
            )
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise ModelwayError(
            f"{file} has more than one column {twice[0]!r}",
            file=str(file),
            column=twice[0],
            remedy="rename or remove one of them in the file",
        )
    return header


def with_contract_types(table: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """Converts each column to its contract's type where that loses nothing; leaves it as it is where not."""
    converted = [
        _converted(table[name], column.type) for name, column in contract.columns.items() if name in table.columns
    ]
    return table.with_columns(converted)


def _converted(series: pl.Series, wanted: ColumnType) -> pl.Series:
    if series.dtype in {pl.Categorical, pl.Enum}:
        series = series.cast(pl.String)
    candidate = parsed(series, wanted)
    return candidate if candidate is not None and candidate.null_count() == series.null_count() else series


def parsed(series: pl.Series, wanted: ColumnType) -> pl.Series | None:
    """The series as the wanted type, with nulls for what does not parse; None where the types have no bridge."""
    is_text = series.dtype == pl.String
    if is_text and wanted != "string":
        series = series.str.strip_chars()
        series = series.set(series.is_in(_MISSING), None)
    if series.dtype == pl.Null:
        return series.cast(_STORED[wanted])
    if wanted == "boolean":
        return _as_boolean(series)
    if wanted in {"integer", "number"}:
        return _as_number(series, wanted)
    if wanted in {"date", "datetime"}:
        return _as_time(series, wanted)
    return series if is_text else None


_STORED: dict[ColumnType, pl.DataType] = {
    "boolean": pl.Boolean(),
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "string": pl.String(),
    "date": pl.Date(),
    "datetime": pl.Datetime("us"),
}


def _as_boolean(series: pl.Series) -> pl.Series | None:
    if series.dtype == pl.Boolean:
        return series
    if not (series.dtype == pl.String or series.dtype.is_numeric()):
        return None
    text = (series.cast(pl.Int64, strict=False) if series.dtype.is_float() else series).cast(pl.String)
    return text.str.to_lowercase().replace_strict(
        [*_TRUE, *_FALSE], [True] * len(_TRUE) + [False] * len(_FALSE), default=None, return_dtype=pl.Boolean
    )


def _as_number(series: pl.Series, wanted: ColumnType) -> pl.Series | None:
    if not (series.dtype == pl.String or series.dtype.is_numeric()):
        return None
    numbers = series.cast(pl.Float64, strict=False)
    if wanted == "number":
        return numbers
    if series.dtype.is_integer():
        return series.cast(pl.Int64, strict=False)
    whole = numbers.set(numbers != numbers.round(), None)
    return whole.cast(pl.Int64, strict=False)


def _as_time(series: pl.Series, wanted: ColumnType) -> pl.Series | None:
    if series.dtype == pl.String:
        try:
            times = series.str.to_datetime(strict=False, time_unit="us")
        except polars.exceptions.ComputeError:  # no format fits the first value
            times = pl.Series(series.name, [None] * len(series), dtype=pl.Datetime("us"))
        if times.null_count() > series.null_count():
            days = series.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
            times = days if days.null_count() < times.null_count() else times
    elif series.dtype.is_temporal() and series.dtype not in {pl.Time, pl.Duration}:
        times = series.cast(pl.Datetime("us"))
    else:
        return None
    return times.cast(pl.Date) if wanted == "date" else times
