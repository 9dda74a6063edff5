"""Compares some data with a project's own, outside of any run."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from modelway.components.core.storage.uri import fetch
from modelway.components.ingest.source import read_source
from modelway.components.validate.evidently_report import EvidentlySummary, write_evidently
from modelway.pipelines.project.workspace import Workspace


def compare(folder: Path, data: str, *, output: Path) -> EvidentlySummary:
    """Writes Evidently's page of some data against the project's own.

    Args:
        folder: The project's folder.
        data: The data in question: a path or an s3:// URI.
        output: Where the page goes.

    Returns:
        The distances that the page shows, on how many rows, and how far they may be from those of all rows.
    """
    asked, own = Workspace.load(folder, data), Workspace.load(folder)
    project = own.project
    columns = [*project.features.columns, project.label]
    return write_evidently(
        _read(asked), _read(own), columns=columns, policy=own.policy.data.drift, path=output, label=project.label
    )


def summary(found: EvidentlySummary) -> str:
    """What the page is made on and how exact it is, in a sentence."""
    columns = len({name for distances in found.distances.values() for name in distances})
    on = f"{columns} columns compared on {found.sample_rows:,} of {found.rows:,} rows with "
    on += f"{found.reference_sample_rows:,} of {found.reference_rows:,} of the project's own"
    errors = [error for errors in found.sampling_errors.values() for error in errors.values()]
    exact = f"within {max(errors):.3f} of those of all rows (95% confidence)" if any(errors) else "those of all rows"
    return f"{on}; the distances are {exact}; this page informs and decides nothing"


def _read(workspace: Workspace) -> pl.DataFrame:
    data = workspace.project.data
    with TemporaryDirectory() as work:
        return read_source(fetch(data.source, Path(work)), data, contract=workspace.contract, work=Path(work))
