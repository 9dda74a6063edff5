"""`modelway explain`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from modelway.components.core.errors import ModelwayError
from modelway.components.core.evidence.runs import DECISION, LATEST, OUTCOME, Outcome, State, read_outcome
from modelway.components.core.evidence.stop_record import StopRecord
from modelway.components.core.storage.uri import join, write_uri
from modelway.pipelines.cli.explain import recorded_outcome
from modelway.pipelines.cli.main import app


def test_the_run_that_ended_last_is_meant_unless_its_id_is_given(tmp_path: Path) -> None:
    rejected = Outcome(run="run-1", project="loans", state=State.REJECTED)
    rejected.write(str(tmp_path), OUTCOME)
    write_uri(join(str(tmp_path), "runs", LATEST, OUTCOME), rejected.model_dump_json().encode())
    assert recorded_outcome(str(tmp_path), None) == recorded_outcome(str(tmp_path), "run-1") == rejected
    with pytest.raises(ModelwayError, match="has no outcome of the run run-9") as error:
        recorded_outcome(str(tmp_path), "run-9")
    assert error.value.value == "run-9"
    with pytest.raises(ModelwayError, match="has no outcome of any run"):
        recorded_outcome(str(tmp_path / "elsewhere"), None)


def explain(store: Path, run: str, *options: str) -> Result:
    return CliRunner().invoke(app, ["explain", run, "--store", str(store), *options], env={"COLUMNS": "300"})


def test_a_run_that_was_stopped_before_its_outcome_was_recorded_is_explained(store: Path) -> None:
    result = explain(store, "id-4")
    assert result.exit_code == 2
    assert result.output.startswith(
        "The run id-4 was stopped: train_model was terminated: by somebody, by a time limit"
    )
    content = json.loads(explain(store, "id-4", "--json").output)
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
        ("Täglich #3", 2, ("The run Täglich #3 of claims failed: the task train_model failed.",)),
    ],
)
def test_runs_of_earlier_versions_explain_by_their_names(
    run: str, code: int, sentences: tuple[str, ...], old_store: Path
) -> None:
    result = explain(old_store, run)
    assert result.exit_code == code
    assert [sentence for sentence in sentences if sentence not in result.output] == []
    assert json.loads(explain(old_store, run, "--json").output)["run"] == run
    assert explain(old_store, run, "--markdown").output.startswith("### ")
