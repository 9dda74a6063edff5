"""Kustomize, as `kubectl` has it built in."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Objects = list[dict[str, Any]]


@pytest.fixture(scope="session")
def kustomize() -> Callable[[Path], Objects]:
    """Builds a folder into its objects."""
    if shutil.which("kubectl") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("needs kubectl: there is none on PATH")

    def build(folder: Path) -> Objects:
        process = subprocess.run(
            ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, timeout=60, check=False
        )
        assert process.returncode == 0, process.stderr
        assert "deprecated" not in process.stderr, process.stderr
        return [obj for obj in yaml.safe_load_all(process.stdout) if obj]

    return build


@pytest.fixture
def kustomization(kustomize: Callable[[Path], Objects], tmp_path: Path) -> Callable[..., Objects]:
    """Builds a kustomization written for one test, whose paths are absolute."""

    def build(**content: Any) -> Objects:
        for key in ("resources", "components"):
            content[key] = [os.path.relpath(path, tmp_path.resolve()) for path in content.get(key, [])]
        (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        return kustomize(tmp_path)

    return build
