"""Faults of what is learned and of the model itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_projects import write_small_project

from modelway.pipelines.drill.drill import drill_input
from modelway.pipelines.drill.drill_input import DrillInput, Fault
from modelway.pipelines.drill.model_faults import MODEL_FAULTS
from modelway.pipelines.project.workspace import Workspace

CHANGING = [fault for fault in MODEL_FAULTS if fault.code is None and fault.tamper is None]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> DrillInput:
    """The small project as the drill takes it."""
    return drill_input(Workspace.load(write_small_project(tmp_path_factory.mktemp("project"))))


@pytest.mark.parametrize("fault", CHANGING, ids=[fault.name for fault in CHANGING])
def test_a_fault_changes_the_files_or_the_labels_and_leaves_the_test_rows_features(
    inputs: DrillInput, fault: Fault
) -> None:
    faulty = fault.change(inputs, np.random.default_rng(1))
    labels = faulty.splits.train["ill"].to_list() != inputs.splits.train["ill"].to_list()
    assert labels or faulty.project != inputs.project or faulty.policy != inputs.policy
    assert fault.after_data_gate
    assert fault.gate in {"model", "serving"}
    if faulty.project == inputs.project and fault.name != "shuffled labels":
        assert faulty.splits.test.equals(inputs.splits.test)


def test_a_tampered_file_is_the_largest_and_differs_in_one_bit(tmp_path: Path) -> None:
    (tampering,) = (fault.tamper for fault in MODEL_FAULTS if fault.tamper is not None)
    (tmp_path / "small").write_bytes(b"1234")
    (tmp_path / "large").write_bytes(bytes(101))
    tampering(tmp_path)
    assert (tmp_path / "small").read_bytes() == b"1234"
    changed = (tmp_path / "large").read_bytes()
    assert len(changed) == 101
    assert sum(byte.bit_count() for byte in changed) == 1
