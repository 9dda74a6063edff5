"""The release pipeline on the backend without a cluster: what its users are promised, as far as no cluster is needed.

Its runs are a schedule's: the same arguments each time, an empty name, and other things at the same addresses.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol, get_args

import pytest
from backend import Backend, Run, compiled
from backend_graph import Graph

from modelway.components.core.evidence.files import BLESSING_FILE
from modelway.components.core.evidence.runs import DECISION, LATEST, OUTCOME, Outcome, ReleaseGoal, State
from modelway.components.core.storage.mlflow import Tracking
from modelway.pipelines.release import release_pipeline

pytestmark = pytest.mark.runs

JUDGING = ("ingest-data", "validate-data", "prepare-features", "train-model", "evaluate-model", "probe-model")
EXIT = "record-outcome"


class Releases(Protocol):
    """See `conftest`."""

    backend: Backend
    store: Path
    tracking: Tracking
    first: Run
    unchanged: Run
    bad_data: Run
    bad_model: Run
    bad_serving: Run
    killed: Run
    stopped: Run
    no_data: Run
    retried: Run
    nameless: Run
    new_data: Run

    def outcome(self, run: Run) -> Outcome: ...
    def versions(self) -> dict[str, list[str]]: ...
    def training_runs(self) -> dict[str, str]: ...


def stored_files(releases: Releases, run: Run) -> set[str]:
    """The files in a run's folder of the store."""
    return {file.name for file in (releases.store / "runs" / run.identifier).iterdir()}


def blessing(releases: Releases, run: Run) -> dict[str, object]:
    content = (releases.store / "runs" / run.identifier / BLESSING_FILE).read_text(encoding="utf-8")
    return dict(json.loads(content))


def error_of(run: Run, task: str) -> dict[str, str]:
    """The error's fields, in one, that a task failed with."""
    record = json.loads(run.tasks[task].error)
    return {"kind": record["kind"], **record["error"]}


def states_of(run: Run, *tasks: str) -> set[str]:
    return {run.states[task] for task in tasks}


@pytest.mark.parametrize("goal", get_args(ReleaseGoal))
def test_the_pipeline_is_one_flat_graph(goal: ReleaseGoal) -> None:
    graph = Graph.read(compiled(release_pipeline(goal)))
    assert {*JUDGING, "resolve-inputs", "enforce-gate", "register-model"} <= set(graph.tasks)
    assert graph.exit_task.name == EXIT


def test_a_registered_run_is_recorded_under_its_id(releases: Releases) -> None:
    run = releases.first
    assert run.state == "SUCCEEDED", {name: task.error for name, task in run.tasks.items()}
    assert states_of(run, *run.tasks) == {"SUCCEEDED"}
    outcome = releases.outcome(run)
    assert (outcome.run, outcome.name, outcome.state, outcome.error) == (run.identifier, "Monday", "registered", "")
    assert outcome.model is not None
    assert (outcome.model.version, outcome.model.alias) == ("1", "champion")
    assert stored_files(releases, run) >= {DECISION, OUTCOME, BLESSING_FILE, "data.html", "model.html", "serving.html"}
    assert blessing(releases, run)["run"] == run.identifier
    assert run.tasks[EXIT].parameters["Output"] == "registered"


def test_the_exit_task_leaves_the_page_to_open(releases: Releases) -> None:
    for run, words in ((releases.first, "visits"), (releases.bad_data, "Bonn")):
        location = run.tasks[EXIT].artifacts["summary"]
        assert words in releases.backend.content(location).read_text(encoding="utf-8")


def test_nothing_new_is_judged_from_cache_and_registered_once(releases: Releases) -> None:
    run, before = releases.unchanged, releases.first
    assert run.state == "SUCCEEDED"
    assert states_of(run, *JUDGING) == {"CACHED"}
    assert states_of(run, "resolve-inputs", "enforce-gate", "register-model", EXIT) == {"SUCCEEDED"}
    outcome = releases.outcome(run)
    assert (outcome.run, outcome.name, outcome.state) == (run.identifier, "", State.REGISTERED)
    assert outcome.model is not None
    assert outcome.model.version == "1"
    assert stored_files(releases, run) == stored_files(releases, before)
    assert run.tasks["register-model"].parameters == before.tasks["register-model"].parameters
    assert releases.outcome(before).name == "Monday"
    assert "outcome.json" not in {file.name for file in (releases.store / "runs").iterdir()}


def test_rejected_data_ends_the_run_at_its_gate(releases: Releases) -> None:
    run = releases.bad_data
    assert run.state == "FAILED"
    assert states_of(run, "resolve-inputs", "ingest-data", "validate-data", "prepare-features", EXIT) == {"SUCCEEDED"}
    assert run.states["enforce-gate"] == "FAILED"
    assert states_of(run, "train-model", "evaluate-model", "probe-model", "register-model") == {"OMITTED"}
    error = error_of(run, "enforce-gate")
    assert error["kind"] == "RejectedError"
    assert "categories[city]" in error["message"]
    assert_rejected(releases, run, gates=["data"])


def test_a_champion_is_compared_with_that_nobody_named(releases: Releases) -> None:
    run = releases.bad_model
    assert states_of(run, *JUDGING) == {"SUCCEEDED"}
    reasons = " ".join(releases.outcome(run).reasons)
    assert "champion version 1" in reasons
    assert "policy[model.metrics.roc_auc.min]" in reasons
    assert blessing(releases, run)["compared_with"] == "1"


def test_a_rejected_model_ends_the_run_where_it_would_be_registered(releases: Releases) -> None:
    run = releases.bad_model
    assert run.state == "FAILED"
    assert run.states["register-model"] == "FAILED"
    assert states_of(run, "enforce-gate", EXIT) == {"SUCCEEDED"}
    assert "no_regression[roc_auc]" in error_of(run, "register-model")["message"]
    assert_rejected(releases, run, gates=["data", "model", "serving"])


def test_rejected_serving_ends_the_run_where_the_model_would_be_registered(releases: Releases) -> None:
    run = releases.bad_serving
    assert states_of(run, "ingest-data", "prepare-features", "train-model") == {"CACHED"}
    assert states_of(run, "validate-data", "evaluate-model", "probe-model", EXIT) == {"SUCCEEDED"}
    assert run.states["register-model"] == "FAILED"
    assert "latency[p50]" in error_of(run, "register-model")["message"]
    assert_rejected(releases, run, gates=["data", "model", "serving"])


def assert_rejected(releases: Releases, run: Run, *, gates: list[str]) -> None:
    """The store has the decision with its reasons, the blessing that was refused, and each gate's report."""
    outcome = releases.outcome(run)
    assert (outcome.run, outcome.state) == (run.identifier, State.REJECTED)
    assert outcome.reasons
    assert outcome.model is None
    assert [gate.name for gate in outcome.gates] == gates
    assert set(outcome.reports) == {*gates, "card"}
    assert all(Path(report).is_file() for report in outcome.reports.values())
    assert stored_files(releases, run) >= {DECISION, OUTCOME, BLESSING_FILE, *(f"{gate}.html" for gate in gates)}
    assert blessing(releases, run)["blessed"] is False


def training_status(releases: Releases, run: Run) -> list[str]:
    """The status of what a run trained, in MLflow."""
    experiment = releases.tracking.client.get_experiment_by_name("visits")
    return [
        training.info.status
        for training in releases.tracking.client.search_runs([experiment.experiment_id])
        if training.data.tags.get("modelway.pipeline_run") == run.identifier
    ]


def test_a_training_that_is_killed_ends_its_mlflow_run(releases: Releases) -> None:
    run = releases.killed
    assert run.states["train-model"] == "FAILED"
    assert run.states["register-model"] == "OMITTED"
    outcome = releases.outcome(run)
    assert outcome.state is State.FAILED
    assert "before a gate decided" in outcome.error
    assert training_status(releases, run) == ["FAILED"]
    assert "RUNNING" not in releases.training_runs().values()


def test_a_training_that_is_told_to_end_leaves_a_run_that_was_stopped(releases: Releases) -> None:
    run = releases.stopped
    assert run.states["train-model"] == "FAILED"
    assert run.states["register-model"] == "OMITTED"
    assert run.states["record-outcome"] == "SUCCEEDED"
    outcome = releases.outcome(run)
    assert (outcome.state, outcome.project) == (State.STOPPED, "visits")
    assert "train_model was terminated" in outcome.error
    assert training_status(releases, run) == ["KILLED"]
    assert stored_files(releases, run) == {"stopped.json", "outcome.json"}


def test_a_retried_run_keeps_its_id_and_its_earlier_end(releases: Releases) -> None:
    failed, retried = releases.no_data, releases.retried
    assert failed.states["resolve-inputs"] == "FAILED"
    assert states_of(failed, *JUDGING) == {"OMITTED"}
    assert failed.states[EXIT] == "SUCCEEDED"
    assert "visits.csv" in error_of(failed, "resolve-inputs")["file"]
    assert retried.identifier == failed.identifier
    assert retried.state == "SUCCEEDED"
    outcome = releases.outcome(retried)
    assert outcome.state is State.REGISTERED
    assert [attempt.state for attempt in outcome.attempts] == [State.FAILED]
    assert outcome.attempts[0].error


def test_a_run_without_an_id_is_refused_by_its_first_task(releases: Releases) -> None:
    run = releases.nameless
    assert run.states["resolve-inputs"] == "FAILED"
    assert states_of(run, *JUDGING, "enforce-gate", "register-model") == {"OMITTED"}
    error = error_of(run, "resolve-inputs")
    assert error["key"] == "run"
    assert "modelway compile" in error["remedy"]
    assert error_of(run, EXIT) == error
    assert all(file.is_dir() for file in (releases.store / "runs").iterdir()), "a record that is no run's"


def test_changed_data_at_the_same_address_is_judged_and_registered(releases: Releases) -> None:
    before = releases.versions() if releases.retried else {}
    assert before == {"1": ["champion", "development"]}
    run = releases.new_data
    assert run.state == "SUCCEEDED", {name: task.error for name, task in run.tasks.items()}
    assert states_of(run, *JUDGING) == {"SUCCEEDED"}
    assert blessing(releases, run)["compared_with"] == "1"
    assert releases.versions() == {"2": ["champion", "development"], "1": []}
    assert run.tasks["register-model"].parameters == {"name": "visits", "version": "2"}
    latest = Outcome.read(str(releases.store), LATEST, file=OUTCOME)
    assert latest is not None
    assert latest.run == run.identifier
