"""The blessing: every gate's every check, bound by hashes to the model and to all that it was judged by."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version as installed_version

from pydantic import BaseModel, ConfigDict, Field

from modelway.components.core.checks import Gate, Verdict, blocking_reasons, combine

IMAGE_VARIABLE = "MODELWAY_IMAGE"


class Hashes(BaseModel):
    """What a blessing is bound to: SHA-256 hashes in hex, empty where the run did not get so far.

    Attributes:
        model: The model's folder.
        data: The source's content.
        project: The project file.
        contract: The contract file.
        policy: The policy file.
        code: The components' code, what is installed, and the user's own training code.
        request: All that the release depends on.
    """

    model_config = ConfigDict(frozen=True)

    model: str = ""
    data: str = ""
    project: str
    contract: str
    policy: str
    code: str = ""
    request: str = ""


class Blessing(BaseModel):
    """A run's verdict on a model.

    Attributes:
        project: The project's name.
        run: The run's id.
        blessed: Whether every gate was reached and lets the model proceed.
        verdict: The worst verdict of all gates.
        hashes: What it is bound to.
        git_commit: The commit of the user's repository; empty if unknown.
        requested_by: Who asked for the run; empty if unknown.
        image: The image that the model was trained in, by digest; the library's version where that is not known.
        compared_with: The champion's version; empty: there was none.
        gates: Every check with what was observed, its interval, the threshold and the verdict.
        at: When it was given, ISO 8601 in UTC.
        evidence: The SHA-256 of every file that is kept beside it, by the files' names: gates, reports, card, baseline,
            sample, and the three files. Empty in older ones.
    """

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="constants")

    project: str
    run: str
    blessed: bool
    verdict: Verdict
    hashes: Hashes
    git_commit: str = ""
    requested_by: str = ""
    image: str
    compared_with: str = ""
    gates: tuple[Gate, ...]
    at: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    evidence: dict[str, str] = {}

    def content(self) -> bytes:
        """The document's bytes: what `sha256` is of, and what is kept."""
        return self.model_dump_json(indent=2).encode()

    def sha256(self) -> str:
        """The hash of the whole document: what an approval binds to."""
        return hashlib.sha256(self.content()).hexdigest()

    @property
    def identity(self) -> str:
        """The hash of what was judged and by what, less when and in which run: the same is registered once."""
        parts = self.hashes.model_dump(exclude={"request"}) | {"compared_with": self.compared_with}
        return hashlib.sha256("\n".join(f"{key} {parts[key]}" for key in sorted(parts)).encode()).hexdigest()

    @property
    def reasons(self) -> list[str]:
        """Why the model is not blessed, a sentence each."""
        return blocking_reasons(self.gates)


GATES = ("data", "model", "serving")


def bless(
    gates: Iterable[Gate],
    hashes: Hashes,
    *,
    project: str,
    run: str,
    git_commit: str,
    requested_by: str,
    compared_with: str,
) -> Blessing:
    """Draws up the blessing of what the gates found; a gate that was not reached keeps the model from being blessed."""
    gates_reached = tuple(gates)
    complete = {gate.name for gate in gates_reached} == set(GATES)
    return Blessing(
        project=project,
        run=run,
        blessed=complete and all(gate.proceed for gate in gates_reached),
        verdict=combine(gate.verdict for gate in gates_reached),
        hashes=hashes,
        git_commit=git_commit,
        requested_by=requested_by,
        image=os.environ.get(IMAGE_VARIABLE, f"modelway {installed_version('modelway')}"),
        compared_with=compared_with,
        gates=gates_reached,
    )
