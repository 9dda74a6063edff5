"""An installation of the manifests, and calls as its accounts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_installation import MANIFESTS, small_pod
from kube import kubectl


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """What Kustomize makes of folders of the manifests with components."""

    def kustomize(resources: list[str], components: list[str], **more: Any) -> list[dict[str, Any]]:
        content = {
            "resources": [os.path.relpath(MANIFESTS / name, tmp_path.resolve()) for name in resources],
            "components": [os.path.relpath(MANIFESTS / "components" / name, tmp_path.resolve()) for name in components],
            **more,
        }
        (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        return [obj for obj in yaml.safe_load_all(kubectl("kustomize", str(tmp_path))) if obj]

    return kustomize


@pytest.fixture(scope="session")
def pod() -> Callable[..., dict[str, Any]]:
    """A pod that keeps to Pod Security's `restricted` and is admitted, changed at will; no node takes it."""
    return small_pod
