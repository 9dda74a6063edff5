"""What a run needs is asked before it starts: MLflow, the store and the sources; each answer names the remedy."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from service_answers import EMPTY, SEARCH, about, serving

from modelway.components.core.errors import CredentialsError, ModelwayError
from modelway.components.core.surroundings.__main__ import main
from modelway.components.core.surroundings.findings import Status
from modelway.components.core.surroundings.services import check_surroundings, inspect_surroundings


@pytest.fixture
def silent() -> Iterator[str]:
    """A socket that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_nothing_is_said_and_nothing_left_behind_where_all_is_there(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a\n1\n", encoding="utf-8")
    check_surroundings(store=str(tmp_path / "store" / "deep"), sources=[str(tmp_path / "data.csv")])
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


def test_folders_are_asked_in_no_time(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a\n1\n", encoding="utf-8")
    start = time.monotonic()
    check_surroundings(store=str(tmp_path), sources=[str(tmp_path / "data.csv")])
    assert time.monotonic() - start < 1


def test_no_store_is_named() -> None:
    assert about("store", "").message == "no store is named"


def test_sources_that_are_not_there_are_all_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "part.csv").write_text("a\n", encoding="utf-8")
    with pytest.raises(ModelwayError) as failure:
        check_surroundings(
            store=str(tmp_path), sources=[str(tmp_path / name) for name in ("none.csv", "empty", "full")]
        )
    error = failure.value
    assert f"there is no {tmp_path / 'none.csv'} here" in error.message
    assert f"the folder {tmp_path / 'empty'} holds no files" in error.message
    assert "full" not in error.message
    assert error.key == "data.source"


def test_what_never_answers_ends_within_ten_seconds(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow.utils.rest_utils  # noqa: F401

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{silent}")
    for name, value in {"ENDPOINT_URL": silent, "ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    start = time.monotonic()
    findings = inspect_surroundings(store="s3://bucket/store", sources=["s3://bucket/data.csv"])
    assert time.monotonic() - start < 10
    assert {(finding.subject, finding.status) for finding in findings} == {
        ("MLflow", Status.UNREACHABLE),
        ("S3", Status.UNREACHABLE),
    }
    assert len(findings) == 2


@pytest.mark.usefixtures("pod")
def test_a_pod_without_config_map_and_secret_names_both_with_their_commands() -> None:
    with pytest.raises(ModelwayError) as failure:
        check_surroundings(store="s3://models/claims", sources=["s3://data/claims.csv"])
    error = failure.value
    assert "no S3 endpoint is set (Amazon's own would be https://s3.REGION.amazonaws.com)" in error.message
    assert "the ConfigMap modelway in the namespace team-a is missing" in error.message
    assert "MLFLOW_TRACKING_URI is not set" in error.message
    assert "the Secret mlpipeline-minio-artifact in the namespace team-a" in error.message
    assert "kubectl -n team-a create configmap modelway --from-literal=s3-endpoint=" in error.remedy
    assert "--from-literal=mlflow-tracking-uri=" in error.remedy
    assert "kubectl -n team-a create secret generic mlpipeline-minio-artifact --from-literal=accesskey=" in error.remedy
    assert error.remedy.count("create configmap") == 1  # once, with both keys, for the two that lack


def test_the_command_prints_json_and_says_by_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--store", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    assert main(["--store", str(tmp_path), "--source", str(tmp_path / "none.csv")]) == 2
    assert capsys.readouterr().out.startswith("missing         source  there is no ")


def test_the_command_needs_nothing_that_the_image_lacks(tmp_path: Path) -> None:
    pruned = ["typer", "rich", "sqlalchemy", "alembic", "kfp_server_api", "tabulate"]
    code = (
        f"import runpy, sys\nfor name in {pruned!r}: sys.modules[name] = None\n"
        f"sys.argv[1:] = ['--store', {str(tmp_path)!r}]\n"
        "runpy.run_module('modelway.components.core.surroundings', run_name='__main__')"
    )
    with serving({SEARCH: EMPTY}) as host:
        env: dict[str, Any] = {**os.environ, "MLFLOW_TRACKING_URI": f"http://{host}"}
        command = [sys.executable, "-c", code]
        process = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert process.returncode == 0, process.stderr
    assert "MLflow at" in process.stdout


def test_refused_keys_are_a_credentials_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with serving({SEARCH: (401, "text/plain", "no")}) as host:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{host}")
        with pytest.raises(CredentialsError):
            check_surroundings(store=str(tmp_path), sources=[])
