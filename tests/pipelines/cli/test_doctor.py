"""`modelway doctor`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_the_command_prints_one_object_and_exits_with_0(modelway: Callable[..., Any], insurance: Path) -> None:
    ran = modelway("doctor", insurance, "--json", cwd=insurance, env={"KUBECONFIG": "", "HOME": str(insurance)})
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    assert answer["ok"] is True
    assert {"subject", "status", "message"} <= set(answer["findings"][0])
    assert not (insurance / ".modelway").exists()


def test_the_command_names_what_lacks_first_with_its_remedy_and_exits_with_2(
    modelway: Callable[..., Any], insurance: Path
) -> None:
    (insurance / "claims.parquet").unlink()
    env = {"KUBECONFIG": "", "HOME": str(insurance), "MLFLOW_TRACKING_URI": "http://ada:secret@127.0.0.1:9"}
    ran = modelway("doctor", cwd=insurance, env=env)
    assert ran.returncode == 2
    lines = ran.stdout.splitlines()
    assert lines[0].startswith("missing ")
    assert "claims.parquet" in lines[0]
    assert lines[1].strip().startswith("remedy: ")
    assert lines[2].startswith("unreachable ")
    assert "MLflow at 127.0.0.1:9 cannot be reached" in lines[2]
    assert lines[-1].startswith("2 of ")
    assert "secret" not in ran.stdout + ran.stderr


def test_a_project_that_cannot_be_read_is_an_error(modelway: Callable[..., Any], root: Path, tmp_path: Path) -> None:
    shutil.copy(root / "examples" / "insurance" / "project.yaml", tmp_path)
    ran = modelway("doctor", tmp_path, "--json", cwd=tmp_path)
    assert ran.returncode == 2
    assert "contract.yaml" in json.loads(ran.stdout)["error"]["message"]
