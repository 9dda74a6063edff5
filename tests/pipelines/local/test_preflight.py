"""What is checked before a run starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_projects import edit_yaml, write_small_project

from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.mlflow import Tracking
from modelway.pipelines.local.preflight import preflight
from modelway.pipelines.project.workspace import Workspace


def inputs_of(folder: Path) -> dict[str, str]:
    workspace = Workspace.load(folder)
    texts = {name: document.canonical() for name, document in workspace.files.documents()}
    return preflight(texts, names=workspace.names(), folder=str(folder))


def test_a_run_would_work_on_the_source_as_it_is_now(
    tmp_path: Path, tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
    folder = write_small_project(tmp_path)
    edit_yaml(folder / "project.yaml", {"name": "preflight"})
    before = inputs_of(folder)
    assert before["champion"] == ""
    with (folder / "visits.csv").open("a", encoding="utf-8") as file:
        file.write("\n")
    assert inputs_of(folder)["source_version"] != before["source_version"]
    edit_yaml(folder / "project.yaml", {"label": "sick"})
    with pytest.raises(ModelwayError, match="uses the column 'sick'") as error:
        inputs_of(folder)
    assert str(folder) in str(error.value.file)
