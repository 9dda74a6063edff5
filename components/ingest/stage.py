"""The stage's function: reads a source and writes its splits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from modelway.components.core.config.contract import Contract
from modelway.components.core.config.project import Data, Project
from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.uri import fetch, sha256_of
from modelway.components.ingest.source import read_source
from modelway.components.ingest.split import split_table


@dataclass(frozen=True)
class Ingestion:
    """The result of ingesting.

    Attributes:
        data_hash: The SHA-256 of the source's content.
        columns: How many columns it has.
        rows: How many rows the training, the test and the unseen split and the serving data have.
    """

    data_hash: str
    columns: int
    rows: tuple[int, ...]


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
        table = read_source(local, data, contract=contract, work=Path(work))
    splits = split_table(table, data.split, label=project.label)
    serving = table.clear() if data.serving is None else _read_serving_data(data.serving, data, contract=contract)
    tables = (splits.train, splits.test, splits.unseen, serving)
    for part, path in zip(tables, (train_path, test_path, unseen_path, serving_path), strict=True):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        part.write_parquet(path)
    return Ingestion(data_hash, table.width, tuple(map(len, tables)))


def _read_serving_data(source: str, data: Data, *, contract: Contract) -> pl.DataFrame:
    with TemporaryDirectory() as work:
        try:
            return read_source(fetch(source, Path(work)), data, contract=contract, work=Path(work))
        except ModelwayError as error:
            error.key = "data.serving"
            raise
