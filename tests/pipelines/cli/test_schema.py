"""`modelway schema`."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from modelway.pipelines.project.schemas import published_schema

Command = Callable[..., subprocess.CompletedProcess[str]]


def test_the_command_prints_them(tmp_path: Path, modelway: Command) -> None:
    assert modelway("schema", "contract", cwd=tmp_path).stdout == published_schema("contract")
    result = modelway("schema", "contracts", cwd=tmp_path)
    assert result.returncode == 2
    assert "choose project, contract, policy" in result.stderr
