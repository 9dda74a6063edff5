"""Compares some data with a project's own, outside of any run."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from modelway.components.core.storage import fetch
from modelway.components.ingest.source import read_source
from modelway.components.validate.evidently_report import write_evidently
from modelway.pipelines.workspace import Workspace


def compare(folder: Path, data: str, output: Path) -> dict[str, float]:
    """Writes Evidently's page of some data against the project's own.

    Args:
        folder: The project's folder.
        data: The data in question: a path or an s3:// URI.
        output: Where the page goes.

    Returns:
        Evidently's population stability index of each column.
    """
    asked, own = Workspace.load(folder, data), Workspace.load(folder)
    project = own.project
    columns = [*project.features.columns, project.label]
    return write_evidently(_read(asked), _read(own), columns, own.policy.data.drift.psi, output)


def _read(workspace: Workspace) -> pl.DataFrame:
    data = workspace.project.data
    with TemporaryDirectory() as work:
        return read_source(fetch(data.source, Path(work)), data, workspace.contract, Path(work))
