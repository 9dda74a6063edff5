"""The runs of a store, as `modelway runs` lists them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import Result
from small_projects import edit_yaml, write_small_project
from typer.testing import CliRunner

from modelway.components.core.checks import Gate, passed_or_failed
from modelway.components.core.evidence.runs import (
    DECISION,
    LATEST,
    OUTCOME,
    Outcome,
    RegisteredVersion,
    State,
    read_outcome,
    recorded_runs,
)
from modelway.components.core.evidence.stop_record import StopRecord
from modelway.pipelines.cli.main import app

MODEL = RegisteredVersion(name="loans", version="4", alias="champion", model_hash="h")
BAD = Gate(name="data", checks=(passed_or_failed("columns", False, message="income is missing"),))


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


def test_what_has_not_ended_comes_first_and_then_the_newest(store: Path) -> None:
    assert [(run, outcome.state if outcome else None) for run, outcome in recorded_runs(str(store))] == [
        ("id-3", None),
        ("id-4", State.STOPPED),
        ("id-2", State.REGISTERED),
        ("id-1", State.REJECTED),
        ("release-2025", State.REGISTERED),
    ]


def test_a_store_without_runs_has_none(tmp_path: Path) -> None:
    assert recorded_runs(str(tmp_path / "nowhere")) == []
    printed = CliRunner().invoke(app, ["runs", "--store", str(tmp_path)])
    assert (printed.exit_code, "no run has left records" in printed.output) == (0, True)


def test_they_are_listed_by_name_id_state_and_version(store: Path) -> None:
    printed = CliRunner().invoke(app, ["runs", "--store", str(store), "--json"])
    rows = json.loads(printed.output)
    assert [(row["run"], row["name"], row["state"], row["version"]) for row in rows] == [
        ("id-3", "", "no outcome", ""),
        ("id-4", "", "stopped", ""),
        ("id-2", "weekly", "registered", "4"),
        ("id-1", "weekly", "rejected", ""),
        ("release-2025", "", "registered", "4"),
    ]
    assert rows[1]["error"].startswith("train_model was terminated")
    assert rows[3]["error"] == "columns: income is missing"


@pytest.mark.parametrize(("last", "count"), [("1", 1), ("0", 5)])
def test_only_so_many_are_listed(last: str, count: int, store: Path) -> None:
    printed = CliRunner().invoke(app, ["runs", "--store", str(store), "--last", last, "--json"])
    assert len(json.loads(printed.output)) == count


def test_people_read_a_table(store: Path) -> None:
    printed = CliRunner().invoke(app, ["runs", "--store", str(store)], env={"COLUMNS": "160"})
    assert printed.exit_code == 0
    for text in ("weekly", "id-2", "registered", "stopped", "no outcome", "income is missing"):
        assert text in printed.output


# ---- what `modelway explain` says of them


def explained(store: Path, run: str, *options: str) -> Result:
    return CliRunner().invoke(app, ["explain", run, "--store", str(store), *options], env={"COLUMNS": "300"})


def test_a_run_that_was_stopped_before_its_outcome_was_recorded_is_explained(store: Path) -> None:
    printed = explained(store, "id-4")
    assert printed.exit_code == 2
    assert printed.output.startswith(
        "The run id-4 was stopped: train_model was terminated: by somebody, by a time limit"
    )
    content = json.loads(explained(store, "id-4", "--json").output)
    assert (content["state"], content["model"]) == ("stopped", None)


@pytest.mark.parametrize(
    ("state", "error"),
    [(State.REGISTERED, "package_model was terminated"), (State.FAILED, "registering failed: no alias")],
)
def test_what_was_decided_before_it_was_stopped_stays(state: State, error: str, tmp_path: Path) -> None:
    own = "registering failed: no alias" if state is State.FAILED else ""
    Outcome(run="id-5", project="loans", state=state, error=own).write(str(tmp_path), DECISION)
    StopRecord(stage="package_model").write(str(tmp_path), "id-5")
    outcome = read_outcome(str(tmp_path), "id-5")
    assert outcome is not None
    assert (outcome.state, outcome.project) == (state, "loans")
    assert outcome.error.startswith(error)


OLD_RECORDS = Path(__file__).parents[2] / "core" / "old_records"


@pytest.fixture
def old_store(tmp_path: Path) -> Path:
    """A store whose records were written by earlier versions, under the runs' names."""
    for file in OLD_RECORDS.iterdir():
        folder = tmp_path / "runs" / json.loads(file.read_text(encoding="utf-8"))["run"]
        folder.mkdir(parents=True)
        shutil.copy(file, folder / OUTCOME)
    return tmp_path


def test_runs_of_earlier_versions_are_listed_by_their_names(old_store: Path) -> None:
    printed = CliRunner().invoke(app, ["runs", "--store", str(old_store), "--json"])
    assert [
        (row["run"], row["name"], row["state"], row["version"], row["error"]) for row in json.loads(printed.output)
    ] == [
        ("Täglich #3", "", "failed", "", "the task train_model failed"),
        ("claims-release-x7k2p", "", "registered", "7", ""),
        ("release 2026-11-20", "", "rejected", "", "nulls[age]: 3 of 600 rows are null"),
    ]


@pytest.mark.parametrize(
    ("run", "code", "sentences"),
    [
        (
            "release 2026-11-20",
            1,
            (
                "claims was not blessed in release 2026-11-20: 1 check blocks it.",
                "The data gate's nulls[age] failed (blocks): 3 of 600 rows are null.",
                "Not reached: the model and the serving gates.",
            ),
        ),
        (
            "claims-release-x7k2p",
            0,
            (
                "claims was blessed in claims-release-x7k2p: it is version 7, 'champion'.",
                "The model gate's no_regression is inconclusive (warns): there is no champion.",
                "The serving gate is disabled by the policy",
            ),
        ),
        ("Täglich #3", 2, ("claims did not complete Täglich #3: the task train_model failed.",)),
    ],
)
def test_runs_of_earlier_versions_explain_by_their_names(
    run: str, code: int, sentences: tuple[str, ...], old_store: Path
) -> None:
    printed = explained(old_store, run)
    assert printed.exit_code == code
    assert [sentence for sentence in sentences if sentence not in printed.output] == []
    assert json.loads(explained(old_store, run, "--json").output)["run"] == run
    assert explained(old_store, run, "--markdown").output.startswith("### ")


SLOW = """\
import time
from pathlib import Path


def fit(features, label, at, **_):
    Path(at).touch()
    time.sleep(60)
"""


@pytest.mark.runs
def test_a_run_that_is_interrupted_here_was_stopped(tmp_path: Path) -> None:
    folder, at = write_small_project(tmp_path), tmp_path / "at work"
    (folder / "slow.py").write_text(SLOW, encoding="utf-8")
    keys = {"model.estimator": None, "model.entrypoint": "slow:fit", "model.parameters": {"at": str(at)}}
    edit_yaml(folder / "project.yaml", keys)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MODELWAY_", "MLFLOW_"))}
    command = [sys.executable, "-m", "modelway.pipelines.cli", "run", str(folder)]
    process = subprocess.Popen(command, env=clean, start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not at.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    ((_, outcome),) = recorded_runs(str(folder / ".modelway"))
    assert outcome is not None
    assert outcome.state is State.STOPPED
    assert outcome.error.startswith("train_model was terminated")
