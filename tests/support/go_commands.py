"""Commands that Go builds from their modules, once, where a machine does not have them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def go_command(name: str, module: str) -> str:
    """A command that ``MODELWAY_TEST_<NAME>`` names or the path has, else one that Go builds and that is kept.

    Args:
        name: The command's.
        module: What builds it, with its version.
    """
    variable = f"MODELWAY_TEST_{name.upper().replace('-', '_')}"
    if command := os.environ.get(variable) or shutil.which(name):
        return command
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelway-tests"
    folder = cache / module.rpartition("@")[2]
    if not (folder / name).exists():
        if shutil.which("go") is None:
            if os.environ.get("CI"):
                pytest.fail(f"CI must test against {name}, but there is no Go to build it")
            pytest.skip(f"needs {name}: set {variable}, or install Go to build it")
        environment = {**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0"}
        subprocess.run(["go", "install", "-ldflags=-s -w", module], env=environment, check=True, timeout=1500)
    return str(folder / name)
