"""What the commands have in common: their options, the project that they are about, and where it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.errors import NotFoundError
from modelway.components.core.evidence.runs import LATEST, Outcome, read_outcome
from modelway.components.core.storage.mlflow import Tracking
from modelway.pipelines.project.workspace import Workspace, requester, tracking_uri

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and every line the stages log.")]
_PROJECT = "The project's folder. Without one: this folder if it holds a project, else the example."
Folder = Annotated[Path | None, typer.Argument(help=_PROJECT)]
Project = Annotated[Path | None, typer.Option("--project", "-p", help=_PROJECT)]
Home = Annotated[
    Path | None,
    typer.Option(help="Where artifacts, cache and MLflow's database are kept.", envvar="MODELWAY_HOME"),
]
Store = Annotated[
    str | None, typer.Option(help="Where decisions and reports are kept: a folder or s3://.", envvar="MODELWAY_STORE")
]
DataVersion = Annotated[
    str, typer.Option(help="What you call the data's version: a label; the data itself is looked at in any case.")
]
Champion = Annotated[
    str, typer.Option(help="The version to compare with, in place of the one that holds the policy's alias.")
]
Reason = Annotated[str, typer.Option(help="Why the run is started; its record says it.")]
By = Annotated[
    str | None, typer.Option(help="Who asks; without it MODELWAY_USER, the address that git has, or the account.")
]
BASE = typer.Option(
    "--base", help="The serving base, host/repository@sha256:…, or an OCI layout.", envvar="MODELWAY_BASE"
)
TARGET = typer.Option(
    "--target", help="Where the image goes, host/repository:tag, or a folder.", envvar="MODELWAY_TARGET"
)


@dataclass(frozen=True)
class Desk:
    """What a command about a released version works on.

    Attributes:
        workspace: The project.
        model: The model that its versions are registered as.
        by: Who asks.
    """

    workspace: Workspace
    model: RegisteredModel
    by: str


def desk(project: Path | None, home: Path | None, *, store: str | None, by: str | None = None) -> Desk:
    """The project that a command is about, with its store and its registry."""
    folder = project_folder(project)
    workspace, place = Workspace.load(folder), home_of(folder, home)
    model = RegisteredModel(workspace.project.name, store or str(place), Tracking(tracking_uri(place)))
    return Desk(workspace, model, by or requester(folder))


def project_folder(given: Path | None) -> Path:
    """The project's folder: as given, else this folder if it holds a project, else the example that is shipped."""
    if given is not None:
        return given.resolve()
    if Path("project.yaml").exists():
        return Path.cwd()
    return shipped_example()


def shipped_example() -> Path:
    """The example project inside the package."""
    from importlib.resources import files

    return Path(str(files("modelway.examples.insurance") / "project.yaml")).parent


def home_of(folder: Path, given: Path | None) -> Path:
    """What is given, else ``.modelway`` in the project's folder, or here for the example that is shipped."""
    default = (Path.cwd() if folder == shipped_example() else folder) / ".modelway"
    return (given or default).resolve()


def recorded_outcome(store: str, run: str | None) -> Outcome:
    """The outcome of a run, or of the one that ended last.

    Raises:
        ModelwayError: the store has no such run.
    """
    outcome = read_outcome(store, run or LATEST)
    if outcome is None:
        raise NotFoundError(
            f"{store} has no outcome of {'the run ' + run if run else 'any run'}",
            file=store,
            value=run,
            remedy="`modelway run` prints each run's id, Kubeflow's dashboard shows it; name the store with --store",
        )
    return outcome
