"""`modelway report`: Evidently's report of some data against the project's own, outside of any run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from modelway.components.core.storage.uri import fetch
from modelway.pipelines.cli.options import Folder, project_folder
from modelway.pipelines.cli.output import Answer, print_written
from modelway.pipelines.project.workspace import Workspace

if TYPE_CHECKING:
    import polars as pl

    from modelway.components.validate.evidently_report import EvidentlySummary


def report(
    data: Annotated[str, typer.Option(help="The data to compare: a path or s3://.")],
    project: Folder = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The HTML page to write.")] = Path("evidently.html"),
) -> Answer:
    """Writes Evidently's report of some data against the project's own; needs modelway[evidently]."""
    from modelway.components.validate.evidently_report import write_evidently

    folder = project_folder(project)
    workspace = Workspace.load(folder)
    comparison = write_evidently(
        _read(Workspace.load(folder, data)),
        _read(workspace),
        columns=[*workspace.project.features.columns, workspace.project.label],
        policy=workspace.policy.data.drift,
        path=output,
        label=workspace.project.label,
    )
    content = {"report": str(output), **asdict(comparison)}
    return Answer(content, lambda: print_written([output], _summary(comparison)))


def _read(workspace: Workspace) -> pl.DataFrame:
    from modelway.components.ingest.source import read_source

    project, data = workspace.project, workspace.project.data
    with TemporaryDirectory() as work:
        local = fetch(data.source, Path(work))
        return read_source(local, data, contract=workspace.contract, work=Path(work), label=project.label)


def _summary(comparison: EvidentlySummary) -> str:
    """What the page is made from and how exact it is, in a sentence."""
    columns = len({name for distances in comparison.distances.values() for name in distances})
    rows = (
        f"{columns} columns compared on {comparison.sample_rows:,} of {comparison.rows:,} rows with "
        f"{comparison.reference_sample_rows:,} of {comparison.reference_rows:,} of the project's own"
    )
    errors = [error for errors in comparison.sampling_errors.values() for error in errors.values()]
    exact = f"within {max(errors):.3f} of those of all rows (95% confidence)" if any(errors) else "those of all rows"
    return f"{rows}; the distances are {exact}; this page informs and decides nothing"
