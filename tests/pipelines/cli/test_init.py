"""`modelway init`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from modelway.components.core.config.policy import Policy

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    numbers = range(100)
    columns = {
        "column": [i % 50 for i in numbers],
        "other": [i % 7 for i in numbers],
        "label": [i % 2 for i in numbers],
    }
    pl.DataFrame(columns | {"label": [i % 2 for i in numbers]}).write_csv(tmp_path / "data.csv")
    return tmp_path / "data.csv"


def test_files_that_are_there_stay_unless_forced(data: Path, modelway: Command) -> None:
    arguments = ("init", "made", "--data", data, "--label", "label")
    result = modelway(*arguments, "--json", cwd=data.parent)
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert [Path(file).name for file in answer["files"]] == ["project.yaml", "contract.yaml", "policy.yaml"]
    assert answer["task"] == "binary"
    assert answer["features"] == ["column", "other"]
    schemas = {file.name for file in (data.parent / "made" / ".schemas").iterdir()}
    assert schemas == {"project.schema.json", "contract.schema.json", "policy.schema.json"}

    mine = data.parent / "made" / "policy.yaml"
    mine.write_text("mine\n", encoding="utf-8")
    (data.parent / "made" / "project.yaml").unlink()
    error = modelway(*arguments, cwd=data.parent)
    assert error.returncode == 2
    assert "exists already" in error.stderr
    assert "--force" in error.stderr
    assert mine.read_text(encoding="utf-8") == "mine\n"
    assert not (data.parent / "made" / "project.yaml").exists()

    assert modelway(*arguments, "--force", cwd=data.parent).returncode == 0
    assert Policy.load(mine).registration.alias == "champion"


@pytest.mark.parametrize("name", ["Made", "with_underscore", "-dash"])
def test_a_name_that_cannot_be_a_model_is_refused(name: str, data: Path, modelway: Command) -> None:
    result = modelway("init", "--data", data, "--label", "label", "--", name, cwd=data.parent)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "name" in result.stderr
    assert not (data.parent / name).exists()
