"""`modelway run`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from office import Office
from small_projects import edit_yaml, write_small_project

from modelway.components.core.evidence.runs import State, recorded_runs


def test_a_run_packages_what_it_releases(office: Office, base: Path, tmp_path: Path) -> None:
    options = ("--base", str(base), "--target", str(tmp_path / "image"))
    failure = office.read_json("run", *options, code=2, MODELWAY_SIGNING_KEY="")
    assert failure["error"]["key"] == "MODELWAY_SIGNING_KEY"
    summary = office.read_json("run", *options)
    assert (summary["state"], "package_model" in summary["seconds"]) == ("registered", True)
    version = summary["model"]["version"]
    record = json.loads((office.folder / ".modelway" / "packages" / "visits" / f"{version}.json").read_text())
    assert record["image"] == office.read_json("package", version, *options)["image"]


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
