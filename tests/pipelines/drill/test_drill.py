"""`modelway drill`: every fault is caught by the gate meant for it, and a clean run passes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelway.pipelines.drill.faults import FAULTS

Command = Callable[..., subprocess.CompletedProcess[str]]
Edit = Callable[..., None]


@pytest.fixture(scope="module")
def drilled(tmp_path_factory: pytest.TempPathFactory, modelway: Command) -> list[dict[str, Any]]:
    ran = modelway("drill", "--json", cwd=tmp_path_factory.mktemp("drill"), limit=600)
    assert ran.returncode in {0, 1}, ran.stdout + ran.stderr
    return list(json.loads(ran.stdout))


def test_there_are_faults_for_every_gate(drilled: list[dict[str, Any]]) -> None:
    assert [result["fault"] for result in drilled] == [fault.name for fault in FAULTS]
    assert len(drilled) >= 20
    assert {result["expected_gate"] for result in drilled} == {"data", "model", "serving"}


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=[fault.name for fault in FAULTS])
def test_each_fault_is_caught_by_the_gate_meant_for_it(drilled: list[dict[str, Any]], number: int) -> None:
    result, fault = drilled[number], FAULTS[number]
    assert (result["caught_by"], result["caught"]) == (fault.gate, True), result
    assert any(name.startswith(fault.check) for name in result["checks"]), result


def test_a_gate_that_is_not_asked_catches_nothing_and_the_command_says_so(
    insurance: Path, modelway: Command, edit: Edit
) -> None:
    edit(insurance / "policy.yaml", {"model.calibration": None, "model.metrics.log_loss": None})
    ran = modelway("drill", insurance, "--fault", "miscalibrated", "--json", cwd=insurance, limit=300)
    assert ran.returncode == 1, ran.stderr
    (result,) = json.loads(ran.stdout)
    assert (result["fault"], result["expected_gate"], result["caught"]) == ("miscalibrated", "model", False)


def test_a_project_that_does_not_pass_itself_is_an_error(insurance: Path, modelway: Command, edit: Edit) -> None:
    edit(insurance / "policy.yaml", {"model.metrics.roc_auc.min": 0.99})
    ran = modelway("drill", insurance, "--fault", "null burst", "--json", cwd=insurance)
    assert ran.returncode == 2
    error = json.loads(ran.stdout)["error"]
    assert "does not pass its own model gate: metric[roc_auc]" in error["message"]


def test_an_unknown_fault_is_an_error(insurance: Path, modelway: Command) -> None:
    ran = modelway("drill", insurance, "--fault", "gremlins", "--json", cwd=insurance)
    assert ran.returncode == 2
    error = json.loads(ran.stdout)["error"]
    assert error["value"] == "gremlins"
    assert "null burst" in error["remedy"]
