"""The run records: how each run was decided and ended, in the project's store (a local folder or an S3 prefix).

Below the store's root, ``runs/<run's id>/`` holds ``decision.json`` (written by `register_model` or `enforce_gate`),
``package.json`` (by `package_model`), ``deployment.json`` (by `deploy_model`), ``outcome.json`` (by `record_outcome`),
``stopped.json`` (by a stage that was terminated, or a command that was interrupted), ``blessing.json``, the model card
and the gates' reports;
``runs/latest/`` holds the latest outcome.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from modelway.components.core.addresses import without_secrets
from modelway.components.core.checks import Gate, blocking_reasons
from modelway.components.core.config.user_files import UserFiles
from modelway.components.core.errors import ModelwayError
from modelway.components.core.evidence.blessing import Blessing, Hashes, bless
from modelway.components.core.evidence.files import BLESSING_FILE, CARD_FILE, CARD_PAGE_FILE
from modelway.components.core.evidence.model_card import render_card
from modelway.components.core.evidence.stop_record import StopRecord
from modelway.components.core.storage.run_files import RunRecord, read_record, write_record
from modelway.components.core.storage.uri import join, list_folders, write_uri

ReleaseGoal = Literal["registered", "packaged", "staging"]
Goal = Literal[ReleaseGoal, "promoted"]
DeploymentResult = Literal["promoted", "rolled-back", "undone", "undone-in-part", "inconclusive", "refused"]
DECISION, OUTCOME = "decision.json", "outcome.json"
LATEST = "latest"


class State(StrEnum):
    """How a run ended: the first two are of releases, the last three of promotions, the others of any run.

    A run is ``interrupted`` by whoever began it: the command itself was told to end, by Ctrl-C or SIGTERM. It is
    ``stopped`` where only its tasks were terminated, as on a cluster, which do not learn by whom.
    """

    REGISTERED = "registered"
    REJECTED = "rejected"
    FAILED = "failed"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    PROMOTED = "promoted"
    UNDONE = "undone"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """A run and where its records are stored.

    Attributes:
        run: The run's unique id.
        store: The root of the project's store; empty: nothing is recorded.
        name: The run's display name; may be empty, and several runs may share one.
        git_commit: The commit of the user's repository; empty if unknown.
        requested_by: Who asked for the run; empty if unknown.
        reason: Why it was started; empty if no reason was given.
        champion: The registry version that the model is compared with; empty: there is none.

    Raises:
        ModelwayError: there is a store but no run id.
    """

    run: str
    store: str
    name: str = ""
    git_commit: str = ""
    requested_by: str = ""
    reason: str = ""
    champion: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", without_secrets(self.reason))
        if self.store and not self.run:
            raise ModelwayError(
                "the run's id is empty, so its records would be mixed up with those of other runs",
                key="run",
                remedy="compile the pipeline with `modelway compile`, which passes the run's id",
            )


class RegisteredVersion(BaseModel):
    """The version that a run registered.

    Attributes:
        alias: The alias that the version got; empty if an earlier run had registered it, and no alias moved.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    alias: str
    model_hash: str


class Attempt(BaseModel):
    """How a run ended before it was retried."""

    model_config = ConfigDict(frozen=True)

    state: State
    error: str
    at: str


class PackageRecord(RunRecord):
    """The image that a run packaged its version in."""

    file = "package.json"

    image: str


class DeploymentRecord(RunRecord):
    """The result of a run's latest deployment, in the store since a backend loses the outputs of a failed task.

    Attributes:
        run: The run that deployed.
        model: The registered model's name.
        version: The version that was to serve.
        environment: The environment.
        verdict: ``promoted`` and ``rolled-back``: the version serves; ``undone``: the rollout failed, and what served
            before serves again; ``undone-in-part``: pods of the version still serve beside it; ``inconclusive``: undone
            without a verdict on the version; ``refused``: nothing was changed.
        image: Its image by digest; empty where none is known.
        restored: The image that serves again; empty if nothing was undone, or nothing had served before.
        reasons: Why it was undone or refused, or what else matters; a sentence each.
        sentence: The result in one line.
        at: When this was written, ISO 8601 in UTC.
    """

    file = "deployment.json"

    run: str
    model: str
    version: str
    environment: str
    verdict: DeploymentResult
    image: str = ""
    restored: str = ""
    reasons: tuple[str, ...] = ()
    sentence: str
    at: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


class Outcome(BaseModel):
    """How a run was decided, or how it ended.

    Attributes:
        run: The run's id.
        name: Its display name; empty if it has none.
        project: The project's name.
        state: How it ended.
        gates: The gates that decided.
        reports: Where each gate's report is.
        model: The registered version, if it was blessed.
        blessing: The SHA-256 of the blessing, which is beside this; empty if no gate decided.
        git_commit: The commit of the user's repository, if known.
        request_reason: Why the run was started; empty if no reason was given.
        error: What failed, or was not reached.
        image: The packaged model's image by digest, if it was packaged.
        deployment: The result of the deployment, if there was one.
        attempts: How it ended before it was retried, the oldest first.
        at: When this was written, ISO 8601 in UTC.
    """

    model_config = ConfigDict(frozen=True)

    run: str
    name: str = ""
    project: str
    state: State
    gates: tuple[Gate, ...] = ()
    reports: dict[str, str] = {}
    model: RegisteredVersion | None = None
    blessing: str = ""
    git_commit: str = ""
    request_reason: str = ""
    error: str = ""
    image: str = ""
    deployment: DeploymentRecord | None = None
    attempts: tuple[Attempt, ...] = ()
    at: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def reasons(self) -> list[str]:
        """Why the model was rejected, a sentence each."""
        return blocking_reasons(self.gates)

    @property
    def label(self) -> str:
        """The run's name with its id, or its id alone."""
        return f"{self.name} ({self.run})" if self.name and self.name != self.run else self.run

    def write(self, store: str, file: str) -> str:
        """Writes this to the run's folder; returns the file."""
        return write_record(self, store, self.run, name=file)

    @classmethod
    def read(cls, store: str, run: str, *, file: str) -> Outcome | None:
        """Reads a run's decision or outcome; None if there is none.

        Raises:
            DamagedError: it is there and damaged.
            ModelwayError: the store cannot be read.
        """
        return read_record(cls, store, run, name=file)


def read_outcome(store: str, run: str) -> Outcome | None:
    """How a run ended, even if it was stopped before that was recorded; None if nothing is known.

    Raises:
        DamagedError: a record is damaged.
        ModelwayError: the store cannot be read.
    """
    outcome = Outcome.read(store, run, file=OUTCOME)
    if outcome is not None:
        return outcome
    stop = StopRecord.read(store, run)
    if stop is None:
        return None
    decision = Outcome.read(store, run, file=DECISION) or Outcome(run=run, project="", state=stop_state(stop))
    return decision.model_copy(update={"error": decision.error or stop.sentence, "at": stop.at})


def stop_state(stop: StopRecord) -> State:
    """How a run ended that left this record and no decision."""
    return State.INTERRUPTED if stop.signal else State.STOPPED


def recorded_runs(store: str) -> list[tuple[str, Outcome | None]]:
    """The runs that left records in a store: those without an outcome first, then the newest first.

    Returns:
        Each run's id and outcome; None: it is still running, or was killed before it could record anything.

    Raises:
        DamagedError: an outcome is damaged.
        ModelwayError: the store cannot be read.
    """
    ids = [name for name in list_folders(join(store, "runs")) if name != LATEST]
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda run: read_outcome(store, run), ids))
    runs = zip(ids, outcomes, strict=True)
    return sorted(runs, key=lambda run: run[1].at if run[1] is not None else "9", reverse=True)


def record_blessing(
    gates: Sequence[Gate],
    hashes: Hashes,
    *,
    reports: Mapping[str, str],
    evidence: Mapping[str, Path],
    files: UserFiles,
    context: RunContext,
) -> tuple[Blessing, dict[str, bytes], dict[str, str]]:
    """Draws up a run's blessing and model card, and keeps them in the run's folder with the gates' reports.

    Args:
        gates: The gates.
        hashes: What was judged, and by what.
        reports: Paths of the gates' reports, by the gates' names.
        evidence: The gates' other files, by the names that they are kept under.
        files: The project's three files. The blessing binds them, the gates' files and the card.
        context: The run.

    Returns:
        The blessing, the contents that it binds by the files' names, and where reports and the card's page are kept.
    """
    judged = bless(
        gates,
        hashes,
        project=files.project.name,
        run=context.run,
        git_commit=context.git_commit,
        requested_by=context.requested_by,
        compared_with=context.champion,
    )
    card = render_card(judged, files.project)
    pages = {f"{name}.html": Path(path).read_bytes() for name, path in reports.items()}
    contents = pages | {name: path.read_bytes() for name, path in evidence.items()}
    contents |= {CARD_FILE: card.markdown.encode(), CARD_PAGE_FILE: card.page.encode()}
    contents |= {f"{name}.json": document.canonical().encode() for name, document in files.documents()}
    bound = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(contents.items())}
    blessing = judged.model_copy(update={"evidence": bound})
    root = join(context.store, "runs", context.run)
    locations = {name: join(root, f"{name}.html") for name in reports}
    write_uri(join(root, BLESSING_FILE), blessing.content())
    for name in (*pages, CARD_FILE, CARD_PAGE_FILE):
        write_uri(join(root, name), contents[name])
    return blessing, contents, locations | {"card": join(root, CARD_PAGE_FILE)}


def request_hash(files: UserFiles, *, source_version: str, code_version: str) -> str:
    """The hash of all that a release depends on: the same request gives the same answer."""
    parts = (*(document.canonical() for _, document in files.documents()), source_version, code_version)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
