"""MLflow runs end with what they record, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from requests.exceptions import ConnectionError as NoConnectionError

from modelway.components.core.errors import CredentialsError, ModelwayError, NotFoundError, UnavailableError
from modelway.components.core.storage.mlflow import Tracking

URI = "http://ada:secret@mlflow:5000"
BUSY = """
import os, sys, threading
from modelway.components.core.storage.mlflow import Tracking
if os.environ.get("INJECTED"):
    os.environ["MLFLOW_RUN_ID"] = os.environ["INJECTED"]
tracking = Tracking(sys.argv[1])
with tracking.run(sys.argv[2], "train", tags={"data_hash": "abc"}) as run_id:
    with tracking.logged_model(run_id, "model", params={}) as (model_id, _):
        print(run_id, model_id, flush=True)
        threading.Event().wait(60)
print("not reached")
"""


@pytest.fixture
def experiment() -> str:
    return f"loans-{uuid.uuid4()}"


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODELWAY_RUN", "MLFLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def training(
    tracking: Tracking, experiment: str, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """Another process in the middle of a run; the run's id and the model's."""
    command = [sys.executable, "-c", BUSY, tracking.uri, experiment]
    env = {**os.environ, "MODELWAY_RUN": "", **environment}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            run_id, model_id = process.stdout.readline().split()
            yield process, run_id, model_id
        finally:
            process.kill()


def status(tracking: Tracking, run_id: str) -> str:
    return str(tracking.client.get_run(run_id).info.status)


def tags(tracking: Tracking, run_id: str) -> dict[str, Any]:
    return dict(tracking.client.get_run(run_id).data.tags)


def test_a_run_ends_as_finished_and_knows_its_pipeline_run(
    tracking: Tracking, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELWAY_RUN", "run-1")
    with tracking.run(experiment, "train", tags={"data_hash": "abc"}) as run_id:
        assert status(tracking, run_id) == "RUNNING"
    assert status(tracking, run_id) == "FINISHED"
    assert tags(tracking, run_id).items() >= {"modelway.data_hash": "abc", "modelway.pipeline_run": "run-1"}.items()


@pytest.mark.parametrize("value", [None, ""])
def test_without_a_pipeline_run_there_is_no_tag_of_one(
    tracking: Tracking, experiment: str, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    if value is not None:
        monkeypatch.setenv("MODELWAY_RUN", value)
    with tracking.run(experiment, "train", tags={}) as run_id:
        pass
    assert "modelway.pipeline_run" not in tags(tracking, run_id)


def test_a_run_whose_block_fails_ends_as_failed(tracking: Tracking, experiment: str) -> None:
    with pytest.raises(ZeroDivisionError), tracking.run(experiment, "train", tags={}) as run_id:
        raise ZeroDivisionError
    assert status(tracking, run_id) == "FAILED"


def test_what_failed_is_said_even_where_the_run_can_no_longer_be_ended(
    tracking: Tracking, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreachable = Tracking(tracking.uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ZeroDivisionError), unreachable.run(experiment, "train", tags={}):  # noqa: PT012
        unreachable.client = Tracking("http://127.0.0.1:1").client
        raise ZeroDivisionError
    with pytest.raises(UnavailableError):
        unreachable.versions("loans")


def test_a_process_told_to_end_leaves_a_killed_run(tracking: Tracking, experiment: str) -> None:
    with training(tracking, experiment, MODELWAY_RUN="run-2") as (process, run_id, model_id):
        assert status(tracking, run_id) == "RUNNING"
        process.terminate()
        output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (128 + signal.SIGTERM, ""), errors
    assert status(tracking, run_id) == "KILLED"
    assert tracking.client.get_logged_model(model_id).status == "FAILED"
    assert tracking.end_unfinished(experiment, "run-2") == []


def test_a_killed_process_leaves_a_run_that_is_ended_by_its_pipeline_run(tracking: Tracking, experiment: str) -> None:
    with (
        training(tracking, experiment, MODELWAY_RUN="run-3") as (process, run_id, _),
        tracking.run(experiment, "another pipeline run's", tags={}) as other_run,
    ):
        process.kill()
        process.wait(timeout=30)
        assert status(tracking, run_id) == "RUNNING"
        assert tracking.end_unfinished(experiment, "run-4") == []
        assert tracking.end_unfinished(experiment, "") == []
        assert tracking.end_unfinished(experiment, "run-3") == [run_id]
        assert (status(tracking, run_id), status(tracking, other_run)) == ("FAILED", "RUNNING")
        assert tracking.client.get_run(run_id).info.end_time is not None
    assert tracking.end_unfinished(experiment, "run-3") == []


def test_an_experiment_that_is_not_there_has_nothing_to_end(tracking: Tracking, experiment: str) -> None:
    assert tracking.end_unfinished(experiment, "run-5") == []
    assert tracking.client.get_experiment_by_name(experiment) is None


def test_runs_beyond_the_first_page_are_ended_too(
    tracking: Tracking, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELWAY_RUN", "run-6")
    run_ids = {tracking._start_run(experiment, "train", tags={}) for _ in range(3)}
    search = tracking.client.search_runs
    monkeypatch.setattr(
        tracking.client, "search_runs", lambda *args, **options: search(*args, **options, max_results=1)
    )
    assert set(tracking.end_unfinished(experiment, "run-6")) == run_ids
    assert {status(tracking, run_id) for run_id in run_ids} == {"FAILED"}


def test_an_injected_run_is_ended_by_whoever_injected_it(tracking: Tracking, experiment: str) -> None:
    with tracking.run(experiment, "injected", tags={}) as injected:
        with training(tracking, experiment, INJECTED=injected, MODELWAY_RUN="run-7") as (process, run_id, model_id):
            assert run_id == injected
            process.terminate()
            process.communicate(timeout=30)
        assert tracking.client.get_logged_model(model_id).status == "FAILED"
        assert status(tracking, injected) == "RUNNING"
        assert tags(tracking, injected)["modelway.data_hash"] == "abc"
        assert tracking.end_unfinished(experiment, "run-7") == []
        assert status(tracking, injected) == "RUNNING"
    assert status(tracking, injected) == "FINISHED"


def test_a_program_keeps_its_own_way_to_end(tracking: Tracking, experiment: str) -> None:
    signals: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: signals.append(number))
    try:
        with tracking.run(experiment, "train", tags={}) as run_id:
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert signals == [signal.SIGTERM]
    assert status(tracking, run_id) == "FINISHED"


def test_the_signal_is_left_as_it_was(tracking: Tracking, experiment: str) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with pytest.raises(SystemExit) as error, tracking.run(experiment, "train", tags={}) as run_id:
            signal.raise_signal(signal.SIGTERM)
        assert error.value.code == 143
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)
    assert status(tracking, run_id) == "KILLED"


def test_runs_in_other_threads_are_logged_too(tracking: Tracking, experiment: str) -> None:
    run_ids: list[str] = []

    def log() -> None:
        with tracking.run(experiment, "train", tags={}) as run_id:
            run_ids.append(run_id)

    thread = threading.Thread(target=log)
    thread.start()
    thread.join(timeout=60)
    assert [status(tracking, run_id) for run_id in run_ids] == ["FINISHED"]


def answer(code: str) -> MlflowException:
    error = MlflowException("no such thing")
    error.error_code = code
    return error


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (answer("RESOURCE_DOES_NOT_EXIST"), NotFoundError, "answers: no such thing"),
        (answer("PERMISSION_DENIED"), CredentialsError, "refuses access"),
        (answer("UNAUTHENTICATED"), CredentialsError, "does not accept the credentials"),
        (answer("TEMPORARILY_UNAVAILABLE"), UnavailableError, "cannot be reached"),
        (answer("INVALID_PARAMETER_VALUE"), ModelwayError, "answers: no such thing"),
        (MlflowException("Max retries exceeded with url: /api"), UnavailableError, "cannot be reached"),
        (NoConnectionError("refused"), UnavailableError, "cannot be reached"),
    ],
)
def test_errors_of_the_client_say_what_to_do(error: Exception, kind: type[ModelwayError], message: str) -> None:
    with pytest.raises(ModelwayError, match=message) as raised_error, Tracking(URI).translate_errors():
        raise error
    assert type(raised_error.value) is kind
    assert "secret" not in str(raised_error.value)
    assert raised_error.value.key == "MLFLOW_TRACKING_URI"
