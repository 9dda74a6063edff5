from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

MODULE = """
from modelway.components.core.decorator import component

@component
def nothing() -> str:
    return ""

print(nothing.component_spec.implementation.container.image)
"""


@pytest.mark.parametrize(
    ("variable", "image"),
    [("", f"modelway/components:{version('modelway')}"), ("registry/modelway@sha256:1", "registry/modelway@sha256:1")],
)
def test_a_component_runs_in_the_image_that_the_environment_names(variable: str, image: str, tmp_path: Path) -> None:
    (tmp_path / "nothing.py").write_text(MODULE, encoding="utf-8")
    environment = {**os.environ, "MODELWAY_IMAGE": variable}
    command = [sys.executable, tmp_path / "nothing.py"]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert process.stdout == f"{image}\n"
