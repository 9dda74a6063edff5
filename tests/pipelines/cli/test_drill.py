"""`modelway drill`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

Command = Callable[..., subprocess.CompletedProcess[str]]
Edit = Callable[..., None]


def test_a_gate_that_is_not_asked_catches_nothing_and_the_command_says_so(small: Path, modelway: Command) -> None:
    ran = modelway("drill", small, "--fault", "miscalibrated", "--json", cwd=small)
    assert ran.returncode == 1, ran.stderr
    (result,) = json.loads(ran.stdout)
    assert (result["fault"], result["expected_gate"], result["caught"]) == ("miscalibrated", "model", False)


def test_a_project_that_does_not_pass_itself_is_a_judged_no(small: Path, modelway: Command, edit: Edit) -> None:
    edit(small / "policy.yaml", {"model.metrics.roc_auc.min": 0.999})
    ran = modelway("drill", small, "--fault", "null burst", "--json", cwd=small)
    assert ran.returncode == 1
    error = json.loads(ran.stdout)["error"]
    assert "does not pass its own model gate: metric[roc_auc]" in error["message"]


def test_an_unknown_fault_is_an_error(insurance: Path, modelway: Command) -> None:
    ran = modelway("drill", insurance, "--fault", "gremlins", "--json", cwd=insurance)
    assert ran.returncode == 2
    error = json.loads(ran.stdout)["error"]
    assert error["value"] == "gremlins"
    assert "null burst" in error["remedy"]
