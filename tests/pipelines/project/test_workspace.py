"""A project's folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_projects import write_small_project

from modelway.components.core.errors import NotFoundError
from modelway.pipelines.project import workspace as workspace_module
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


def test_the_version_of_the_code_holds_what_a_call_of_it_loads(own: Path) -> None:
    training = own / "own_training.py"
    text = training.read_text(encoding="utf-8").replace("import own_helpers\n", "import importlib\n")
    text = text.replace("own_helpers.", "importlib.import_module('own_' + 'helpers').")
    training.write_text(text, encoding="utf-8")
    workspace = Workspace.load(own)
    assert workspace.code.files == ("own_helpers.py", "own_training.py")
    assert workspace.code_notes() == ()


def test_what_could_not_be_called_and_what_is_compiled_is_said(own: Path) -> None:
    (own / "own_training.py").write_text("import own_fast\n", encoding="utf-8")
    (own / "own_fast.so").write_bytes(b"no module")
    workspace = Workspace.load(own)
    assert workspace.code.files == ("own_fast.so", "own_helpers.py", "own_notes.py", "own_training.py")
    uncalled, compiled = workspace.code_notes()
    assert "what own_training:fit loads could not be heard from a call on 50 made-up rows" in uncalled
    assert "own_training:fit cannot be imported" in uncalled
    assert compiled.startswith("own_fast.so: the bytes of compiled code")


def test_a_project_without_code_of_its_own_is_not_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(workspace_module, "trace_call", fail)
    assert Workspace.load(write_small_project(tmp_path)).project_code == ""
