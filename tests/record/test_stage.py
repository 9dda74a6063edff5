"""What became of a run, by what its own stages recorded and how far it was compiled to go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from user_files import minimal_project_text

from modelway.components.core.checks import Gate, passed_or_failed
from modelway.components.core.errors import ModelwayError
from modelway.components.core.evidence.runs import (
    DECISION,
    LATEST,
    OUTCOME,
    DeploymentRecord,
    Outcome,
    PackageRecord,
    RegisteredVersion,
    RunContext,
    State,
)
from modelway.components.core.evidence.stop_record import StopRecord
from modelway.components.record.stage import record

PROJECT = minimal_project_text(label="default")
MODEL = RegisteredVersion(name="loans", version="4", alias="champion", model_hash="h")
GATE = Gate(name="data", checks=(passed_or_failed("columns", False, message="one is missing"),))
IMAGE = "registry.example/loans@sha256:" + "a" * 64
UNDECIDED = "the run ended before a gate decided; the task that failed says why in its log"


def _context(store: Path, run: str = "id-1") -> RunContext:
    return RunContext(run=run, store=str(store), name="weekly", git_commit="now")


def _decision(state: State, run: str = "id-1", error: str = "") -> Outcome:
    model = MODEL if state is State.REGISTERED else None
    return Outcome(run=run, project="loans", state=state, gates=(GATE,), model=model, error=error)


def _deployment(verdict: str, environment: str = "staging") -> DeploymentRecord:
    return DeploymentRecord.model_validate(
        {
            "run": "id-1",
            "model": "loans",
            "version": "4",
            "environment": environment,
            "verdict": verdict,
            "image": IMAGE,
            "restored": "",
            "reasons": () if verdict == "promoted" else ("requests is 0",),
            "sentence": f"version 4 of loans was {verdict} in {environment}",
            "at": "2026-11-26T21:00:00+00:00",
        }
    )


@pytest.mark.parametrize(
    ("goal", "decision", "packaged", "verdict", "state", "error"),
    [
        pytest.param("registered", State.REGISTERED, False, "", State.REGISTERED, "", id="registered"),
        pytest.param("registered", State.REJECTED, False, "", State.REJECTED, "", id="rejected"),
        pytest.param("registered", None, False, "", State.FAILED, UNDECIDED, id="no decision"),
        pytest.param("staging", None, False, "", State.FAILED, UNDECIDED, id="no decision, staging"),
        pytest.param("packaged", State.REJECTED, False, "", State.REJECTED, "", id="rejected before packaging"),
        pytest.param("packaged", State.REGISTERED, True, "", State.REGISTERED, "", id="packaged"),
        pytest.param(
            "packaged", State.REGISTERED, False, "", State.REGISTERED, "packaging did not finish", id="not packaged"
        ),
        pytest.param(
            "staging", State.REGISTERED, True, "", State.REGISTERED, "staging did not finish", id="not in staging"
        ),
        pytest.param("staging", State.REGISTERED, True, "promoted", State.REGISTERED, "", id="in staging"),
        pytest.param(
            "staging",
            State.REGISTERED,
            True,
            "undone",
            State.REGISTERED,
            "version 4 of loans was undone in staging",
            id="undone in staging",
        ),
        pytest.param("promoted", None, False, "promoted", State.PROMOTED, "", id="promoted"),
        pytest.param("promoted", None, False, "undone", State.UNDONE, "requests is 0", id="undone"),
        pytest.param("promoted", None, False, "refused", State.REFUSED, "requests is 0", id="refused"),
    ],
)
def test_the_records_are_compared_with_how_far_the_run_was_to_go(
    goal: str, decision: State | None, packaged: bool, verdict: str, state: State, error: str, tmp_path: Path
) -> None:
    if decision is not None:
        _decision(decision).write(str(tmp_path), DECISION)
    if packaged:
        PackageRecord(image=IMAGE).write(str(tmp_path), "id-1")
    if verdict:
        _deployment(verdict).write(str(tmp_path), "id-1")
    subject = {"model": "loans"} if goal == "promoted" else {"project": PROJECT}
    outcome = record(goal, context=_context(tmp_path), **subject)
    assert (outcome.state, outcome.error) == (state, error)
    assert (outcome.run, outcome.name, outcome.project, outcome.git_commit) == ("id-1", "weekly", "loans", "now")
    assert outcome.model == (MODEL if decision is State.REGISTERED else None)
    assert outcome.image == (IMAGE if packaged else "")
    assert (outcome.deployment.verdict if outcome.deployment else "") == verdict
    assert Outcome.read(str(tmp_path), "id-1", file=OUTCOME) == outcome


def test_a_promotion_that_was_killed_has_no_verdict(tmp_path: Path) -> None:
    outcome = record("promoted", context=_context(tmp_path), model="loans")
    assert outcome.state is State.FAILED
    assert "before the version was promoted, undone or refused" in outcome.error


TOLD = "train_model was terminated: by somebody, by a time limit, or because its node went away"


@pytest.mark.parametrize(
    ("goal", "decision", "packaged", "verdict", "state", "error"),
    [
        pytest.param("registered", None, False, "", State.STOPPED, TOLD, id="before a decision"),
        pytest.param("promoted", None, False, "", State.STOPPED, TOLD, id="a promotion"),
        pytest.param("registered", State.REJECTED, False, "", State.REJECTED, "", id="after it was rejected"),
        pytest.param("registered", State.REGISTERED, False, "", State.REGISTERED, "", id="after all was done"),
        pytest.param("promoted", None, False, "promoted", State.PROMOTED, "", id="after it was promoted"),
        pytest.param(
            "packaged",
            State.REGISTERED,
            False,
            "",
            State.REGISTERED,
            f"packaging did not finish: {TOLD}",
            id="before it was packaged",
        ),
        pytest.param(
            "staging",
            State.REGISTERED,
            True,
            "",
            State.REGISTERED,
            f"staging did not finish: {TOLD}",
            id="before it was in staging",
        ),
    ],
)
def test_a_run_that_was_stopped(
    goal: str, decision: State | None, packaged: bool, verdict: str, state: State, error: str, tmp_path: Path
) -> None:
    StopRecord(stage="train_model").write(str(tmp_path), "id-1")
    if decision is not None:
        _decision(decision).write(str(tmp_path), DECISION)
    if packaged:
        PackageRecord(image=IMAGE).write(str(tmp_path), "id-1")
    if verdict:
        _deployment(verdict).write(str(tmp_path), "id-1")
    outcome = record(goal, context=_context(tmp_path), project=PROJECT)
    assert (outcome.state, outcome.error, outcome.project) == (state, error, "loans")


def test_a_run_that_was_stopped_and_is_retried_is_not_stopped_again(tmp_path: Path) -> None:
    StopRecord(stage="train_model").write(str(tmp_path), "id-1")
    first = record("registered", context=_context(tmp_path), project=PROJECT)
    second = record("registered", context=_context(tmp_path), project=PROJECT)
    StopRecord(stage="probe_model", at="2126-11-27T00:00:00+00:00").write(str(tmp_path), "id-1")
    third = record("registered", context=_context(tmp_path), project=PROJECT)
    assert [outcome.state for outcome in (first, second, third)] == [State.STOPPED, State.FAILED, State.STOPPED]
    assert [attempt.state for attempt in third.attempts] == [State.STOPPED, State.FAILED]
    assert third.error.startswith("probe_model was terminated")


def test_what_failed_at_registering_is_said(tmp_path: Path) -> None:
    _decision(State.FAILED, error="registering failed: no alias").write(str(tmp_path), DECISION)
    outcome = record("registered", context=_context(tmp_path), project=PROJECT)
    assert (outcome.state, outcome.error) == (State.FAILED, "registering failed: no alias")


def test_a_run_that_is_retried_keeps_its_id_and_lists_its_attempts(tmp_path: Path) -> None:
    first = record("registered", context=_context(tmp_path), project=PROJECT)
    _decision(State.REJECTED).write(str(tmp_path), DECISION)
    second = record("registered", context=_context(tmp_path), project=PROJECT)
    _decision(State.REGISTERED).write(str(tmp_path), DECISION)
    third = record("registered", context=_context(tmp_path), project=PROJECT)
    assert first.attempts == ()
    assert [attempt.state for attempt in third.attempts] == [State.FAILED, State.REJECTED]
    assert third.attempts[0].error == UNDECIDED
    assert third.attempts[:1] == second.attempts
    assert third.state is State.REGISTERED


def test_each_run_has_a_record_of_its_own_whatever_its_name(tmp_path: Path) -> None:
    _decision(State.REGISTERED).write(str(tmp_path), DECISION)
    states = [record("registered", context=_context(tmp_path, run), project=PROJECT).state for run in ("id-2", "id-1")]
    assert states == [State.FAILED, State.REGISTERED]


def test_the_last_outcome_is_found_without_its_id(tmp_path: Path) -> None:
    for run in ("id-1", "id-2"):
        record("registered", context=_context(tmp_path, run), project=PROJECT)
    latest = Outcome.read(str(tmp_path), LATEST, file=OUTCOME)
    assert latest is not None
    assert latest.run == "id-2"


def test_a_project_file_that_cannot_be_read_is_what_the_run_failed_of(tmp_path: Path) -> None:
    outcome = record("registered", context=_context(tmp_path), project="name: [")
    assert (outcome.state, outcome.project) == (State.FAILED, "")


@pytest.mark.parametrize("file", [DECISION, OUTCOME, "package.json"])
def test_a_damaged_record_is_named(file: str, tmp_path: Path) -> None:
    path = tmp_path / "runs" / "id-1" / file
    path.parent.mkdir(parents=True)
    path.write_text('{"state": "regis', encoding="utf-8")
    with pytest.raises(ModelwayError, match="is damaged") as error:
        record("registered", context=_context(tmp_path), project=PROJECT)
    assert error.value.file == str(path)


def test_a_goal_that_no_pipeline_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelwayError, match="no pipeline has the goal 'moon'") as error:
        record("moon", context=_context(tmp_path))
    assert "staging" in error.value.remedy


@pytest.mark.parametrize("was_stopped", [False, True])
def test_training_that_a_killed_task_left_running_is_ended(
    was_stopped: bool, tmp_path: Path, tracking: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
    run_id = tracking._start_run("loans", "train", tags={"modelway.pipeline_run": "id-1"})
    if was_stopped:
        StopRecord(stage="train_model").write(str(tmp_path), "id-1")
    record("registered", context=_context(tmp_path), project=PROJECT)
    assert tracking.client.get_run(run_id).info.status == ("KILLED" if was_stopped else "FAILED")
