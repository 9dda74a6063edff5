"""A project's folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_projects import write_small_project

from modelway.components.core.errors import NotFoundError
from modelway.pipelines.project.workspace import Workspace, requester, tracking_uri


def test_paths_are_absolute_and_another_source_is_relative_to_this_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_small_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert Workspace.load(folder).project.data.source == str(folder / "visits.csv")
    assert Workspace.load(folder, "other.csv").project.data.source == str(tmp_path / "other.csv")
    assert Workspace.load(folder, "s3://visits/a.csv").project.data.source == "s3://visits/a.csv"


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    folder = write_small_project(tmp_path)
    (folder / "contract.yaml").unlink()
    with pytest.raises(NotFoundError) as error:
        Workspace.load(folder)
    assert error.value.file == str(folder / "contract.yaml")


def test_variables_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELWAY_USER", "ada@example.org")
    assert requester(tmp_path) == "ada@example.org"
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert tracking_uri(tmp_path) == "http://mlflow:5000"
