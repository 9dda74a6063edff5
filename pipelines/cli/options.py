"""What several commands take: their options, the project that they are about, and where it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated, Any

import typer

from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.locations import check_location
from modelway.components.core.storage.mlflow import Tracking
from modelway.pipelines.project.workspace import Workspace, requester, tracking_uri

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and every line the stages log.")]
_PROJECT = "The project's folder. Default: this folder if it holds a project, else the example that is shipped."
Folder = Annotated[Path | None, typer.Argument(help=_PROJECT)]
Project = Annotated[Path | None, typer.Option("--project", "-p", help=_PROJECT)]
Home = Annotated[
    Path | None,
    typer.Option(
        help="Where artifacts, the cache and MLflow's database are kept. Default: .modelway in the project's folder.",
        envvar="MODELWAY_HOME",
    ),
]
Store = Annotated[
    str | None,
    typer.Option(
        help="Where run records, packages and the audit log are kept: a folder or s3://. Default: the home.",
        envvar="MODELWAY_STORE",
    ),
]
Champion = Annotated[
    str, typer.Option(help="The version to compare with. Default: the one that the policy's alias points to.")
]
Version = Annotated[str, typer.Argument(help="The version's number, or an alias such as development or challenger.")]
To = Annotated[str, typer.Option("--to", help="The environment: staging or production.")]
Reason = Annotated[str, typer.Option("--reason", "-m", help="Why; it is kept in the audit log.")]
IdentityToken = Annotated[
    str,
    typer.Option(
        "--identity-token",
        metavar="FILE",
        help="The file with the token of CI or the cluster that says who it is; -: standard input. Default: the token "
        "in MODELWAY_IDENTITY_TOKEN, else the file MODELWAY_IDENTITY_TOKEN_FILE, else the one of GitHub Actions.",
    ),
]
Insecure = Annotated[bool, typer.Option("--insecure", help="Use plain HTTP for the image registries.")]
BASE = typer.Option(
    "--base", help="The serving base, host/repository@sha256:…, or an OCI layout.", envvar="MODELWAY_BASE"
)
TARGET = typer.Option(
    "--target", help="Where the image goes, host/repository:tag, or a folder.", envvar="MODELWAY_TARGET"
)


def by_option(deed: str) -> Any:
    """The option ``--by``: who does what the command is for."""
    return typer.Option(
        "--by", help=f"Who {deed}. Default: MODELWAY_USER, else the address that git has, else the account's name."
    )


@dataclass(frozen=True)
class Context:
    """What a command about a registered model works on.

    Attributes:
        workspace: The project.
        model: The model that its versions are registered as.
        by: The person who runs the command.
    """

    workspace: Workspace
    model: RegisteredModel
    by: str

    @classmethod
    def load(cls, project: Path | None, home: Path | None, *, store: str | None, by: str | None = None) -> Context:
        """Reads the project, and finds its store and its model registry."""
        folder = project_folder(project)
        workspace, home = Workspace.load(folder), home_of(folder, home)
        model = RegisteredModel(workspace.project.name, store_of(store, home), Tracking(tracking_uri(home)))
        return cls(workspace, model, by or requester(folder))


def project_folder(folder: Path | None) -> Path:
    """The project's folder: the one named, else this folder if it holds a project, else the example that is shipped."""
    if folder is not None:
        return folder.resolve()
    if Path("project.yaml").exists():
        return Path.cwd()
    return shipped_example()


def shipped_example() -> Path:
    """The example project inside the package."""
    from importlib.resources import files

    return Path(str(files("modelway.examples.insurance") / "project.yaml")).parent


def home_of(folder: Path, home: Path | None) -> Path:
    """The home that is named, else ``.modelway`` in the project's folder, or here for the example that is shipped."""
    default = (Path.cwd() if folder == shipped_example() else folder) / ".modelway"
    return (home or default).resolve()


def store_of(store: str | None, home: Path) -> str:
    """The store that is named, else the home.

    Raises:
        ModelwayError: it is an address that is not taken.
    """
    check_location(store or "", key="store")
    return store or str(home)


def parse_time(text: str) -> datetime:
    """Reads a time in ISO 8601, in UTC unless it says otherwise; a day alone is its last moment.

    Raises:
        ModelwayError: it is not a time.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ModelwayError(
            f"{text!r} is not a time", value=text, remedy="write it as 2026-11-01 or 2026-11-01T14:30"
        ) from error
    if len(text) == len("2026-11-01"):
        moment = datetime.combine(moment, time.max)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
