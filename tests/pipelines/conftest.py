"""The real command, and small projects for it to run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
import pytest
from image_layouts import SITE, write_base
from office import ADA, Office
from small_projects import edit_yaml, visits

Ran = subprocess.CompletedProcess[str]
OURS = ("MODELWAY_", "MLFLOW_", "AWS_", "MINIO_")


def run_command(*arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None, limit: float = 150) -> Ran:
    """Runs ``modelway`` as a process of its own, with none of our variables but those given."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return subprocess.run(
        [sys.executable, "-m", "modelway.pipelines.cli", *map(str, arguments)],
        cwd=cwd,
        env={**clean, **(env or {})},
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )


@pytest.fixture(scope="session")
def modelway() -> Callable[..., Ran]:
    """``modelway(*arguments, cwd=…, env=…, limit=…)``: the finished process."""
    return run_command


@pytest.fixture(scope="session")
def registered_versions() -> Callable[[Path, str], list[str]]:
    """``registered_versions(home, name)``: the versions that the registry in a home has, the newest first."""

    def versions(home: Path, name: str) -> list[str]:
        database = home / "mlflow.db"
        if not database.exists():
            return []
        from modelway.components.core.storage.mlflow import Tracking

        return [str(version.version) for version in Tracking(f"sqlite:///{database}").versions(name)]

    return versions


@pytest.fixture(scope="session")
def visits_table() -> pl.DataFrame:
    """The small table."""
    return visits()


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory, small_project: Callable[[Path], Path]) -> Office:
    """A version that Ada's run has registered, and keys."""
    folder = small_project(tmp_path_factory.mktemp("live"))
    assert run_command("run", cwd=folder, env={"MODELWAY_USER": ADA}).returncode == 0
    office = Office(folder)
    assert office("keys").returncode == 0
    return office


@pytest.fixture
def office(released: Office, tmp_path: Path) -> Office:
    """The same, to change at will."""
    folder = tmp_path / "project"
    shutil.copytree(released.folder, folder)
    return Office(folder)


@pytest.fixture
def components(tmp_path: Path) -> str:
    """What an image of the components looks like from outside: packages, and some that a later layer took away."""
    bottom = ["usr/local/lib/python3.11/site-packages/setuptools-80.0.dist-info/METADATA", "bin/sh"]
    packages = ["modelway-0.1.0", "numpy-2.3.0", "tinygone-1.0", "scikit_learn-1.9.1"]
    middle = [f"{SITE}/{package}.dist-info/METADATA" for package in packages]
    top = ["usr/local/lib/python3.11/site-packages/.wh.setuptools-80.0.dist-info", f"{SITE}/.wh.tinygone-1.0.dist-info"]
    return write_base(tmp_path / "components", bottom, middle, top)


OWN_TRAINING = """
import numpy
import own_helpers
from sklearn.tree import DecisionTreeClassifier


def fit(features, label):
    return DecisionTreeClassifier(max_depth=own_helpers.DEPTH).fit(features, label)
"""


@pytest.fixture
def own(small: Path) -> Path:
    """A project with two modules of its own, and one that nothing imports."""
    edit_yaml(small / "project.yaml", {"model": {"entrypoint": "own_training:fit"}})
    (small / "own_training.py").write_text(OWN_TRAINING, encoding="utf-8")
    (small / "own_helpers.py").write_text("DEPTH = 3\n", encoding="utf-8")
    (small / "own_notes.py").write_text("", encoding="utf-8")
    return small
