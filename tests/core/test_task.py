from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(("debug", "traceback"), [("", False), ("1", True)])
def test_a_task_ends_its_log_with_the_readable_error(debug: str, traceback: bool) -> None:
    program = (
        "from modelway.components.core.errors import ModelwayError\n"
        "try:\n    raise ModelwayError('the data is empty', file='a.csv', remedy='export it again')\n"
        "except ModelwayError as error:\n    raise RuntimeError('task failed') from error\n"
    )
    environment = {**os.environ, "_KFP_RUNTIME": "true", "MODELWAY_DEBUG": debug}
    process = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert process.returncode == 1
    assert ("Traceback" in process.stderr) is traceback
    if not traceback:
        assert process.stderr == "error: the data is empty [file: a.csv]\n  remedy: export it again\n"


COMPONENT = """\
def speak():
    import logging, os, sys
    import modelway.components
    address = os.environ["MLFLOW_TRACKING_URI"]
    print("printed", address)
    logging.info("logged %s", address)
    logging.getLogger("own").warning("warned %s", address)
    sys.stderr.write(f"written {address}" + chr(10))
    raise OSError(f"raised {address}")
"""


def test_a_task_log_has_no_secret_of_an_address(tmp_path: Path) -> None:
    """As KFP's executor runs it in a container, whose logging is set up before anything of ours is imported."""
    module = tmp_path / "component.py"
    module.write_text(COMPONENT, encoding="utf-8")
    executor_input = json.dumps({"inputs": {}, "outputs": {"outputFile": str(tmp_path / "output.json")}})
    command = [sys.executable, "-m", "kfp.dsl.executor_main", "--component_module_path", str(module)]
    process = subprocess.run(
        [*command, "--function_to_execute", "speak", "--executor_input", executor_input],
        env={**os.environ, "_KFP_RUNTIME": "true", "MLFLOW_TRACKING_URI": "http://ada:planted@mlflow:5000"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert process.returncode == 1
    log = process.stdout + process.stderr
    for deed in ("printed", "logged", "warned", "written", "raised"):
        assert f"{deed} http://***@mlflow:5000" in log
    assert "planted" not in log
