"""The stage's function: reads a source and writes its splits."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from modelway.components.core.config.contract import Contract
from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.uri import fetch, sha256_of
from modelway.components.core.tables.placement import TEST, TRAIN, UNSEEN
from modelway.components.core.tables.unparsed import Unparsed, unparsed_metadata, unparsed_of
from modelway.components.ingest.source import read_typed_source
from modelway.components.ingest.split import Mask, split_sides
from modelway.components.ingest.types import POSITION, VALUE, TypedTable

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ingestion:
    """The result of ingesting.

    Attributes:
        data_hash: The SHA-256 of the source's content.
        columns: How many columns it has.
        rows: How many rows the training, the test and the unseen split and the serving data have.
        unparsed: By column how many of the values of each are not of its type and were let pass as missing.
    """

    data_hash: str
    columns: int
    rows: tuple[int, ...]
    unparsed: tuple[dict[str, int], ...]


def ingest(
    project_text: str,
    contract_text: str,
    *,
    expected_version: str = "",
    train_path: str,
    test_path: str,
    unseen_path: str,
    serving_path: str,
) -> Ingestion:
    """Reads the project's source and writes its splits, and the serving data if there is any, as Parquet.

    Args:
        project_text: The project file: its text, path or URI.
        contract_text: The contract file: its text, path or URI.
        expected_version: The source's version when the run began; empty: not compared.
        train_path: Where to write the training split.
        test_path: Where to write the test split.
        unseen_path: Where to write the unseen split, which may be empty.
        serving_path: Where to write the serving data; empty if the project names none.

    Raises:
        ModelwayError: a source cannot be read, is malformed, or changed after the run began.
    """
    project, contract = Project.load(project_text), Contract.load(contract_text)
    data = project.data
    with TemporaryDirectory() as work:
        local = fetch(data.source, Path(work))
        if expected_version and data.version() != expected_version:
            raise ModelwayError(
                f"{data.source} changed after this run began",
                file=data.source,
                key="data.source",
                remedy="start a new run, on the data as it is now",
            )
        data_hash = sha256_of(local)
        source = read_typed_source(local, data, contract=contract, work=Path(work), label=project.label)
    table = source.rows
    sides = split_sides(table, data.split, label=project.label)
    splits = [(source, sides == side) for side in (TRAIN, TEST, UNSEEN)]
    serving = TypedTable(table.clear()) if data.serving is None else _read_serving_data(project, contract=contract)
    splits.append((serving, np.ones(len(serving.rows), dtype=bool)))
    parts = [_Part(typed.rows.filter(rows), _unparsed_in(rows, typed)) for typed, rows in splits]
    for part, path in zip(parts, (train_path, test_path, unseen_path, serving_path), strict=True):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        part.rows.write_parquet(path, metadata=unparsed_metadata(part.unparsed))
    counts = [{name: values.rows for name, values in part.unparsed.items()} for part in parts]
    _log_unparsed(source, contract, key="data.source")
    _log_unparsed(serving, contract, key="data.serving")
    return Ingestion(data_hash, table.width, tuple(len(part.rows) for part in parts), tuple(counts))


@dataclass(frozen=True)
class _Part:
    """What is written to one file."""

    rows: pl.DataFrame
    unparsed: Mapping[str, Unparsed]


def _unparsed_in(rows: Mask, typed: TypedTable) -> dict[str, Unparsed]:
    """The values of some rows that do not parse, by their rows' numbers among these."""
    numbers = np.cumsum(rows) - 1
    unparsed = {}
    for name, values in typed.unparsed.items():
        is_in = rows[values[POSITION].to_numpy()]
        if is_in.any():
            chosen = values.filter(is_in)
            positions = pl.Series(numbers[chosen[POSITION].to_numpy()])
            unparsed[name] = unparsed_of(positions, chosen[VALUE])
    return unparsed


def _log_unparsed(typed: TypedTable, contract: Contract, *, key: str) -> None:
    for name, values in typed.unparsed.items():
        examples = ", ".join(map(repr, unparsed_of(values[POSITION], values[VALUE]).examples))
        message = "%s: %s of %s values of %r are no valid %s, such as %s; they are taken as missing"
        kind = contract.columns[name].type
        log.warning(message, key, f"{len(values):,}", f"{len(typed.rows):,}", name, kind, examples)


def _read_serving_data(project: Project, *, contract: Contract) -> TypedTable:
    data = project.data
    with TemporaryDirectory() as work:
        try:
            local = fetch(str(data.serving), Path(work))
            return read_typed_source(local, data, contract=contract, work=Path(work), label=project.label)
        except ModelwayError as error:
            error.key = "data.serving"
            raise
