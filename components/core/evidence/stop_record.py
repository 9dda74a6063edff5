"""The record, in the store, that a run was stopped while a stage was running.

Below the store's root, ``runs/<run>/stopped.json`` is written by the stage that was terminated last, and over it by the
command that runs all stages, if that was interrupted. A run that was retried, or had been decided, has later records,
which count more.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from signal import Signals

from pydantic import Field

from modelway.components.core.errors import interruption
from modelway.components.core.storage.mlflow import RUN_VARIABLE
from modelway.components.core.storage.run_files import RunRecord, store_of


class StopRecord(RunRecord):
    """The record that a run was stopped.

    Attributes:
        stage: The component that was running, such as ``train_model``.
        signal: What the command that ran it got, such as ``SIGINT``; empty where the stage alone was terminated.
        at: When it was terminated, ISO 8601 in UTC.
    """

    file = "stopped.json"

    stage: str
    signal: str = ""
    at: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def sentence(self) -> str:
        """What happened; a process does not learn who terminates it, but Ctrl-C is of whoever began the run."""
        if self.signal:
            return f"interrupted at {self.stage} by {interruption(Signals[self.signal])}"
        return f"{self.stage} was terminated: by somebody, by a time limit, or because its node went away"


def record_stop(arguments: Sequence[str]) -> None:
    """Records that the task of these arguments of KFP's executor was terminated, if it has a run and a store."""
    stage = arguments[arguments.index("--function_to_execute") + 1]
    inputs = json.loads(arguments[arguments.index("--executor_input") + 1]).get("inputs", {}).get("parameterValues", {})
    run = os.environ.get(RUN_VARIABLE) or inputs.get("run")
    store = inputs.get("store") or store_of(str(inputs.get("project")))
    if run and store:
        StopRecord(stage=stage).write(store, run)
