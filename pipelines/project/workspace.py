"""A project's three files as the pipeline takes them, and where its runs are kept."""

from __future__ import annotations

import getpass
import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from modelway.components.core.code.modules import CODE_SUFFIXES, is_installed_file, spec_of, top_level
from modelway.components.core.code.version import ProjectCode, model_path
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.project import Project
from modelway.components.core.config.user_files import UserFiles
from modelway.components.core.errors import NotFoundError
from modelway.components.core.storage.locations import check_location
from modelway.components.core.storage.uri import is_uri
from modelway.pipelines.project.traced_call import EXAMPLE_ROWS, trace_call


@dataclass(frozen=True)
class Workspace:
    """A project on this machine.

    Attributes:
        folder: Where the three files are.
        project: What is trained; its data source is absolute.
        contract: What the data must look like.
        policy: When a model may ship.
    """

    folder: Path
    project: Project
    contract: Contract
    policy: Policy

    @classmethod
    def load(cls, folder: Path, source: str | None = None) -> Workspace:
        """Reads the three files in a folder, for another data source than the project's own if one is named.

        Raises:
            ModelwayError: a file is missing or malformed.
        """
        for name in ("project.yaml", "contract.yaml", "policy.yaml"):
            if not (folder / name).is_file():
                raise NotFoundError(
                    f"{folder} has no {name}",
                    file=str(folder / name),
                    remedy="`modelway init NAME --data FILE --label COLUMN` proposes the three files",
                )
        project = Project.load(folder / "project.yaml")
        changes = {"source": _absolute(project.data.source, folder) if source is None else _absolute(source, Path())}
        if project.data.serving is not None:
            changes["serving"] = _absolute(project.data.serving, folder)
        return cls(
            folder,
            project.with_data(**changes),
            Contract.load(folder / "contract.yaml"),
            Policy.load(folder / "policy.yaml"),
        )

    @property
    def files(self) -> UserFiles:
        """The three files."""
        return UserFiles(self.project, self.contract, self.policy)

    @cached_property
    def code(self) -> ProjectCode:
        """The code beside project.yaml, with what a call of it on made-up rows was heard to load from there.

        Raises:
            ModelwayError: something is wrong with the code, as `ProjectCode.beside` says.
        """
        code = ProjectCode.beside(self.folder, self.project)
        if not code.files and not self._is_edited():
            return code
        return ProjectCode.beside(self.folder, self.project, trace_call(self.folder, self.project, self.contract))

    @property
    def project_code(self) -> str:
        """The version of the code beside project.yaml; empty where it has neither modules nor requirements there."""
        return self.code.version

    def code_notes(self) -> tuple[str, ...]:
        """What is to be known about the version of the code: sentences for people."""
        path, problem, notes = model_path(self.project.model), self.code.trace.problem, list[str]()
        if problem:
            notes.append(
                f"what {path} loads could not be heard from a call on {EXAMPLE_ROWS} made-up rows, so every file of "
                f"code below {self.folder.name}/ belongs to its version, and a change of any trains again: {problem}"
            )
        compiled = [name for name in self.code.files if not name.endswith(".py") and Path(name).suffix in CODE_SUFFIXES]
        if compiled:
            notes.append(
                f"{', '.join(compiled[:5])}: the bytes of compiled code belong to its version; what it is compiled "
                "from does only where that is read, and what it opens without Python is not heard"
            )
        outside = self.code.trace.outside
        if outside:
            more = f" and {len(outside) - 5} more" if len(outside) > 5 else ""
            notes.append(
                f"{path} loads code from outside {self.folder.name}/: {', '.join(outside[:5])}{more}. A change of it "
                "trains again, but neither `modelway image` nor the model's folder takes it along"
            )
        return tuple(notes)

    def _is_edited(self) -> bool:
        """Whether what is fitted is of no installed package: of one that is installed to be edited, say."""
        spec = spec_of(top_level(model_path(self.project.model)))
        return spec is not None and spec.has_location and not is_installed_file(Path(str(spec.origin)))

    def names(self) -> dict[str, str]:
        """What to call each file in errors, by its parameter's name."""
        return {name: str(self.folder / f"{name}.yaml") for name, _ in self.files.documents()}

    def arguments(self, store: str) -> dict[str, str]:
        """What a release of the project is submitted with, once `UserFiles.keep` has put its files into the store."""
        origin = {"git_commit": git_commit(self.folder), "requested_by": requester(self.folder)}
        return {**self.files.locations(store), "store": store, "project_code": self.project_code, **origin}


def _absolute(source: str, folder: Path) -> str:
    check_location(source, key="data.source")
    return source if is_uri(source) else str((folder / source).absolute())


def tracking_uri(home: Path) -> str:
    """The MLflow server that the environment names, else a database in the home."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home / 'mlflow.db'}"


def git_commit(folder: Path) -> str:
    """The commit that a folder is at, with ``-dirty`` after it where files differ; empty outside a repository."""
    return _git(folder, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def requester(folder: Path) -> str:
    """Who runs the command: ``MODELWAY_USER``, else git's address in the folder, else the account's name."""
    name = os.environ.get("MODELWAY_USER") or _git(folder, "config", "user.email")
    if not name:
        with suppress(OSError, KeyError):  # an account without a name, as in a container
            name = getpass.getuser()
    return name


def _git(folder: Path, *arguments: str) -> str:
    """What git says of a folder; empty where it fails."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
