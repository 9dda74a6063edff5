"""The deploy result in the store, since a backend loses the outputs of a failed task.

Below the store's root, ``runs/<run>/deployment.json`` holds the result of the run's latest deployment.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from modelway.components.core.storage.run_files import read_record, write_record

DEPLOYMENT = "deployment.json"
DeploymentResult = Literal["promoted", "rolled-back", "undone", "refused"]


class DeploymentRecord(BaseModel):
    """The result of a run's deployment.

    Attributes:
        run: The run that deployed.
        model: The registered model's name.
        version: The version that was to serve.
        environment: The environment.
        verdict: ``promoted`` and ``rolled-back``: the version serves; ``undone``: the rollout failed, and what served
            before serves again; ``refused``: nothing was changed.
        image: Its image by digest; empty where none is known.
        restored: The image that serves again; empty if nothing was undone, or nothing had served before.
        reasons: Why it was undone or refused, or what else matters; a sentence each.
        sentence: The result in one line.
        at: When this was written, ISO 8601 in UTC.
    """

    model_config = ConfigDict(frozen=True)

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

    def write(self, store: str) -> str:
        """Writes this to the run's folder, replacing an earlier one; returns the file."""
        return write_record(self, store, self.run, name=DEPLOYMENT)

    @classmethod
    def read(cls, store: str, run: str) -> DeploymentRecord | None:
        """A run's record; None if there is none.

        Raises:
            ModelwayError: there is one that cannot be read.
            UnavailableError: the store cannot be reached.
            CredentialsError: the store refuses access.
        """
        return read_record(cls, store, run, name=DEPLOYMENT)
