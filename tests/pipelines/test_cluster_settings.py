"""What a project says of resources, places, images and labels is what its compiled tasks have; else nothing changes."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler
from user_files import minimal_project

import modelway.components
from modelway.components.core.config.project import Project
from modelway.components.core.config.resources import Cpu, Memory
from modelway.pipelines.cluster_settings import CODE_STAGES, TaskSettings
from modelway.pipelines.promote import promote_pipeline
from modelway.pipelines.release import release_pipeline

CODE = f"registry.example.com/claims@sha256:{'c0' * 32}"
CUDA = f"registry.example.com/cuda@sha256:{'da' * 32}"
SPOT_TERMS = [
    ("cloud.google.com/gke-spot", "true"),
    ("eks.amazonaws.com/capacityType", "SPOT"),
    ("karpenter.sh/capacity-type", "spot"),
    ("kubernetes.azure.com/scalesetpriority", "spot"),
]

Executors = dict[str, dict[str, Any]]
Compile = Callable[..., tuple[Executors, Executors]]


@pytest.fixture
def compile_documents(tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """The two documents of a compiled pipeline."""

    def documents(settings: TaskSettings, pipeline: str = "release") -> list[dict[str, Any]]:
        file = tmp_path / "compiled.yaml"
        compilable = release_pipeline("staging", settings) if pipeline == "release" else promote_pipeline(settings)
        compiler.Compiler().compile(compilable, str(file))
        return list(yaml.load_all(file.read_text(encoding="utf-8"), yaml.CSafeLoader))

    return documents


@pytest.fixture
def executors(compile_documents: Callable[..., list[dict[str, Any]]]) -> Compile:
    """By stage, the containers of a compiled pipeline's tasks, and their settings for Kubernetes."""

    def by_stage(project: Project, pipeline: str = "release", *, code_image: str = "") -> tuple[Executors, Executors]:
        specification, platform = compile_documents(TaskSettings.of(project, code_image=code_image), pipeline)
        containers = {
            _stage(label): executor["container"]
            for label, executor in specification["deploymentSpec"]["executors"].items()
        }
        settings = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
        return containers, {_stage(label): executor for label, executor in settings.items()}

    return by_stage


def _stage(label: str) -> str:
    return label.removeprefix("exec-").replace("-", "_")


def _amounts(container: dict[str, Any], kind: str) -> tuple[str, str]:
    """The request and the limit as they stand in the pipeline."""
    resources = container["resources"]
    return resources[f"resource{kind.title()}Request"], resources[f"resource{kind.title()}Limit"]


def test_a_project_without_settings_compiles_to_what_none_compiles_to(
    compile_documents: Callable[..., list[dict[str, Any]]],
) -> None:
    assert compile_documents(TaskSettings.of(minimal_project())) == compile_documents(TaskSettings())
    assert compile_documents(TaskSettings.of(minimal_project()), "promote") == compile_documents(
        TaskSettings(), "promote"
    )


def test_settings_are_all_that_changes_and_do_not_stay(compile_documents: Callable[..., list[dict[str, Any]]]) -> None:
    before = compile_documents(TaskSettings())
    project = minimal_project(
        labels={"team": "risk"},
        resources={"default": {"cpu": 3, "gpu": {}, "spot": True, "timeout": "1h"}},
    )
    settings = compile_documents(TaskSettings.of(project))
    assert settings != before
    for document in (specification := deepcopy(settings[0]), unset := deepcopy(before[0])):
        for executor in document["deploymentSpec"]["executors"].values():
            del executor["container"]["resources"]
    assert specification == unset
    assert compile_documents(TaskSettings()) == before


def test_each_task_has_the_s3_keys_of_its_concern_alone(
    executors: Compile, compile_documents: Callable[..., list[dict[str, Any]]], root: Path
) -> None:
    """Against a task that was taken over: training code has no keys that write models, packages or the audit log."""
    secrets = {}
    for pipeline in ("release", "promote"):
        containers, settings = executors(minimal_project(s3_accounts="separate"), pipeline)
        for stage, executor in settings.items():
            (source,) = executor["secretAsEnv"]
            assert {entry["envVar"] for entry in source["keyToEnv"]} == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
            variables = {entry["name"]: entry["value"] for entry in containers[stage]["env"]}
            assert variables["MODELWAY_S3_SECRET"] == source["secretName"]
            secrets[stage] = source["secretName"]
    deciding = ("resolve_inputs", "enforce_gate", "register_model", "record_outcome")
    assert secrets == {
        **dict.fromkeys(modelway.components.__all__, "modelway-s3-runner"),
        **dict.fromkeys(deciding, "modelway-s3-registrar"),
        "package_model": "modelway-s3-packager",
        "deploy_model": "modelway-s3-deployer",
    }
    for name in secrets.values():
        assert (root / "manifests" / "base" / "storage" / f"{name.removeprefix('modelway-s3-')}.json").is_file()
    for document in compile_documents(TaskSettings()):
        assert "modelway-s3" not in str(document)


@pytest.mark.parametrize("pipeline", ["release", "promote"])
def test_the_default_is_every_stages_and_a_stages_own_keys_win(executors: Compile, pipeline: str) -> None:
    project = minimal_project(
        resources={
            "default": {"cpu": {"request": "300m", "limit": 1}, "timeout": "1h"},
            "record_outcome": {"cpu": "700m"},
            "train_model": {"timeout": "90s"},
        }
    )
    containers, settings = executors(project, pipeline)
    for stage, container in containers.items():
        expected = ("700m", "700m") if stage == "record_outcome" else ("300m", "1")
        assert _amounts(container, "cpu") == expected, stage
        assert int(settings[stage]["activeDeadlineSeconds"]) == (90 if stage == "train_model" else 3600), stage


@pytest.mark.parametrize(
    ("keys", "cpu", "memory"),
    [
        ({}, ("500m", "4"), ("1Gi", "8Gi")),
        ({"cpu": 2}, ("2", "2"), ("1Gi", "8Gi")),
        ({"cpu": {"request": 2}}, ("2", "4"), ("1Gi", "8Gi")),
        ({"cpu": {"request": 6}}, ("6", "6"), ("1Gi", "8Gi")),
        ({"cpu": {"limit": "250m"}}, ("250m", "250m"), ("1Gi", "8Gi")),
        ({"memory": {"limit": "16Gi"}}, ("500m", "4"), ("1Gi", "16Gi")),
        ({"memory": {"request": "64G"}}, ("500m", "4"), ("64G", "64G")),
        ({"memory": {"limit": "512Mi"}}, ("500m", "4"), ("512Mi", "512Mi")),
        ({"memory": None}, ("500m", "4"), ("1Gi", "8Gi")),
    ],
)
def test_what_is_left_open_is_the_stages_own_default_within_what_is_said(
    executors: Compile, keys: dict[str, Any], cpu: tuple[str, str], memory: tuple[str, str]
) -> None:
    container = executors(minimal_project(resources={"train_model": keys}))[0]["train_model"]
    assert _amounts(container, "cpu") == cpu
    assert _amounts(container, "memory") == memory


@pytest.mark.parametrize("stage", modelway.components.__all__)
def test_every_stage_has_requests_and_limits(stage: str) -> None:
    resources = TaskSettings.of(minimal_project()).resources_for(stage)
    assert resources == TaskSettings().resources_for(stage)
    assert isinstance(resources.cpu, Cpu)
    assert isinstance(resources.memory, Memory)
    assert all((resources.cpu.request, resources.cpu.limit, resources.memory.request, resources.memory.limit))


def test_a_gpu_is_asked_for_by_its_resource_and_its_number(executors: Compile) -> None:
    gpu = {"type": "amd.com/gpu", "count": 2}
    containers, _ = executors(minimal_project(resources={"train_model": {"gpu": gpu}, "evaluate_model": {"gpu": {}}}))
    assert containers["train_model"]["resources"]["accelerator"] == {
        "type": "amd.com/gpu",
        "resourceType": "amd.com/gpu",
        "count": "2",
        "resourceCount": "2",
    }
    assert containers["evaluate_model"]["resources"]["accelerator"]["resourceType"] == "nvidia.com/gpu"
    assert containers["evaluate_model"]["resources"]["accelerator"]["resourceCount"] == "1"
    assert [stage for stage, container in containers.items() if "accelerator" in container["resources"]] == [
        "evaluate_model",
        "train_model",
    ]


def test_nodes_are_chosen_and_taints_tolerated(executors: Compile) -> None:
    keys = {
        "node_selector": {"cloud.google.com/gke-accelerator": "nvidia-tesla-t4"},
        "tolerations": [
            {"key": "gpu", "value": "t4", "effect": "NoExecute", "seconds": 60},
            {"operator": "Exists", "effect": "PreferNoSchedule"},
        ],
    }
    _, settings = executors(minimal_project(resources={"train_model": keys}))
    assert settings["train_model"]["nodeSelector"] == {"labels": keys["node_selector"]}
    assert settings["train_model"]["tolerations"] == [
        {"key": "gpu", "operator": "Equal", "value": "t4", "effect": "NoExecute", "tolerationSeconds": "60"},
        {"operator": "Exists", "effect": "PreferNoSchedule"},
    ]
    assert not {"nodeSelector", "tolerations", "nodeAffinity"} & set(settings["evaluate_model"])


def test_spot_asks_for_any_providers_spot_nodes_and_tolerates_their_taints(executors: Compile) -> None:
    _, settings = executors(minimal_project(resources={"default": {"spot": True}, "register_model": {"spot": False}}))
    # A term each: KFP's driver makes them alternatives, of which a node must fit one.
    assert settings["train_model"]["nodeAffinity"] == [
        {"matchExpressions": [{"key": key, "operator": "In", "values": [value]}]} for key, value in SPOT_TERMS
    ]
    assert settings["train_model"]["tolerations"] == [
        {"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"}
        for key, value in (SPOT_TERMS[0], SPOT_TERMS[3])
    ]
    assert not {"tolerations", "nodeAffinity"} & set(settings["register_model"])


def test_labels_are_those_of_every_pod(executors: Compile) -> None:
    labels = {"team": "risk", "example.com/cost-center": "4711"}
    for pipeline in ("release", "promote"):
        _, settings = executors(minimal_project(labels=labels), pipeline)
        assert all(executor["podMetadata"] == {"labels": labels} for executor in settings.values())


def test_the_projects_code_is_given_to_the_stages_that_run_it_and_a_stages_own_image_wins(executors: Compile) -> None:
    library = executors(minimal_project())[0]
    code = executors(minimal_project(resources={"train_model": {"image": CUDA}}), code_image=CODE)[0]
    assert set(CODE_STAGES) == {"train_model", "evaluate_model", "probe_model", "package_model"}
    for stage, container in code.items():
        expected = CODE if stage in CODE_STAGES else library[stage]["image"]
        assert container["image"] == (CUDA if stage == "train_model" else expected), stage


def test_an_image_for_every_stage_leaves_the_projects_code_where_it_runs(executors: Compile) -> None:
    project = minimal_project(resources={"default": {"image": CUDA}})
    assert {container["image"] for container in executors(project)[0].values()} == {CUDA}
    containers, _ = executors(project, code_image=CODE)
    assert {stage for stage, container in containers.items() if container["image"] == CODE} == set(CODE_STAGES)
    assert {container["image"] for container in containers.values()} == {CODE, CUDA}
