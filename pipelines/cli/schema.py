"""`modelway schema`: the JSON Schema of one of a project's three files."""

from __future__ import annotations

from typing import Annotated

import typer

from modelway.components.core.errors import ModelwayError
from modelway.pipelines.cli.output import Answer


def schema(kind: Annotated[str, typer.Argument(help="project, contract or policy.")]) -> None:
    """Prints the JSON Schema of one of the three files."""
    from modelway.pipelines.project.schemas import DOCUMENTS, published_schema

    if kind not in DOCUMENTS:
        raise ModelwayError(f"there is no file {kind!r}", value=kind, remedy=f"choose {', '.join(DOCUMENTS)}")
    Answer(None, lambda: typer.echo(published_schema(kind), nl=False)).print(as_json=False)
