"""What `modelway compile` writes for whoever applies it to a cluster."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import components

import modelway.components
from modelway.pipelines.compile import pipeline_objects
from modelway.pipelines.compile_checks.critical_path import levels

Command = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).resolve().parents[2]
PIPELINES = ("promote", "release")
IMAGE = "registry.example/modelway@sha256:" + "a" * 64


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory, modelway: Command) -> Path:
    """Everything, down to staging, for an image by its digest."""
    folder = tmp_path_factory.mktemp("compiled")
    ran = modelway(
        "compile", "-o", "dist", "--until", "staging", "--image", IMAGE, "--kubernetes", "--json", cwd=folder
    )
    assert ran.returncode == 0, ran.stderr
    output = json.loads(ran.stdout)
    assert sorted(output["files"]) == sorted(
        str(file.relative_to(folder)) for file in (folder / "dist").rglob("*.yaml")
    )
    (folder / "printed.json").write_text(ran.stdout, encoding="utf-8")
    return folder / "dist"


@pytest.fixture(scope="module")
def output(dist: Path) -> dict[str, Any]:
    """What the command printed with it."""
    content: dict[str, Any] = json.loads((dist.parent / "printed.json").read_text(encoding="utf-8"))
    return content


def _documents(file: Path) -> list[dict[str, Any]]:
    return list(yaml.load_all(file.read_text(encoding="utf-8"), yaml.CSafeLoader))


def _executors(specification: dict[str, Any]) -> dict[str, Any]:
    return {name: executor["container"] for name, executor in specification["deploymentSpec"]["executors"].items()}


def test_there_is_the_pipeline_and_every_component(dist: Path) -> None:
    files = {str(file.relative_to(dist)) for file in dist.rglob("*.yaml")}
    assert files == {
        *(f"{name}{kind}.yaml" for name in ("promote", "release") for kind in ("", ".kubernetes")),
        *(f"components/{name}/component.yaml" for name in modelway.components.__all__),
    }
    assert len(modelway.components.__all__) == 12


@pytest.mark.parametrize("name", modelway.components.__all__)
def test_every_component_can_be_loaded_and_runs_in_the_image(dist: Path, name: str) -> None:
    file = dist / "components" / name / "component.yaml"
    component = components.load_component_from_file(str(file))
    assert component.name == name.replace("_", "-")
    assert component.component_spec.inputs
    (container,) = _executors(_documents(file)[0]).values()
    assert container["image"] == IMAGE
    assert "pip install" not in " ".join(container["command"])


def test_the_pipeline_can_be_loaded_and_every_executor_has_the_image(dist: Path) -> None:
    component = components.load_component_from_file(str(dist / "release.yaml"))
    assert component.name == "release"
    assert {"project", "contract", "policy", "store"} <= set(component.component_spec.inputs or {})
    executors = _executors(_documents(dist / "release.yaml")[0])
    assert {container["image"] for container in executors.values()} == {IMAGE}
    stages = {
        container["args"][container["args"].index("--function_to_execute") + 1] for container in executors.values()
    }
    assert stages == set(modelway.components.__all__)


def test_packaging_and_deploying_are_given_keys_and_nobody_else(dist: Path) -> None:
    specification, platform = _documents(dist / "release.yaml")
    mounted = {
        _executors(specification)[name]["args"][-1]: {
            volume.get("secretName") or volume["configMapName"]
            for kind in ("secretAsVolume", "configMapAsVolume")
            for volume in executor.get(kind, ())
        }
        for name, executor in platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].items()
    }
    assert {name: sources for name, sources in mounted.items() if sources != {"modelway"}} == {
        "package_model": {"modelway", "modelway-signing-key", "modelway-encryption-recipient", "modelway-registry"},
        "deploy_model": {"modelway", "modelway-verifying-key", "modelway-registry"},
    }


@pytest.mark.parametrize("name", PIPELINES)
def test_every_task_is_given_the_services_and_the_runs_id(dist: Path, name: str) -> None:
    specification, platform = _documents(dist / f"{name}.yaml")
    settings = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert set(settings) == set(specification["deploymentSpec"]["executors"])
    for executor in settings.values():
        assert executor["fieldPathAsEnv"] == [
            {"name": "MODELWAY_RUN", "fieldPath": "metadata.labels['pipeline/runid']"}
        ]
        (services,) = [
            reference for reference in executor["configMapAsVolume"] if reference["configMapName"] == "modelway"
        ]
        assert (services["mountPath"], services["optional"]) == ("/var/run/modelway/services", True)
        assert [reference["secretName"] for reference in executor["secretAsEnv"]] == ["mlpipeline-minio-artifact"]
        assert {reference["configMapName"] for reference in executor["configMapAsEnv"]} == {"modelway"}
        variables = {entry["envVar"] for reference in executor["configMapAsEnv"] for entry in reference["keyToEnv"]}
        assert variables >= {"AWS_ENDPOINT_URL", "AWS_REGION", "MLFLOW_TRACKING_URI"}
        references = [*executor["secretAsEnv"], *executor["configMapAsEnv"], *executor["configMapAsVolume"]]
        assert all(reference["optional"] for reference in references)
        assert executor["securityContext"]["runAsNonRoot"] is True


@pytest.mark.parametrize("name", PIPELINES)
def test_every_task_has_requests_and_limits_that_a_quota_admits(dist: Path, name: str) -> None:
    limit_range = yaml.safe_load((ROOT / "manifests" / "base" / "quotas" / "limits.yaml").read_text(encoding="utf-8"))
    (greatest,) = [bounds["max"] for bounds in limit_range["spec"]["limits"] if bounds["type"] == "Container"]
    assert greatest["memory"].endswith("Gi")
    for container in _executors(_documents(dist / f"{name}.yaml")[0]).values():
        resources = container["resources"]
        for kind in ("cpu", "memory"):
            assert 0 < resources[f"{kind}Request"] <= resources[f"{kind}Limit"]
            assert resources[f"resource{kind.title()}Request"]
            assert resources[f"resource{kind.title()}Limit"]
        assert resources["cpuLimit"] <= float(greatest["cpu"])
        assert resources["memoryLimit"] <= float(greatest["memory"].removesuffix("Gi")) * 2**30 / 1e9
        assert resources["memoryRequest"] >= 0.25  # the libraries alone take 200 to 300 MiB


@pytest.mark.parametrize("name", PIPELINES)
def test_the_critical_path_and_the_size_are_printed(dist: Path, output: dict[str, Any], name: str) -> None:
    specification = _documents(dist / f"{name}.yaml")[0]
    parameters = specification["root"]["inputDefinitions"]["parameters"]
    assert output["pipelines"][name] == {
        "file": f"dist/{name}.yaml",
        "bytes": (dist / f"{name}.yaml").stat().st_size,
        "levels": levels(specification),
        "parameters": {key: definition.get("defaultValue") for key, definition in parameters.items()},
        "images": dict.fromkeys(output["pipelines"][name]["images"], IMAGE),
    }
    assert len(output["pipelines"][name]["images"]) == len(specification["deploymentSpec"]["executors"])
    assert (output["backend"], output["lost"]) == ("2.16", [])


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_is_flat_and_small(output: dict[str, Any], name: str) -> None:
    """At most a root, a handler and ten stages, one after the other, in 100 KB."""
    about = output["pipelines"][name]
    assert about["levels"] <= 1 + 1 + 2 * 10
    assert about["bytes"] <= 100_000


def test_a_release_to_a_registered_model_is_18_levels_deep(tmp_path: Path, modelway: Command) -> None:
    ran = modelway("compile", "-o", "dist", "--json", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["pipelines"]["release"]["levels"] <= 18


@pytest.mark.parametrize("name", PIPELINES)
def test_the_kubernetes_objects_hold_the_same_pipeline(dist: Path, name: str) -> None:
    pipeline, version_object = _documents(dist / f"{name}.kubernetes.yaml")
    assert (pipeline["apiVersion"], pipeline["kind"]) == ("pipelines.kubeflow.org/v2beta1", "Pipeline")
    assert (version_object["apiVersion"], version_object["kind"]) == (
        "pipelines.kubeflow.org/v2beta1",
        "PipelineVersion",
    )
    assert pipeline["metadata"] == {"name": f"modelway-{name}"}
    assert re.fullmatch(f"modelway-{name}-[0-9a-f]{{12}}", version_object["metadata"]["name"])
    assert version_object["spec"]["displayName"] == version_object["metadata"]["name"]
    assert version_object["spec"]["pipelineName"] == pipeline["metadata"]["name"]
    specification, platform = _documents(dist / f"{name}.yaml")
    assert version_object["spec"]["pipelineSpec"] == specification
    assert version_object["spec"]["platformSpec"] == platform
    assert version_object["spec"]["description"] == pipeline["spec"]["description"]


def test_compiling_again_writes_the_same_bytes(dist: Path, tmp_path: Path, modelway: Command) -> None:
    options = ("--until", "staging", "--image", IMAGE, "--kubernetes")
    ran = modelway("compile", "-o", "dist", *options, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    files = {file.relative_to(dist): file.read_bytes() for file in dist.rglob("*.yaml")}
    again = tmp_path / "dist"
    assert {file.relative_to(again): file.read_bytes() for file in again.rglob("*.yaml")} == files


@pytest.mark.parametrize("part", ["specification", "platform", "description"])
def test_a_changed_pipeline_is_another_version_of_the_same_pipeline(dist: Path, part: str) -> None:
    pipeline, version_object = _documents(dist / "promote.kubernetes.yaml")
    content = {
        "specification": version_object["spec"]["pipelineSpec"],
        "platform": version_object["spec"]["platformSpec"],
        "description": version_object["spec"]["description"],
    }
    assert pipeline_objects("modelway-promote", **content) == (pipeline, version_object)
    content[part] = "Another." if part == "description" else {**content[part], "more": True}
    other_pipeline, other_version = pipeline_objects("modelway-promote", **content)
    assert other_pipeline["metadata"] == pipeline["metadata"]
    assert other_version["metadata"]["name"] != version_object["metadata"]["name"]


def test_without_an_image_it_is_this_versions(tmp_path: Path, modelway: Command) -> None:
    ran = modelway("compile", "-o", tmp_path / "dist", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "release.yaml" in ran.stdout
    assert not (tmp_path / "dist" / "release.kubernetes.yaml").exists()
    images = {
        container["image"] for container in _executors(_documents(tmp_path / "dist" / "release.yaml")[0]).values()
    }
    assert images == {f"modelway/components:{version('modelway')}"}
