"""What the doctor finds on a laptop: services, keys, the image registry, and whether there is a cluster."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelway.components.core.bundle.encryption import new_identity
from modelway.components.core.bundle.keys import new_keys
from modelway.components.core.surroundings.findings import Finding, Status
from modelway.pipelines.doctor.doctor import diagnose
from modelway.pipelines.project.workspace import Workspace

OURS = ("AWS_", "MINIO_", "MLFLOW_", "MODELWAY_", "KUBE")
SOURCES = Path(__file__).resolve().parents[3] / "examples" / "insurance"


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(OURS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def check(insurance: Path, tmp_path: Path) -> Callable[..., dict[str, Finding]]:
    """What the doctor finds about the example, by subject."""

    def run(**options: Any) -> dict[str, Finding]:
        findings = diagnose(Workspace.load(insurance), tmp_path, **({"store": str(tmp_path / "store")} | options))
        return {finding.subject: finding for finding in findings}

    return run


def test_a_laptop_with_nothing_configured_is_fine(check: Callable[..., dict[str, Finding]]) -> None:
    findings = check()
    assert {subject: finding.status for subject, finding in findings.items()} == {
        "MLflow": Status.OK,
        "source": Status.OK,
        "store": Status.OK,
        "signing key": Status.UNSET,
        "verifying key": Status.UNSET,
        "encryption recipient": Status.UNSET,
        "encryption key": Status.UNSET,
        "cluster": Status.UNSET,
    }
    assert all(finding.remedy for finding in findings.values() if finding.status is Status.UNSET)


def test_keys_that_fit_each_other(
    check: Callable[..., dict[str, Finding]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    new_keys(tmp_path / "signing.pem", tmp_path / "verifying.pem")
    new_identity(tmp_path / "encryption.key", tmp_path / "encryption.recipient")
    monkeypatch.setenv("MODELWAY_VERIFYING_KEY", str(tmp_path / "verifying.pem"))
    assert "not tried" in check()["verifying key"].message
    monkeypatch.setenv("MODELWAY_SIGNING_KEY", str(tmp_path / "signing.pem"))
    monkeypatch.setenv("MODELWAY_ENCRYPTION_KEY", str(tmp_path / "encryption.key"))
    monkeypatch.setenv("MODELWAY_ENCRYPTION_RECIPIENT", str(tmp_path / "encryption.recipient"))
    findings = check()
    assert findings["verifying key"].message == "it verifies what the signing key signs"
    recipient = (tmp_path / "encryption.recipient").read_text(encoding="utf-8").strip()
    assert findings["encryption recipient"].message == f"models are encrypted to {recipient}"
    assert findings["encryption key"].message == f"it decrypts what is encrypted to {recipient}"
    subjects = ("signing key", "verifying key", "encryption recipient", "encryption key")
    assert {findings[subject].status for subject in subjects} == {Status.OK}


def test_keys_that_are_no_pair_or_no_keys(
    check: Callable[..., dict[str, Finding]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    new_keys(tmp_path / "signing.pem", tmp_path / "verifying.pem")
    new_keys(tmp_path / "others.pem", tmp_path / "theirs.pem")
    (tmp_path / "encryption.key").write_text("short", encoding="utf-8")
    monkeypatch.setenv("MODELWAY_SIGNING_KEY", str(tmp_path / "signing.pem"))
    monkeypatch.setenv("MODELWAY_VERIFYING_KEY", str(tmp_path / "theirs.pem"))
    monkeypatch.setenv("MODELWAY_ENCRYPTION_KEY", str(tmp_path / "encryption.key"))
    findings = check()
    assert findings["verifying key"].status is Status.REFUSED
    assert "they are not a pair" in findings["verifying key"].message
    assert findings["encryption key"].status.blocks
    new_identity(tmp_path / "own.key", tmp_path / "own.recipient")
    new_identity(tmp_path / "their.key", tmp_path / "their.recipient")
    monkeypatch.setenv("MODELWAY_ENCRYPTION_KEY", str(tmp_path / "own.key"))
    monkeypatch.setenv("MODELWAY_ENCRYPTION_RECIPIENT", str(tmp_path / "their.recipient"))
    assert "they are not a pair" in check()["encryption key"].message
    monkeypatch.setenv("MODELWAY_SIGNING_KEY", str(tmp_path / "none.pem"))
    assert check()["signing key"].message == "the file that MODELWAY_SIGNING_KEY names does not exist"


def test_a_registry_that_takes_images(check: Callable[..., dict[str, Finding]], registry: Any, base: Path) -> None:
    findings = check(target=f"{registry.host}/team/doctor:1", base=str(base))
    assert findings["image target"].status is Status.OK
    assert findings["serving base"].status is Status.OK


def test_images_that_cannot_be_had(check: Callable[..., dict[str, Finding]], registry: Any) -> None:
    digest = f"sha256:{'0' * 64}"
    findings = check(target="127.0.0.1:9/team/doctor:1", base=f"{registry.host}/team/none@{digest}")
    assert findings["image target"].status is Status.UNREACHABLE
    assert findings["serving base"].status is Status.MISSING
    assert digest in findings["serving base"].message
    assert check(target="no image")["image target"].status is Status.MISSING


def test_a_kubeconfig_that_is_not_there(
    check: Callable[..., dict[str, Finding]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    finding = check()["cluster"]
    assert finding.status is Status.MISSING
    assert finding.key == "KUBECONFIG"


@pytest.mark.parametrize("silent", [True, False], ids=["silent", "closed"])
def test_a_cluster_that_does_not_answer_ends_within_seconds(
    silent: bool, check: Callable[..., dict[str, Finding]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1] if silent else 9
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "x", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "users": [{"name": "x", "user": {"token": "t"}}],
            "current-context": "x",
        }
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config), encoding="utf-8")
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        check(base="")  # imports are not a part of it
        start = time.monotonic()
        finding = check()["cluster"]
        assert time.monotonic() - start < 15
    assert finding.status is Status.UNREACHABLE
    assert f"127.0.0.1:{port}" in finding.message
