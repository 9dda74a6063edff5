"""`modelway compile`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

Command = Callable[..., subprocess.CompletedProcess[str]]


def test_a_release_goes_no_further_than_staging(tmp_path: Path, modelway: Command) -> None:
    ran = modelway("compile", "-o", "dist", "--until", "production", cwd=tmp_path)
    assert ran.returncode == 2
    assert "staging" in ran.stderr


def test_an_older_server_is_compiled_for_and_what_it_loses_is_said(tmp_path: Path, modelway: Command) -> None:
    ran = modelway("compile", "-o", "dist", "--backend", "2.14.3", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    output = " ".join(ran.stdout.split())
    assert "for Kubeflow Pipelines 2.14 and later" in output
    assert "levels on the critical path" in output
    assert "securityContext of " in output
    assert "the Secret 'mlpipeline-minio-artifact' must exist with 'accesskey', 'secretkey'" in output
    assert "the ConfigMap 'modelway' must exist with 's3-endpoint', 's3-region', 'mlflow-tracking-uri'" in output
    assert "securityContext" not in (tmp_path / "dist" / "release.yaml").read_text(encoding="utf-8")


def test_a_server_that_is_too_old_is_named_and_nothing_is_written(tmp_path: Path, modelway: Command) -> None:
    ran = modelway("compile", "-o", "dist", "--backend", "2.5", "--json", cwd=tmp_path)
    assert ran.returncode == 2
    error = json.loads(ran.stdout)["error"]
    assert error["message"] == "Kubeflow Pipelines 2.5 is too old for these pipelines, which need 2.14 or later"
    assert (error["key"], error["value"]) == ("--backend", "2.5")
    assert not (tmp_path / "dist").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, modelway: Command) -> None:
    (tmp_path / "dist").write_text("a file", encoding="utf-8")
    ran = modelway("compile", "-o", "dist", "--json", cwd=tmp_path)
    assert ran.returncode == 2
    error = json.loads(ran.stdout)["error"]
    assert error["message"].startswith("dist cannot be written")
    assert error["file"] == "dist"
    assert "-o" in error["remedy"]
