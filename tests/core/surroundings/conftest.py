from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelway.components.core import instructions

OURS = ("AWS_", "MINIO_", "MLFLOW_", "MODELWAY_", "KUBERNETES_SERVICE_HOST")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(OURS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setenv("HOME", str(tmp_path))  # no credentials of MLflow's in a file
    monkeypatch.setattr(instructions, "CONFIG_MAP_FOLDER", str(tmp_path / "services"))


@pytest.fixture
def pod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Inside a pod of the namespace `team-a`, whose ConfigMap is mounted in the folder that this gives."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (tmp_path / "namespace").write_text("team-a", encoding="utf-8")
    monkeypatch.setattr(instructions, "_NAMESPACE_FILE", str(tmp_path / "namespace"))
    (tmp_path / "services").mkdir()
    return tmp_path / "services"
