from __future__ import annotations

from pathlib import Path

import pytest

from modelway.components.core.errors import ModelwayError
from modelway.components.core.surroundings.cluster import api_client


def test_without_a_cluster_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ModelwayError, match="no cluster is configured") as error:
        api_client()
    assert error.value.key == "KUBECONFIG"


def test_a_pod_without_an_account_is_told_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ModelwayError, match="no cluster is configured: Service host/port is not set"):
        api_client()
