"""What became of a run, by what was recorded and what the orchestrator says."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from modelway.components.core.records import DECISION, LATEST, OUTCOME, Outcome, RegisteredModel, State
from modelway.components.core.verdict import Gate, passed_or_failed
from modelway.components.notify.outcome import record

PROJECT = yaml.safe_dump(
    {
        "name": "loans",
        "task": "binary",
        "label": "default",
        "data": {"source": "loans.csv"},
        "features": {"numeric": ["income"]},
        "model": {"estimator": "sklearn.tree.DecisionTreeClassifier"},
    }
)
MODEL = RegisteredModel(name="loans", version="4", alias="champion", model_hash="h")
GATE = Gate(name="data", checks=(passed_or_failed("columns", False, "one is missing"),))


def _decided(state: State, error: str = "") -> Outcome:
    model = MODEL if state is State.REGISTERED else None
    return Outcome(
        run="run-1", project="loans", state=state, gates=(GATE,), model=model, error=error, git_commit="then"
    )


@pytest.mark.parametrize(
    ("decided", "state", "message", "becomes", "error"),
    [
        pytest.param(State.REGISTERED, "SUCCEEDED", "", State.REGISTERED, "", id="registered"),
        pytest.param(State.REGISTERED, "COMPLETE", "", State.REGISTERED, "", id="registered, by another word"),
        pytest.param(State.REGISTERED, "FAILED", "out of memory", State.FAILED, "out of memory", id="failed later"),
        pytest.param(
            State.REGISTERED,
            "CANCELLED",
            "",
            State.FAILED,
            "the run ended as CANCELLED",
            id="cancelled after registering",
        ),
        pytest.param(State.REJECTED, "FAILED", "task reject failed", State.REJECTED, "", id="rejected"),
        pytest.param(State.REJECTED, "SUCCEEDED", "", State.REJECTED, "", id="rejected, whatever is said"),
        pytest.param(State.FAILED, "FAILED", "task failed", State.FAILED, "no alias", id="registering failed"),
        pytest.param(None, "FAILED", "no such file", State.FAILED, "no such file", id="no decision"),
        pytest.param(
            None, "FAILED", "", State.FAILED, "the run ended as FAILED before a gate decided", id="no decision, no word"
        ),
        pytest.param(
            None,
            "SUCCEEDED",
            "",
            State.FAILED,
            "the run ended as SUCCEEDED before a gate decided",
            id="success without a decision is none",
        ),
    ],
)
def test_the_record_counts_and_the_orchestrator_adds_what_it_knows(
    decided: State | None, state: str, message: str, becomes: State, error: str, tmp_path: Path
) -> None:
    store = str(tmp_path)
    if decided is not None:
        _decided(decided, "no alias" if decided is State.FAILED else "").write(store, DECISION)
    outcome = record(state, message, PROJECT, "run-1", store, "now")
    assert (outcome.state, outcome.error) == (becomes, error)
    assert (outcome.run, outcome.project) == ("run-1", "loans")
    assert outcome.git_commit == ("now" if decided is None else "then")
    assert outcome.model == (MODEL if becomes is State.REGISTERED else None)
    assert outcome.gates == (() if decided is None else (GATE,))
    assert Outcome.read(store, "run-1", OUTCOME) == outcome


def test_recording_again_changes_nothing(tmp_path: Path) -> None:
    _decided(State.REJECTED).write(str(tmp_path), DECISION)
    first = record("FAILED", "", PROJECT, "run-1", str(tmp_path), "")
    assert record("FAILED", "", PROJECT, "run-1", str(tmp_path), "") == first
    assert sorted(file.name for file in (tmp_path / "runs" / "run-1").iterdir()) == [DECISION, OUTCOME]


def test_each_run_has_a_record_of_its_own(tmp_path: Path) -> None:
    _decided(State.REGISTERED).write(str(tmp_path), DECISION)
    assert record("SUCCEEDED", "", PROJECT, "run-2", str(tmp_path), "").state is State.FAILED
    assert record("SUCCEEDED", "", PROJECT, "run-1", str(tmp_path), "").state is State.REGISTERED


def test_the_last_outcome_is_found_without_its_name(tmp_path: Path) -> None:
    for run in ("run-1", "run-2"):
        record("FAILED", f"{run} broke", PROJECT, run, str(tmp_path), "")
    latest = Outcome.read(str(tmp_path), LATEST, OUTCOME)
    assert latest is not None
    assert (latest.run, latest.error) == ("run-2", "run-2 broke")
