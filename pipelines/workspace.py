"""A project's three files as the pipeline takes them, and where its runs are kept."""

from __future__ import annotations

import getpass
import hashlib
import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import modelway.components
from modelway.components.core.contract import Contract
from modelway.components.core.documents import Document
from modelway.components.core.errors import ModelwayError
from modelway.components.core.policy import Policy
from modelway.components.core.project import Project
from modelway.components.core.storage import is_uri, join, write_uri

FILES = ("project.yaml", "contract.yaml", "policy.yaml")
LONGEST_PARAMETER = 9_000  # KFP takes string parameters of less than 10,000 bytes


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
        """Reads a project's three files.

        Args:
            folder: Where they are.
            source: Another data source than the project's own.

        Raises:
            ModelwayError: a file is missing or malformed.
        """
        for name in FILES:
            if not (folder / name).is_file():
                raise ModelwayError(
                    f"{folder} has no {name}",
                    file=str(folder / name),
                    remedy="`modelway init NAME --data FILE --label COLUMN` proposes the three files",
                )
        project = Project.load(folder / "project.yaml")
        changes = {"source": _absolute(project.data.source, folder) if source is None else _absolute(source, Path())}
        if project.data.serving is not None:
            changes["serving"] = _absolute(project.data.serving, folder)
        data = project.data.model_copy(update=changes)
        project = project.model_copy(update={"data": data})
        return cls(folder, project, Contract.load(folder / "contract.yaml"), Policy.load(folder / "policy.yaml"))

    @property
    def documents(self) -> dict[str, Document]:
        """The three files by their parameter's name."""
        return {"project": self.project, "contract": self.contract, "policy": self.policy}

    def names(self) -> dict[str, str]:
        """What to call each file in errors."""
        return {name: str(self.folder / f"{name}.yaml") for name in self.documents}

    def parameters(self, store: str) -> dict[str, str]:
        """Each file as a pipeline parameter: its text, or the URI of a copy in the store where that is too long."""
        found = {}
        for name, document in self.documents.items():
            text = document.canonical()
            if len(text.encode()) > LONGEST_PARAMETER:
                target = join(store, "config", f"{name}-{document.sha256()[:16]}.json")
                write_uri(target, text.encode())
                text = target
            found[name] = text
        return found

    def origin(self) -> dict[str, str]:
        """Where a run comes from: the commit of the project's repository, and who asks."""
        return {"git_commit": git_commit(self.folder), "requested_by": requester(self.folder)}


def _absolute(source: str, folder: Path) -> str:
    return source if is_uri(source) else str((folder / source).absolute())


def tracking_uri(home: Path) -> str:
    """The MLflow server that the environment names, else a database in the home."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home / 'mlflow.db'}"


def git_commit(folder: Path) -> str:
    """The commit that a folder is at, with ``-dirty`` after it where files differ; empty outside a repository."""
    try:
        found = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()


def requester(folder: Path) -> str:
    """Who asks: ``MODELWAY_USER``, else the address that git signs commits with there, else the account's name."""
    named = os.environ.get("MODELWAY_USER", "")
    if not named:
        with suppress(OSError, subprocess.SubprocessError):
            asked = ["git", "-C", str(folder), "config", "user.email"]
            named = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    if not named:
        with suppress(OSError, KeyError):  # an account without a name, as in a container
            named = getpass.getuser()
    return named


def code_hash() -> str:
    """The hash of the components' own code: what makes results that other code left in the cache stale."""
    package, digest = Path(str(modelway.components.__file__)).parent, hashlib.sha256()
    for file in sorted([*package.rglob("*.py"), *package.rglob("*.j2")]):
        digest.update(file.relative_to(package).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
