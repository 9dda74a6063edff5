"""What `modelway compile` writes for whoever applies it to a cluster."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import components

import modelway.components

Command = Callable[..., subprocess.CompletedProcess[str]]

IMAGE = "registry.example/modelway@sha256:" + "a" * 64


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory, modelway: Command) -> Path:
    """Everything, for an image by its digest."""
    folder = tmp_path_factory.mktemp("compiled")
    ran = modelway("compile", "-o", "dist", "--image", IMAGE, "--kubernetes", "--json", cwd=folder)
    assert ran.returncode == 0, ran.stderr
    files = json.loads(ran.stdout)["files"]
    assert sorted(files) == sorted(str(file.relative_to(folder)) for file in (folder / "dist").rglob("*.yaml"))
    return folder / "dist"


def _documents(file: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(file.read_text(encoding="utf-8")))


def _executors(specification: dict[str, Any]) -> dict[str, Any]:
    return {name: one["container"] for name, one in specification["deploymentSpec"]["executors"].items()}


def test_there_is_the_pipeline_and_every_component(dist: Path) -> None:
    made = {str(file.relative_to(dist)) for file in dist.rglob("*.yaml")}
    assert made == {
        *(f"{name}{kind}.yaml" for name in ("promote", "release") for kind in ("", ".kubernetes")),
        *(f"components/{name}/component.yaml" for name in modelway.components.__all__),
    }
    assert len(modelway.components.__all__) == 11


@pytest.mark.parametrize("name", modelway.components.__all__)
def test_every_component_can_be_loaded_and_runs_in_the_image(dist: Path, name: str) -> None:
    file = dist / "components" / name / "component.yaml"
    loaded = components.load_component_from_file(str(file))
    assert loaded.name == name.replace("_", "-")
    assert loaded.component_spec.inputs
    (container,) = _executors(_documents(file)[0]).values()
    assert container["image"] == IMAGE
    assert "pip install" not in " ".join(container["command"])


def test_the_pipeline_can_be_loaded_and_every_executor_has_the_image(dist: Path) -> None:
    loaded = components.load_component_from_file(str(dist / "release.yaml"))
    assert loaded.name == "release"
    assert {"project", "contract", "policy", "store"} <= set(loaded.component_spec.inputs or {})
    executors = _executors(_documents(dist / "release.yaml")[0])
    assert {container["image"] for container in executors.values()} == {IMAGE}
    stages = {
        container["args"][container["args"].index("--function_to_execute") + 1] for container in executors.values()
    }
    assert stages == set(modelway.components.__all__)


def test_what_touches_the_world_is_never_cached_and_the_rest_is(dist: Path) -> None:
    specification = _documents(dist / "release.yaml")[0]
    dags = [specification["root"], *specification["components"].values()]
    tasks = [task for dag in dags for task in dag.get("dag", {}).get("tasks", {}).values()]
    cached: dict[str, set[bool]] = {}
    for task in tasks:
        component = task["componentRef"]["name"].removeprefix("comp-").rstrip("-23")
        if (
            f"comp-{component}" in specification["components"]
            and "dag" not in specification["components"][f"comp-{component}"]
        ):
            cached.setdefault(component, set()).add(task["cachingOptions"].get("enableCache", False))
    pure = {"ingest-data", "validate-data", "prepare-features", "train-model", "evaluate-model", "probe-model"}
    assert {name for name, found in cached.items() if found == {True}} == pure
    assert {name for name, found in cached.items() if found == {False}} == {
        "deploy-model",
        "package-model",
        "register-model",
        "reject",
        "record-outcome",
    }


def test_packaging_and_deploying_are_given_keys_and_nobody_else(dist: Path) -> None:
    specification, platform = _documents(dist / "release.yaml")
    mounted = {
        _executors(specification)[name]["args"][-1]: {
            one.get("secretName") or one["configMapName"]
            for kind in ("secretAsVolume", "configMapAsVolume")
            for one in executor.get(kind, ())
        }
        for name, executor in platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].items()
    }
    assert {name: found for name, found in mounted.items() if found} == {
        "package_model": {"modelway-signing-key", "modelway-encryption-key", "modelway-registry"},
        "deploy_model": {"modelway-verifying-key", "modelway-registry"},
    }


@pytest.mark.parametrize("name", ["promote", "release"])
def test_the_kubernetes_objects_hold_the_same_pipeline(dist: Path, name: str) -> None:
    pipeline, made = _documents(dist / f"{name}.kubernetes.yaml")
    assert (pipeline["apiVersion"], pipeline["kind"]) == ("pipelines.kubeflow.org/v2beta1", "Pipeline")
    assert (made["apiVersion"], made["kind"]) == ("pipelines.kubeflow.org/v2beta1", "PipelineVersion")
    assert made["spec"]["pipelineName"] == pipeline["metadata"]["name"]
    specification = _documents(dist / f"{name}.yaml")[0]
    assert _executors(made["spec"]["pipelineSpec"]) == _executors(specification)
    assert made["spec"]["pipelineSpec"]["root"] == specification["root"]


def test_without_an_image_it_is_this_versions(tmp_path: Path, modelway: Command) -> None:
    ran = modelway("compile", "-o", tmp_path / "dist", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "release.yaml" in ran.stdout
    assert not (tmp_path / "dist" / "release.kubernetes.yaml").exists()
    images = {
        container["image"] for container in _executors(_documents(tmp_path / "dist" / "release.yaml")[0]).values()
    }
    assert images == {f"modelway/components:{version('modelway')}"}


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, modelway: Command) -> None:
    (tmp_path / "dist").write_text("a file", encoding="utf-8")
    ran = modelway("compile", "-o", "dist", "--json", cwd=tmp_path)
    assert ran.returncode == 2
    error = json.loads(ran.stdout)["error"]
    assert error["message"].startswith("dist cannot be written")
    assert error["file"] == "dist"
    assert "-o" in error["remedy"]
