from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from modelway.components.core import instructions
from modelway.components.core.instructions import config_map_lack, new_config_map, new_s3_secret, pod_namespace


def test_a_namespace_is_that_of_the_pod_or_kubeflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instructions, "_NAMESPACE_FILE", str(tmp_path / "namespace"))
    assert pod_namespace() == "kubeflow"
    (tmp_path / "namespace").write_text("team-a\n", encoding="utf-8")
    assert pod_namespace() == "team-a"


def test_a_config_map_is_made_or_given_the_key_that_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instructions, "CONFIG_MAP_FOLDER", str(tmp_path))
    for name in ("AWS_ENDPOINT_URL", "MLFLOW_TRACKING_URI", "MODELWAY_PROMETHEUS"):
        monkeypatch.delenv(name, raising=False)
    assert config_map_lack("s3-endpoint", "team-a") == ("is missing", new_config_map("team-a"))
    (tmp_path / "mlflow-tracking-uri").write_text("http://mlflow:5000", encoding="utf-8")
    lack, command = config_map_lack("s3-endpoint", "team-a")
    assert lack == "has no key s3-endpoint"
    assert list(json.loads(shlex.split(command)[-1])["data"]) == ["s3-endpoint"]


def test_commands_are_for_the_namespace() -> None:
    for command in (new_config_map("team-a"), new_s3_secret("team-a")):
        assert shlex.split(command)[:3] == ["kubectl", "-n", "team-a"]
