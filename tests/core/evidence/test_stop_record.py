"""A stage that is told to end leaves a record of it in its run's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.errors import ModelwayError
from modelway.components.core.evidence.stop_record import StopRecord, record_stop

KEPT = "config/project-0123456789abcdef.json"


def arguments(stage: str = "train_model", **values: Any) -> list[str]:
    executor_input = {"inputs": {"parameterValues": values}, "outputs": {"outputFile": "/dev/null"}}
    return ["executor_main", "--executor_input", json.dumps(executor_input), "--function_to_execute", stage]


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
    records = {path.parent.name for path in tmp_path.rglob(StopRecord.file)}
    assert records == ({run} if run else set())


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs" / "id-1").mkdir(parents=True)
    (tmp_path / "runs" / "id-1" / StopRecord.file).write_text("{", encoding="utf-8")
    with pytest.raises(ModelwayError, match="is damaged") as error:
        StopRecord.read(str(tmp_path), "id-1")
    assert error.value.file == str(tmp_path / "runs" / "id-1" / StopRecord.file)
