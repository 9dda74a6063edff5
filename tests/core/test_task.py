from __future__ import annotations

import os
import subprocess
import sys

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
