"""What became of a deployment, kept in the store: the outputs of a task that fails are lost on a backend.

Below the store's root, ``runs/<run>/deployment.json`` holds the record of the run's latest deployment.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from modelway.components.core.storage.run_files import read_record, record_file
from modelway.components.core.storage.uri import write_uri

DEPLOYMENT = "deployment.json"
DeploymentResult = Literal["promoted", "rolled-back", "undone", "refused"]


class DeploymentRecord(BaseModel):
    """What became of a run's deployment.

    Attributes:
        run: The run that deployed.
        model: The registered model's name.
        version: The version that was to serve.
        environment: Where.
        verdict: ``promoted`` and ``rolled-back``: the version serves; ``undone``: it was tried, and what served before
            serves again; ``refused``: nothing was touched.
        image: Its image by digest; empty where none is known.
        restored: The image that serves again; empty where nothing was undone, or there was nothing to go back to.
        reasons: Why it was undone or refused, or what else there is to know; a sentence each.
        sentence: The verdict in one line.
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
        """Writes this below the run's folder in place of an earlier one; returns where."""
        target = record_file(store, self.run, name=DEPLOYMENT)
        write_uri(target, self.model_dump_json(indent=2).encode())
        return target

    @classmethod
    def read(cls, store: str, run: str) -> DeploymentRecord | None:
        """A run's record; None if there is none.

        Raises:
            ModelwayError: there is one that cannot be read.
            UnavailableError: the store cannot be reached.
            CredentialsError: the store refuses access.
        """
        return read_record(
            cls,
            record_file(store, run, name=DEPLOYMENT),
            damage="is no record of a deployment: it is damaged, or of another version of Modelway",
            remedy="see who wrote it; the audit log (`modelway history`) says what became of the deployment",
        )
