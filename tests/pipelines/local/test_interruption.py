"""A run that is told to end: by Ctrl-C, by SIGTERM, or killed outright, wherever it is."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import TimeoutExpired

import pytest
from processes import Command
from small_projects import edit_yaml, write_small_project

from modelway.components.core.evidence.explanation import headline
from modelway.components.core.evidence.runs import LATEST, Outcome, State, recorded_runs
from modelway.components.core.storage.mlflow import PIPELINE_RUN_TAG, Tracking

# Waits at the file that it is named, where it is there; of what else compiled code does, it knows no signals.
TRAINING = """\
import signal
import time
from pathlib import Path

from sklearn.tree import DecisionTreeClassifier


def fit(features, label, at, deaf):
    if deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if Path(at).parent.exists() and len(features) > 50:  # and not in the call on made-up rows
        Path(at).touch()
        time.sleep(60)
    return DecisionTreeClassifier(max_depth=3).fit(features, label)
"""


@dataclass(frozen=True)
class Place:
    """A project, whose training waits while `waits` is there, and its home."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def waits(self) -> Path:
        return self.folder / "waits"

    def begin(self, *arguments: str) -> Command:
        return Command("run", "--home", self.home, *arguments, folder=self.folder)

    @contextmanager
    def training(self, *arguments: str, deaf: bool = False) -> Iterator[Command]:
        """A run while it trains, which it does for a minute."""
        edit_yaml(self.folder / "project.yaml", {"model.parameters.deaf": deaf})
        self.waits.mkdir()
        command = self.begin(*arguments)
        command.wait_for((self.waits / "at").exists)
        yield command
        shutil.rmtree(self.waits)
        edit_yaml(self.folder / "project.yaml", {"model.parameters.deaf": False})

    def outcomes(self) -> dict[str, Outcome | None]:
        return dict(recorded_runs(str(self.home)))

    def mlflow_status(self, run: str) -> set[str]:
        client = Tracking(f"sqlite:///{self.home / 'mlflow.db'}").client
        experiment = client.get_experiment_by_name("visits")
        assert experiment is not None
        runs = client.search_runs([experiment.experiment_id], filter_string=f"tags.`{PIPELINE_RUN_TAG}` = '{run}'")
        return {run.info.status for run in runs}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = write_small_project(tmp_path_factory.mktemp("interrupted"))
    (folder / "own.py").write_text(TRAINING, encoding="utf-8")
    parameters = {"at": str(folder / "waits" / "at"), "deaf": False}
    edit_yaml(folder / "project.yaml", {"model": {"entrypoint": "own:fit", "parameters": parameters}})
    return Place(folder)


def test_ctrl_c_before_the_first_stage_ends_with_one_line_and_records_nothing(place: Place) -> None:
    command = place.begin()
    command.wait_for(lambda: command.processes("pipelines.local.worker"))
    command.process.send_signal(signal.SIGINT)
    code, output, errors = command.ended()
    assert (code, output) == (130, "")
    assert errors.strip() == "interrupted by Ctrl-C; run it again"
    assert command.is_gone_within(2)
    assert list(command.temporary.iterdir()) == []
    assert place.outcomes() == {}


@pytest.mark.runs
def test_ctrl_c_in_a_stage_is_recorded_and_leaves_nothing(place: Place) -> None:
    with place.training() as command:
        command.process.send_signal(signal.SIGINT)
        code, output, errors = command.ended()
    assert (code, output) == (130, "")
    (line,) = [line for line in errors.splitlines() if "interrupted" in line]
    assert line.startswith("interrupted at train_model; nothing was registered; run again")
    assert "Traceback" not in errors
    assert command.is_gone_within(2)
    assert list(command.temporary.iterdir()) == []
    ((run, outcome),) = place.outcomes().items()
    assert outcome is not None
    assert outcome.state is State.INTERRUPTED
    assert headline(outcome) == f"The run {run} of visits was interrupted at train_model by Ctrl-C."
    assert Outcome.read(str(place.home), LATEST, file="outcome.json") == outcome
    assert place.mlflow_status(run) == {"KILLED"}


@pytest.mark.runs
def test_sigterm_ends_a_stage_that_hears_nothing_too(place: Place) -> None:
    with place.training("--json", deaf=True) as command:
        command.process.send_signal(signal.SIGTERM)
        code, output, _ = command.ended()
    summary = json.loads(output)
    assert (code, summary["state"], summary["error"]["stage"]) == (143, "interrupted", "train_model")
    assert summary["model"] is None
    assert command.is_gone_within(2)
    assert list(command.temporary.iterdir()) == []
    outcome = place.outcomes()[summary["run"]]
    assert outcome is not None
    assert outcome.error == "interrupted at train_model by SIGTERM"
    assert place.mlflow_status(summary["run"]) == {"KILLED"}


@pytest.mark.runs
def test_a_second_ctrl_c_ends_at_once_and_leaves_no_process(place: Place) -> None:
    with place.training(deaf=True) as command:
        command.process.send_signal(signal.SIGINT)
        with pytest.raises(TimeoutExpired):
            command.process.wait(0.5)
        command.process.send_signal(signal.SIGINT)
        assert command.ended(2)[0] == 130
    assert command.is_gone_within(2)


def wait_for_the_server(command: Command) -> None:
    command.wait_for(lambda: command.processes("modelway.components.serve"))


@pytest.mark.runs
@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda process: process.kill(), id="killed"),
        pytest.param(lambda process: process.terminate(), id="terminated"),
    ],
)
def test_the_model_server_does_not_outlive_its_run(end: Callable[..., None], place: Place) -> None:
    earlier = place.outcomes()
    command = place.begin()
    wait_for_the_server(command)
    assert len(command.processes()) >= 4  # the command, the worker, its stage and the server
    end(command.process)
    code, _, errors = command.ended()
    assert command.is_gone_within(2)
    states = [outcome and outcome.state for run, outcome in place.outcomes().items() if run not in earlier]
    if code == -signal.SIGKILL:
        assert states == []
    else:
        assert (code, states) == (143, [State.INTERRUPTED])
        assert "interrupted at probe_model; nothing was registered" in errors


@pytest.mark.runs
def test_a_run_that_was_interrupted_goes_on_from_what_it_had(place: Place) -> None:
    command = place.begin("--json")
    code, output, errors = command.ended(120)
    assert code == 0, errors
    summary = json.loads(output)
    assert {"ingest_data", "train_model"} <= set(summary["cached"])
    assert summary["model"]["version"] == "1"
