"""What tests need: skipped with the reason where it is missing, and a failure in CI."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.blessing import BLESSING_FILE, Blessing, Hashes
from modelway.components.core.policy import Policy
from modelway.components.core.tracking import POLICY_FILE, Tracking
from modelway.components.core.verdict import Gate, Mode, passed_or_failed

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


@pytest.fixture
def release(tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Registers a version of a model with its blessing and policy, and no model; returns the version."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)  # where MLflow looks a model up that is registered

    def register(
        name: str,
        environments: dict[str, Any] | None = None,
        requested_by: str = "ada@example.org",
        blessed: bool = True,
        tags: dict[str, str] | None = None,
        **files: bytes,
    ) -> str:
        document = {"model": {"metrics": {"roc_auc": {"min": 0.7}}}}
        policy = Policy.model_validate(document | ({"environments": environments} if environments else {}))
        check = passed_or_failed("metric[roc_auc]", blessed, "0.81 on 512 rows; the policy asks for at least 0.7")
        blessing = Blessing(
            project=name,
            run=f"release-{len(tracking.versions(name)) + 1}",
            blessed=blessed,
            verdict=check.verdict,
            hashes=Hashes(model="m", project="p", contract="c", policy=policy.sha256()),
            requested_by=requested_by,
            image="modelway",
            gates=(Gate(name="model", checks=(check,), facts={}, mode=Mode.ENABLED),),
        )
        evidence = {"blessing": blessing.content(), "policy": policy.canonical().encode()} | files
        folder = tmp_path / f"evidence-{name}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for key, file in (("blessing", BLESSING_FILE), ("policy", POLICY_FILE)):
            if evidence[key]:
                (folder / file).write_bytes(evidence[key])
        with tracking.run(name, "release-1", {}) as run_id:
            tracking.log_evidence(run_id, folder, "evidence/one")
            with tracking.logged_model(run_id, "model", {}) as (model_id, _):
                pass
            bound = {"evidence": "evidence/one", "blessing_sha256": blessing.sha256()} | (tags or {})
            with tracking.new_version(name, model_id, run_id, bound) as version:
                return version

    return register
