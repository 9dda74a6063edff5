"""What tests need: skipped with the reason where it is missing, and a failure in CI."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from modelway.components.core.tracking import Tracking

ROOT = Path(__file__).resolve().parent.parent


def _missing_docker() -> str | None:
    if shutil.which("docker") is None:
        return "no docker command"
    found = subprocess.run(["docker", "info"], capture_output=True, text=True, timeout=60, check=False)
    return None if found.returncode == 0 else "no Docker daemon answers"


def _missing_cluster() -> str | None:
    names = ("KUBECONFIG", "MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "PROMETHEUS_URL")
    unset = [name for name in names if not os.environ.get(name)]
    return f"{', '.join(unset)} not set" if unset else None


NEEDS = {"docker": _missing_docker, "cluster": _missing_cluster}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what cannot run here; in CI a missing need is a failure."""
    for need, missing in NEEDS.items():
        marked = [item for item in items if item.get_closest_marker(need)]
        reason = missing() if marked else None
        if reason is None:
            continue
        if os.environ.get("CI"):
            pytest.exit(f"CI must run the tests marked {need!r}, but {reason}", returncode=1)
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=f"needs {need}: {reason}"))


@pytest.fixture
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture
def insurance(tmp_path: Path) -> Path:
    """A copy of the example project, to change at will."""
    folder = tmp_path / "insurance"
    folder.mkdir()
    for name in ("project.yaml", "contract.yaml", "policy.yaml", "claims.parquet"):
        shutil.copy(ROOT / "examples" / "insurance" / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Tracking:
    """MLflow on a sqlite file, one for the session: creating its tables takes seconds."""
    made = Tracking(f"sqlite:///{tmp_path_factory.mktemp('tracking') / 'mlflow.db'}")
    made.prepare()
    return made
