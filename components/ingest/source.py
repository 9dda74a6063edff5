"""Reads CSV and Parquet into a table with the contract's types."""

from __future__ import annotations

import codecs
import csv
import json
from collections import Counter
from contextlib import suppress
from pathlib import Path

import polars as pl
import polars.exceptions
import polars.selectors

from modelway.components.core.config.contract import Contract
from modelway.components.core.config.project import Data
from modelway.components.core.errors import DamagedError, ModelwayError, first_line
from modelway.components.ingest.types import TypedTable, with_contract_types

_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet"}


def read_source(path: Path, data: Data, *, contract: Contract | None, work: Path, label: str = "") -> pl.DataFrame:
    """Reads a file, or all CSV and Parquet files of a folder, into one table, as `read_typed_source` does."""
    return read_typed_source(path, data, contract=contract, work=work, label=label).rows


def read_typed_source(path: Path, data: Data, *, contract: Contract | None, work: Path, label: str = "") -> TypedTable:
    """Reads a file, or all CSV and Parquet files of a folder, into one table, with the values that do not parse.

    A text column is converted to the contract's type if all its values parse, or where the contract lets some pass;
    otherwise it stays text, for the data gate to report.

    Args:
        path: The local file or folder.
        data: How to read it; every value of the column that it splits by must parse.
        contract: The types to read as; None: inferred from the file.
        work: A scratch folder.
        label: The column to predict, of which every value must parse.

    Raises:
        ModelwayError: the source is missing, empty or malformed, or in another format or encoding.
    """
    files = _data_files(path) if path.is_dir() else [path]
    if not files:
        raise ModelwayError(
            f"{path} contains no CSV or Parquet file",
            file=str(path),
            key="data.source",
            remedy=f"put files with the extension {', '.join(_SUFFIXES)} there, or correct `data.source`",
        )
    table = _concatenate(files, [_read_file(file, data, contract=contract, work=work) for file in files])
    if table.is_empty():
        raise ModelwayError(
            f"{path} holds no rows", file=str(path), key="data.source", remedy="export it again, with its rows"
        )
    if contract is None:
        return TypedTable(table)
    return with_contract_types(table, contract, strict=(label, data.split.column or ""))


def _data_files(folder: Path) -> list[Path]:
    """Lists the data files at any depth, except hidden ones, where editors and notebooks keep copies."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in _SUFFIXES
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )


def _concatenate(files: list[Path], tables: list[pl.DataFrame]) -> pl.DataFrame:
    """Concatenates the files' tables, whose columns must be the same and of one kind; NaN becomes missing."""
    expected = tables[0].schema
    for file, table in zip(files, tables, strict=True):
        if table.columns != tables[0].columns:
            odd = sorted(set(table.columns) ^ set(tables[0].columns)) or ["their order"]
            raise ModelwayError(
                f"{file.name} and {files[0].name} do not have the same columns: they differ in {', '.join(odd[:5])}",
                file=str(file),
                column=odd[0],
                remedy="give all files of the folder the same columns in the same order",
            )
        for name, dtype in table.schema.items():
            first = expected[name]
            if len({_kind(first), _kind(dtype)} - {None}) > 1:
                raise ModelwayError(
                    f"{name!r} is {first} in {files[0].name} and {dtype} in {file.name}",
                    file=str(file),
                    column=name,
                    remedy="write the column with the same type in all files of the folder",
                )
    return pl.concat(tables, how="vertical_relaxed").with_columns(polars.selectors.float().fill_nan(None))


def _kind(dtype: pl.DataType) -> object:
    """Returns the kind of a type; types of one kind have a common supertype, and None fits every kind."""
    if dtype in {pl.Null, pl.String}:
        return None
    if dtype.is_numeric() or dtype == pl.Boolean:
        return "number"
    return "moment" if dtype in {pl.Date, pl.Datetime("ms"), pl.Datetime("us"), pl.Datetime("ns")} else dtype


def _read_file(file: Path, data: Data, *, contract: Contract | None, work: Path) -> pl.DataFrame:
    if file.stat().st_size == 0:
        raise ModelwayError(f"{file} is empty", file=str(file), key="data.source", remedy="export it again")
    kind = data.format or _SUFFIXES.get(file.suffix.lower())
    if kind is None:
        raise ModelwayError(
            f"{file} has an unknown file extension",
            file=str(file),
            key="data.format",
            value=file.suffix or file.name,
            remedy="set `data.format` to csv or parquet",
        )
    if kind == "csv":
        return _read_csv(file, data, contract=contract, work=work)
    try:
        table = pl.read_parquet(file, glob=False)
        return table.with_columns(polars.selectors.by_dtype(pl.Categorical, pl.Enum).cast(pl.String))
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError) as error:
        raise DamagedError(
            f"{file} cannot be read as Parquet: {first_line(error)}",
            file=str(file),
            key="data.format",
            remedy="write it again as Parquet, or set `data.format: csv`",
        ) from error


def _read_csv(file: Path, data: Data, *, contract: Contract | None, work: Path) -> pl.DataFrame:
    delimiter = "\t" if file.suffix.lower() == ".tsv" and data.delimiter == "," else data.delimiter
    text = _as_utf8(file, data.encoding, work=work)
    header = _header(file, text, delimiter=delimiter)
    columns = {} if contract is None else contract.columns
    as_text = [name for name in header if name in columns and columns[name].type != "number"]
    try:
        return pl.read_csv(
            text,
            separator=delimiter,
            infer_schema_length=None,
            schema_overrides=dict.fromkeys(as_text, pl.String),
            null_values="",
            glob=False,
        )
    except polars.exceptions.NoDataError as error:
        raise ModelwayError(f"{file} holds no rows", file=str(file), remedy="export it again") from error
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException) as error:
        raise DamagedError(
            f"{file} cannot be read as CSV: {_ragged_line(text, delimiter, fields=len(header)) or first_line(error)}",
            file=str(file),
            key="data.delimiter",
            value=delimiter,
            remedy="check that every line has as many fields as the header, and `data.delimiter`",
        ) from error


def _as_utf8(file: Path, encoding: str, *, work: Path) -> Path:
    """Returns the file itself if it is UTF-8, else a converted copy."""
    try:
        name = codecs.lookup(encoding).name
        "a".encode(name)  # fails for a codec of bytes to bytes, such as base64
    except LookupError as error:
        raise ModelwayError(
            f"there is no encoding {encoding!r}",
            key="data.encoding",
            value=encoding,
            remedy="name a Python codec, such as utf-8, latin-1 or cp1252",
        ) from error
    copy = work / f"{file.name}.utf8"
    try:
        with file.open(encoding=name, newline="") as source:
            if name == "utf-8":
                for _ in source:
                    pass
                return file
            with copy.open("w", encoding="utf-8", newline="") as target:
                target.writelines(source)
    except UnicodeError as error:
        raise DamagedError(
            f"{file} is not {encoding} text: line {_undecodable_line(file, name)} has bytes that do not decode",
            file=str(file),
            key="data.encoding",
            value=encoding,
            remedy="set `data.encoding` to what the file was written in, often cp1252, latin-1 or utf-16",
        ) from error
    return copy


def _undecodable_line(file: Path, encoding: str) -> int:
    """Finds the first line that does not decode; the error itself may come some thousand bytes ahead of it."""
    # UTF-16 without a byte order mark fails all the same.
    with suppress(UnicodeError), file.open(encoding=encoding, errors="replace") as lines:
        return next((number for number, line in enumerate(lines, 1) if "\N{REPLACEMENT CHARACTER}" in line), 1)
    return 1


def _ragged_line(text: Path, delimiter: str, *, fields: int) -> str:
    """Describes the first line with more fields than the header; empty if there is none."""
    with suppress(csv.Error), text.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.reader(lines, delimiter=delimiter)
        for row in rows:
            if len(row) > fields:
                return f"line {rows.line_num} has {len(row)} fields, the header {fields}"
    return ""


def _header(file: Path, text: Path, *, delimiter: str) -> list[str]:
    try:
        with text.open(encoding="utf-8-sig", newline="") as lines:
            header = next(csv.reader(lines, delimiter=delimiter), [])
    except csv.Error as error:
        raise DamagedError(
            f"the header of {file} cannot be read as CSV: {first_line(error)}",
            file=str(file),
            line=1,
            key="data.format",
            remedy="write the columns' names into the first line, or set `data.format: parquet`",
        ) from error
    for mark in (";", "\t", "|", ","):
        if len(header) == 1 and mark != delimiter and mark in header[0]:
            raise ModelwayError(
                f"{file} has one column with the delimiter {delimiter!r}, but its header contains {mark!r}",
                file=str(file),
                key="data.delimiter",
                value=delimiter,
                remedy=f"set `data.delimiter: {json.dumps(mark)}`",
            )
    twice = sorted(name for name, times in Counter(header).items() if times > 1)
    if twice:
        raise ModelwayError(
            f"{file} has more than one column {twice[0]!r}",
            file=str(file),
            column=twice[0],
            remedy="rename or remove one of them in the file",
        )
    return header
