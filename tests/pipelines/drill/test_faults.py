"""Every fault is caught by the gate meant for it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from small_projects import visits

from modelway.pipelines.drill.data_faults import DATA_FAULTS
from modelway.pipelines.drill.faults import FAULTS

Command = Callable[..., subprocess.CompletedProcess[str]]
Edit = Callable[..., None]


@pytest.fixture(scope="module")
def drilled(tmp_path_factory: pytest.TempPathFactory, modelway: Command) -> list[dict[str, Any]]:
    ran = modelway("drill", "--json", cwd=tmp_path_factory.mktemp("drill"), limit=1_800)
    assert ran.returncode in {0, 1}, ran.stdout + ran.stderr
    return list(json.loads(ran.stdout))


def test_there_are_faults_for_every_gate(drilled: list[dict[str, Any]]) -> None:
    assert [result["fault"] for result in drilled] == [fault.name for fault in FAULTS]
    assert len(drilled) >= 20
    assert {result["expected_gate"] for result in drilled} == {"data", "model", "serving", "code", ""}


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=[fault.name for fault in FAULTS])
def test_each_fault_is_caught_by_the_gate_meant_for_it(drilled: list[dict[str, Any]], number: int) -> None:
    result, fault = drilled[number], FAULTS[number]
    if fault.harmless:
        assert (result["caught_by"], result["caught"]) == ("", True), result
        return
    assert (result["caught_by"], result["caught"]) == (fault.gate, True), result
    assert any(name.startswith(fault.check) for name in result["checks"]), result


def test_a_joint_shift_of_the_example_is_told_without_the_label(drilled: list[dict[str, Any]]) -> None:
    (checks,) = [result["checks"] for result in drilled if result["fault"] == "joint shift of the features"]
    assert "drift[multivariate]" in checks


@pytest.mark.runs
def test_each_data_fault_is_caught_where_the_contract_is_as_it_was_proposed(
    tmp_path: Path, modelway: Command, edit: Edit
) -> None:
    rows = visits(2_000).with_columns(paid=(pl.col("paid") * pl.col("age") / 50).round(2))  # for a relation to lose
    rows.write_csv(tmp_path / "visits.csv")
    proposed = modelway("init", "clinic", "--data", "visits.csv", "--label", "ill", cwd=tmp_path)
    assert proposed.returncode == 0, proposed.stdout + proposed.stderr
    tree = {"estimator": "sklearn.tree.DecisionTreeClassifier", "parameters": {"max_depth": 4}}  # is fitted at once
    edit(tmp_path / "clinic" / "project.yaml", {"model": tree})
    names = [argument for fault in DATA_FAULTS for argument in ("--fault", fault.name)]
    ran = modelway("drill", "clinic", *names, "--json", cwd=tmp_path, limit=1_800)
    assert ran.returncode in {0, 1}, ran.stdout + ran.stderr
    results = json.loads(ran.stdout)
    assert [result["fault"] for result in results] == [fault.name for fault in DATA_FAULTS]
    assert [result for result in results if not result["caught"]] == []
    assert ran.returncode == 0, ran.stderr  # the clean run passes too
