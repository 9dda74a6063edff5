"""`modelway init`: proposes a project's three files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.uri import write_uri
from modelway.pipelines.cli.output import Answer, written


def init(
    name: Annotated[str, typer.Argument(help="The project's name, and the folder to make.")],
    data: Annotated[str, typer.Option(help="A CSV or Parquet file, a folder of them, or an s3:// URI.")],
    label: Annotated[str, typer.Option(help="The column to predict.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the files that are there.")] = False,
) -> Answer:
    """Proposes project.yaml, contract.yaml and policy.yaml from the data, for review."""
    from modelway.pipelines.project.propose import propose
    from modelway.pipelines.project.schemas import DOCUMENTS, published_schema

    folder = Path(name)
    proposal = propose(folder, folder.name, source=data, label=label)
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
        "\n".join([*proposal.notes, summary]),
        task=proposal.task,
        features=proposal.features,
        unused=proposal.unused,
        notes=proposal.notes,
    )
