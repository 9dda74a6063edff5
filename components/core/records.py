"""What became of each run, in the project's store: a local folder or an S3 prefix.

Below the store's root, ``runs/<run>/`` holds ``decision.json`` (written by `register_model` or `reject`),
``outcome.json`` (by `record_outcome`), ``blessing.json``, the model card and the gates' reports; ``runs/latest/`` holds
the outcome that was written last.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from modelway.components.core.blessing import BLESSING_FILE, Blessing
from modelway.components.core.card import Card
from modelway.components.core.contract import Contract
from modelway.components.core.errors import ModelwayError
from modelway.components.core.policy import Policy
from modelway.components.core.project import Project
from modelway.components.core.storage import copy_in, join, read_uri, write_uri
from modelway.components.core.verdict import Gate, blocking_reasons


class State(StrEnum):
    """How a run ended."""

    REGISTERED = "registered"
    REJECTED = "rejected"
    FAILED = "failed"


class RegisteredModel(BaseModel):
    """The registered version that a run led to."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    alias: str
    model_hash: str


class Outcome(BaseModel):
    """What became of a run.

    Attributes:
        run: The pipeline run's name.
        project: The project's name.
        state: How it ended.
        gates: The gates that were reached.
        reports: Where each gate's report is.
        model: The registered version, if it was blessed.
        blessing: The SHA-256 of the blessing, which is beside this; empty if no gate decided.
        git_commit: The commit of the user's repository, if known.
        error: What failed, if anything did.
        at: When this was written, ISO 8601 in UTC.
    """

    model_config = ConfigDict(frozen=True)

    run: str
    project: str
    state: State
    gates: tuple[Gate, ...] = ()
    reports: dict[str, str] = {}
    model: RegisteredModel | None = None
    blessing: str = ""
    git_commit: str = ""
    error: str = ""
    at: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def reasons(self) -> list[str]:
        """Why it was rejected, a sentence each."""
        return blocking_reasons(self.gates)

    def write(self, store: str, file: str) -> str:
        """Writes this below the run's folder; returns where."""
        target = join(store, "runs", self.run, file)
        write_uri(target, self.model_dump_json(indent=2).encode())
        return target

    @classmethod
    def read(cls, store: str, run: str, file: str) -> Outcome | None:
        """Reads a run's decision or outcome; None if there is none."""
        try:
            return cls.model_validate_json(read_uri(join(store, "runs", run, file)))
        except ModelwayError as error:
            if type(error) is ModelwayError:  # missing, as opposed to unreachable or refused
                return None
            raise


DECISION, OUTCOME = "decision.json", "outcome.json"
LATEST = "latest"


def keep_blessing(store: str, blessing: Blessing, card: Card) -> dict[str, str]:
    """Writes the blessing and the model card into the run's folder; returns where the card's page is, by its name."""
    root = join(store, "runs", blessing.run)
    for name, content in (
        (BLESSING_FILE, blessing.content()),
        ("card.md", card.markdown.encode()),
        ("card.html", card.page.encode()),
    ):
        write_uri(join(root, name), content)
    return {"card": join(root, "card.html")}


def keep_reports(store: str, run: str, reports: dict[str, str]) -> dict[str, str]:
    """Copies reports into the run's folder; returns where each one is now."""
    kept = {}
    for name, path in reports.items():
        kept[name] = join(store, "runs", run, f"{name}.html")
        copy_in(Path(path), kept[name])
    return kept


def request_hash(project: Project, contract: Contract, policy: Policy, data_version: str, code_version: str) -> str:
    """The hash of everything that a release run is asked for: the same request gives the same answer."""
    parts = (project.canonical(), contract.canonical(), policy.canonical(), data_version, code_version)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
