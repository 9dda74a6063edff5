"""A stage that is told to end leaves a record of it in its run's folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.config.user_files import UserFiles
from modelway.components.core.errors import ModelwayError
from modelway.components.core.evidence.stop_record import STOPPED, StopRecord, record_stop
from modelway.components.core.storage.run_files import store_of

KEPT = "config/project-0123456789abcdef.json"
COMPONENT = '''
def train_model(project: str) -> str:
    """Works in compiled code, which comes back to Python once it is done."""
    import hashlib

    from modelway.components.core.errors import ModelwayError

    print("works", flush=True)
    {work}
    return project
'''
COMPILED = 'hashlib.pbkdf2_hmac("sha256", b"", b"", 30_000_000)'
FORKS = """import os, signal, time
    child = os.fork()
    if child == 0:
        time.sleep(30)
    time.sleep(0.2)
    os.kill(child, signal.SIGTERM)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)"""
CRASHES = 'raise ModelwayError("no", remedy="mend it")'


def arguments(stage: str = "train_model", **values: Any) -> list[str]:
    executor_input = {"inputs": {"parameterValues": values}, "outputs": {"outputFile": "/dev/null"}}
    return ["executor_main", "--executor_input", json.dumps(executor_input), "--function_to_execute", stage]


@contextmanager
def task(folder: Path, store: Path, work: str) -> Iterator[subprocess.Popen[str]]:
    """A component in a process of its own, as KFP's executor runs it in a container, once it is at work."""
    module = folder / "component.py"
    module.write_text(COMPONENT.format(work=work), encoding="utf-8")
    command = [sys.executable, "-m", "kfp.dsl.executor_main", "--component_module_path", str(module)]
    process = subprocess.Popen(
        [*command, *arguments(project=f"{store}/{KEPT}")[1:]],
        env={**os.environ, "_KFP_RUNTIME": "true", "MODELWAY_RUN": "id-1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line == "works\n":
                break
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_task_that_is_told_to_end_in_compiled_code_records_it_at_once(tmp_path: Path) -> None:
    with task(tmp_path, tmp_path / "store", COMPILED) as process:
        process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 5
        while (stop := StopRecord.read(str(tmp_path / "store"), "id-1")) is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process.poll() is None
    assert stop is not None
    assert stop.stage == "train_model"
    assert abs((datetime.now(UTC) - datetime.fromisoformat(stop.at)).total_seconds()) < 60


def test_a_task_that_is_told_to_end_ends(tmp_path: Path) -> None:
    with task(tmp_path, tmp_path / "store", "import time; time.sleep(30)") as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 128 + signal.SIGTERM
    assert StopRecord.read(str(tmp_path / "store"), "id-1") is not None


def test_a_store_that_is_away_delays_the_end_by_little(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file, where the folder would be", encoding="utf-8")
    with task(tmp_path, tmp_path / "store", "import time; time.sleep(30)") as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 128 + signal.SIGTERM


@pytest.mark.parametrize(("work", "code"), [(CRASHES, 1), (FORKS, 0)], ids=["fails", "ends what it forked"])
def test_a_task_that_is_not_told_to_end_records_nothing(work: str, code: int, tmp_path: Path) -> None:
    with task(tmp_path, tmp_path / "store", work) as process:
        output, errors = process.communicate(timeout=20)
        assert process.returncode == code, errors
    if work == FORKS:
        assert f"{-signal.SIGTERM}\n" in output
    assert StopRecord.read(str(tmp_path / "store"), "id-1") is None


@pytest.mark.parametrize(
    ("values", "variable", "run"),
    [
        pytest.param({"store": "{store}", "run": "id-2"}, None, "id-2", id="by its arguments"),
        pytest.param({"project": "{store}/" + KEPT}, "id-3", "id-3", id="by its project and the pod's variable"),
        pytest.param({"project": "{store}/" + KEPT}, None, None, id="without a run"),
        pytest.param({"project": '{{"name": "loans"}}'}, "id-3", None, id="without a store"),
        pytest.param({"store": "", "run": "id-2"}, "id-2", None, id="with an empty store"),
        pytest.param({}, "id-3", None, id="without either"),
    ],
)
def test_a_task_knows_its_run_and_its_store(
    values: dict[str, str], variable: str | None, run: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MODELWAY_RUN", raising=False)
    if variable is not None:
        monkeypatch.setenv("MODELWAY_RUN", variable)
    monkeypatch.chdir(tmp_path)
    record_stop(arguments("probe_model", **{name: text.format(store=tmp_path) for name, text in values.items()}))
    records = {path.parent.name for path in tmp_path.rglob(STOPPED)}
    assert records == ({run} if run else set())


def test_a_store_is_known_by_the_files_that_are_kept_in_it(
    tmp_path: Path, project_text: Any, contract_text: Any, policy_text: Any
) -> None:
    files = UserFiles.load(project=project_text(), contract=contract_text(), policy=policy_text())
    assert store_of(files.keep(str(tmp_path))["project"]) == str(tmp_path)


@pytest.mark.parametrize(
    ("location", "store"),
    [
        (f"s3://models/claims/{KEPT}", "s3://models/claims"),
        ("s3://models/claims/project.yaml", ""),
        (f"/{KEPT}", ""),
        ("name: loans\ntask: binary\n", ""),
        ("", ""),
    ],
)
def test_another_location_tells_no_store(location: str, store: str) -> None:
    assert store_of(location) == store


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs" / "id-1").mkdir(parents=True)
    (tmp_path / "runs" / "id-1" / STOPPED).write_text("{", encoding="utf-8")
    with pytest.raises(ModelwayError, match="is damaged") as error:
        StopRecord.read(str(tmp_path), "id-1")
    assert error.value.file == str(tmp_path / "runs" / "id-1" / STOPPED)
