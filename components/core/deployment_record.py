"""What became of a run's deployment, in the project's store."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class DeploymentRecord(BaseModel):
    """Stand-in until merged."""

    model_config = ConfigDict(frozen=True)

    run: str
    model: str
    version: str
    environment: str
    verdict: Literal["promoted", "rolled-back", "undone", "refused"]
    image: str
    restored: str
    reasons: tuple[str, ...]
    sentence: str
    at: str

    @classmethod
    def read(cls, store: str, run: str) -> DeploymentRecord | None:
        return None
