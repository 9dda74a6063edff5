"""The component hands over what was packaged, by KFP's own runner."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kfp import local

from modelway.components.core.bundle.bundle import verify_bundle
from modelway.components.package.component import package_model


def test_it_packages_a_version(registered: Any, base: Path, tmp_path: Path, keys: Path) -> None:
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"))
    task = package_model(
        model=registered.name,
        version=registered.version,
        store=registered.in_store(str(tmp_path / "store")).store,
        base=str(base),
        target=str(tmp_path / "images"),
    )
    assert task.outputs["Output"].startswith(f"{tmp_path}/images@sha256:")
    bundle = verify_bundle(Path(task.outputs["bundle"].path), keys / "key.pub")
    assert bundle.release().version == registered.version
    assert task.outputs["bundle"].metadata["image"] == task.outputs["Output"]
    assert json.loads(Path(task.outputs["sbom"].path).read_text())["bomFormat"] == "CycloneDX"
    assert registered.name in Path(task.outputs["summary"].path).read_text()


def test_it_fails_with_a_readable_error(
    registered: Any, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MODELWAY_SIGNING_KEY")
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"))
    with pytest.raises(RuntimeError):
        package_model(
            model=registered.name,
            version=registered.version,
            store=registered.in_store(str(tmp_path / "store")).store,
            base=str(base),
            target=str(tmp_path / "images"),
        )
    output = "".join(capfd.readouterr())
    assert "error: MODELWAY_SIGNING_KEY is not set" in output
    assert "Traceback" not in output.split("error: MODELWAY_SIGNING_KEY")[0].split("Task")[-1]
