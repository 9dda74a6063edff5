"""`modelway init`: proposes a project's three files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn

from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.uri import write_uri
from modelway.pipelines.cli.output import Answer, Console, written

if TYPE_CHECKING:
    from modelway.pipelines.project.contract_trial import ContractTrial


def init(
    name: Annotated[str, typer.Argument(help="The project's name, and the folder to make.")],
    data: Annotated[str, typer.Option(help="A CSV or Parquet file, a folder of them, or an s3:// URI.")],
    label: Annotated[str, typer.Option(help="The column to predict.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the files that are there.")] = False,
) -> Answer:
    """Proposes project.yaml, contract.yaml and policy.yaml from the data, for review.

    The contract is tried on fifty halves of the data: proposed from one half, it judges the other.
    """
    from modelway.pipelines.project.propose import propose
    from modelway.pipelines.project.schemas import DOCUMENTS, published_schema

    folder = Path(name)
    with Progress(TextColumn("{task.description}"), BarColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading the data", total=None)
        proposal = propose(
            folder,
            folder.name,
            source=data,
            label=label,
            progress=lambda done, total: bar.update(
                task, description="trying the contract on halves of the data", completed=done, total=total
            ),
        )
    files = [folder / file for file in proposal.files]
    existing = [file for file in files if file.exists()]
    if existing and not force:
        raise ModelwayError(
            f"{existing[0]} exists already",
            file=str(existing[0]),
            remedy="choose another name, or replace the files with --force",
        )
    schemas = {f".schemas/{kind}.schema.json": published_schema(kind) for kind in DOCUMENTS}
    for file, text in {**proposal.files, **schemas}.items():
        write_uri(str(folder / file), text.encode())
    summary = (
        f"a {proposal.task} project with {len(proposal.features)} features, {len(proposal.unused)} columns unused; "
        f"review the files, then: modelway run {name}"
    )
    return written(
        files,
        "\n".join([*proposal.notes, *_trial_note(proposal.trial), summary]),
        task=proposal.task,
        features=proposal.features,
        unused=proposal.unused,
        notes=proposal.notes,
        trial=asdict(proposal.trial) | {"greatest_rate": proposal.trial.greatest_rate} if proposal.trial else None,
    )


def _trial_note(trial: ContractTrial | None) -> list[str]:
    """What the halves showed, and what to do if some were blocked."""
    if trial is None:
        return []
    remedy = "; review these lines: the two halves differ in them, or too few rows were seen" if trial.blocked else ""
    return [f"contract.yaml, tried on halves of the data: {trial}{remedy}"]
