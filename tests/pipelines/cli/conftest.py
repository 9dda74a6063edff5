"""Stores of runs, and a model whose versions were approved and promoted."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from audited_model import AuditedModel, RolledBack

from modelway.components.core.checks import Gate, passed_or_failed
from modelway.components.core.evidence.runs import DECISION, LATEST, OUTCOME, Outcome, RegisteredVersion, State
from modelway.components.core.evidence.stop_record import StopRecord
from modelway.components.core.storage.mlflow import Tracking

ENVIRONMENTS: dict[str, Any] = {"staging": {}, "production": {"after": "staging", "approvals": {"quorum": 1}}}


@pytest.fixture
def audited(tracking: Tracking, release: Callable[..., str], tmp_path: Path) -> AuditedModel:
    """A model of two versions."""
    model = f"audited-{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]}"
    assert [release(model, ENVIRONMENTS, store="") for _ in range(2)] == ["1", "2"]
    return AuditedModel(tracking, str(tmp_path / "store"), model)


@pytest.fixture
def rolled_back(audited: AuditedModel) -> RolledBack:
    """Version 1 is promoted, 2 replaces it, and is rolled back; with the time of each."""
    times = {"before": datetime.now(UTC)}
    for version in ("1", "2"):
        audited.register(version)
        audited.say("promoted", version, "staging")
    audited.approve("1", "bob")
    times["one"] = audited.say("promoted", "1", "production", image="r@sha256:1")
    audited.approve("2", "cyd")
    times["two"] = audited.say("deployed", "2", "production")
    audited.say("promoted", "2", "production", image="r@sha256:2")
    times["back"] = audited.say("rolled-back", "1", "production", reason="complaints of the north branch")
    return audited, times


MODEL = RegisteredVersion(name="loans", version="4", alias="champion", model_hash="h")
BAD = Gate(name="data", checks=(passed_or_failed("columns", False, message="income is missing"),))
OLD_RECORDS = Path(__file__).parents[2] / "core" / "old_records"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """An old run under its name, a rejected one, a registered one, a stopped one, and one that has not ended."""
    outcomes = (
        Outcome(
            run="release-2025", project="loans", state=State.REGISTERED, model=MODEL, at="2025-11-01T05:00:00+00:00"
        ),
        Outcome(
            run="id-1",
            name="weekly",
            project="loans",
            state=State.REJECTED,
            gates=(BAD,),
            at="2026-11-01T05:00:00+00:00",
        ),
        Outcome(
            run="id-2",
            name="weekly",
            project="loans",
            state=State.REGISTERED,
            model=MODEL,
            at="2026-11-08T05:00:00+00:00",
        ),
    )
    for outcome in outcomes:
        outcome.write(str(tmp_path), OUTCOME)
    StopRecord(stage="train_model", at="2026-11-10T05:00:00+00:00").write(str(tmp_path), "id-4")
    StopRecord(stage="probe_model", at="2026-11-11T05:00:00+00:00").write(str(tmp_path), "id-2")
    Outcome(run="id-3", project="loans", state=State.REGISTERED, model=MODEL).write(str(tmp_path), DECISION)
    outcomes[-1].model_copy(update={"run": LATEST}).write(str(tmp_path), OUTCOME)
    return tmp_path


@pytest.fixture
def old_store(tmp_path: Path) -> Path:
    """A store whose records were written by earlier versions, under the runs' names."""
    for file in OLD_RECORDS.iterdir():
        folder = tmp_path / "runs" / json.loads(file.read_text(encoding="utf-8"))["run"]
        folder.mkdir(parents=True)
        shutil.copy(file, folder / OUTCOME)
    return tmp_path
