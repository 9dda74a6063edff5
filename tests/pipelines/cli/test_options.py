"""What the commands have in common."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelway.components.core.errors import ModelwayError
from modelway.components.core.evidence.runs import LATEST, OUTCOME, Outcome, State
from modelway.components.core.storage.uri import join, write_uri
from modelway.pipelines.cli.options import recorded_outcome


def test_the_run_that_ended_last_is_meant_unless_its_id_is_given(tmp_path: Path) -> None:
    rejected = Outcome(run="run-1", project="loans", state=State.REJECTED)
    rejected.write(str(tmp_path), OUTCOME)
    write_uri(join(str(tmp_path), "runs", LATEST, OUTCOME), rejected.model_dump_json().encode())
    assert recorded_outcome(str(tmp_path), None) == recorded_outcome(str(tmp_path), "run-1") == rejected
    with pytest.raises(ModelwayError, match="has no outcome of the run run-9") as refused:
        recorded_outcome(str(tmp_path), "run-9")
    assert refused.value.value == "run-9"
    with pytest.raises(ModelwayError, match="has no outcome of any run"):
        recorded_outcome(str(tmp_path / "elsewhere"), None)
