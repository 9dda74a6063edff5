"""The stage's one function: from a source to a training and a test table with what they were made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from modelway.components.core.contract import Contract
from modelway.components.core.errors import ModelwayError
from modelway.components.core.project import Project
from modelway.components.core.storage import fetch, sha256_of, version_of
from modelway.components.ingest.source import read_source
from modelway.components.ingest.split import split_table


@dataclass(frozen=True)
class Ingested:
    """What was ingested: the SHA-256 of the source's content, and counts."""

    data_hash: str
    columns: int
    train_rows: int
    test_rows: int


def ingest(project: str, contract: str, data_version: str, train_path: str, test_path: str) -> Ingested:
    """Reads the project's source, and writes its training and test splits as Parquet.

    Args:
        project: The project file: its text, path or URI.
        contract: The contract file: its text, path or URI.
        data_version: What `storage.version_of` gave for the source when the run was asked for; empty: not checked.
        train_path: Where the training split goes.
        test_path: Where the test split goes.

    Raises:
        ModelwayError: the source cannot be read, is malformed, or is no longer what the run was asked for.
    """
    described = Project.load(project)
    source = described.data.source
    with TemporaryDirectory() as work:
        local = fetch(source, Path(work))
        if data_version and version_of(source) != data_version:
            raise ModelwayError(
                f"{source} changed after this run was asked for",
                file=source,
                key="data.source",
                remedy="run again, on the data as it is now",
            )
        data_hash = sha256_of(local)
        table = read_source(local, described.data, Contract.load(contract), Path(work))
    train, test = split_table(table, described.data.split)
    for part, path in ((train, train_path), (test, test_path)):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        part.write_parquet(path)
    return Ingested(data_hash, table.width, len(train), len(test))
