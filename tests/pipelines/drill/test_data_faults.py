"""Faults of the data."""

from __future__ import annotations

import numpy as np
import pytest
from small_projects import write_small_project

from modelway.pipelines.drill.data_faults import DATA_FAULTS
from modelway.pipelines.drill.drill import drill_input
from modelway.pipelines.drill.drill_input import DrillInput, Fault
from modelway.pipelines.project.workspace import Workspace


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> DrillInput:
    """The small project as the drill takes it."""
    return drill_input(Workspace.load(write_small_project(tmp_path_factory.mktemp("project"))))


def _contents(inputs: DrillInput) -> tuple[object, ...]:
    tables = (inputs.table, inputs.splits.train, inputs.splits.test, inputs.serving)
    written = tuple(None if table is None else table.write_json() for table in tables)
    return (inputs.project, inputs.contract, inputs.policy, *written)


@pytest.mark.parametrize("fault", DATA_FAULTS, ids=[fault.name for fault in DATA_FAULTS])
def test_a_fault_changes_what_the_gate_sees_and_nothing_of_the_clean_inputs(inputs: DrillInput, fault: Fault) -> None:
    clean = _contents(inputs)
    faulty = fault.change(inputs, np.random.default_rng(1))
    assert _contents(faulty) != clean
    assert _contents(inputs) == clean
    assert fault.gate == "data"
    assert not fault.after_data_gate
