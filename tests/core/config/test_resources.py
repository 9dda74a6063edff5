"""What a project may give its stages: as Kubernetes and KFP take it, and refused with a remedy where they would not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from modelway.components.core.config.project import Project
from modelway.components.core.config.resources import Cpu, Gpu, Memory, StageResources, in_seconds, size
from modelway.components.core.errors import ModelwayError

Text = Callable[..., str]
DIGEST = f"sha256:{'0a' * 32}"


def _project(text: Text, keys: dict[str, Any], stage: str = "train_model") -> Project:
    return Project.parse(text({"resources": {stage: keys}}))


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [
        (2, Cpu(request="2", limit="2")),
        (0.5, Cpu(request="0.5", limit="0.5")),
        ("250m", Cpu(request="250m", limit="250m")),
        ({"request": "500m", "limit": 1}, Cpu(request="500m", limit="1")),
        ({"request": "1000m", "limit": 1}, Cpu(request="1000m", limit="1")),
        ({"limit": 4}, Cpu(limit="4")),
    ],
)
def test_cpu_is_a_quantity_or_a_request_and_a_limit(project_text: Text, quantity: Any, amount: Cpu) -> None:
    assert _project(project_text, {"cpu": quantity}).resources_for("train_model").cpu == amount


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [
        ("4Gi", Memory(request="4Gi", limit="4Gi")),
        (4_000_000_000, Memory(request="4000000000", limit="4000000000")),
        ({"request": "1024Mi", "limit": "1Gi"}, Memory(request="1024Mi", limit="1Gi")),
        ({"request": "1G"}, Memory(request="1G")),
    ],
)
def test_memory_is_a_quantity_or_a_request_and_a_limit(project_text: Text, quantity: Any, amount: Memory) -> None:
    assert _project(project_text, {"memory": quantity}).resources_for("train_model").memory == amount


@pytest.mark.parametrize(
    ("quantity", "number"),
    [
        ("2", 2),
        ("0.5", 0.5),
        ("250m", 0.25),
        ("1Ki", 2**10),
        ("3M", 3e6),
        ("3Mi", 3 * 2**20),
        ("1G", 1e9),
        ("2Ei", 2**61),
    ],
)
def test_a_quantity_is_a_number(quantity: str, number: float) -> None:
    assert size(quantity) == number


@pytest.mark.parametrize(
    ("keys", "key", "says"),
    [
        ({"cpu": True}, "cpu", "not an amount of CPU"),
        ({"cpu": "two"}, "cpu", "such as 2 or 0.5"),
        ({"cpu": "1.5m"}, "cpu", "not an amount of CPU"),
        ({"cpu": -1}, "cpu", "not an amount of CPU"),
        ({"cpu": 0}, "cpu", "at least 1m"),
        ({"cpu": {}}, "cpu", "at least one of `request` and `limit`"),
        ({"cpu": {"request": 2, "limit": "1500m"}}, "cpu", "more than the limit 1500m"),
        ({"cpu": {"requests": 2}}, "cpu.requests", "no such key"),
        ({"memory": "1.5Gi"}, "memory", "such as 1536Mi"),
        ({"memory": "512K"}, "memory", "not an amount of memory"),
        ({"memory": "512k"}, "memory", "not an amount of memory"),
        ({"memory": "0Gi"}, "memory", "positive"),
        ({"memory": {"request": "2G", "limit": "1Gi"}}, "memory", "more than the limit 1Gi"),
        ({"gpu": {"type": "A100"}}, "gpu.type", "nvidia.com/gpu, and choose the model of GPU by `node_selector`"),
        ({"gpu": {"type": "NVIDIA_TESLA_K80"}}, "gpu.type", "`node_selector`"),
        ({"gpu": {"type": "kubernetes.io/gpu"}}, "gpu.type", "`node_selector`"),
        ({"gpu": {"type": "node.kubernetes.io/gpu"}}, "gpu.type", "`node_selector`"),
        ({"gpu": {"type": "requests.nvidia.com/gpu"}}, "gpu.type", "`node_selector`"),
        ({"gpu": {"type": "nvidia.com/"}}, "gpu.type", "`node_selector`"),
        ({"gpu": {"type": "Nvidia.com/gpu"}}, "gpu.type", "`node_selector`"),
        ({"gpu": {"count": 0}}, "gpu.count", "greater than or equal to 1"),
        ({"gpu": 1}, "gpu", "valid"),
        ({"node_selector": {"a b": "c"}}, "node_selector.a b", "not a label's name"),
        ({"node_selector": {"A.com/b": "c"}}, "node_selector.A.com/b", "not a label's name"),
        ({"node_selector": {"/b": "c"}}, "node_selector./b", "not a label's name"),
        ({"node_selector": {"gpu": True}}, "node_selector.gpu", 'write "true", in quotes'),
        ({"node_selector": {"gpu": 80}}, "node_selector.gpu", 'write "80", in quotes'),
        ({"node_selector": {"gpu": "a" * 64}}, "node_selector.gpu", "not a label's value"),
        ({"node_selector": {"gpu": "a-"}}, "node_selector.gpu", "not a label's value"),
        ({"tolerations": [{}]}, "tolerations.0", "`operator: Exists`"),
        ({"tolerations": [{"key": "gpu", "operator": "Exists", "value": "a"}]}, "tolerations.0", "no `value`"),
        ({"tolerations": [{"key": "gpu", "operator": "In"}]}, "tolerations.0.operator", "'Equal' or 'Exists'"),
        ({"tolerations": [{"key": "gpu", "seconds": 3}]}, "tolerations.0", "`effect: NoExecute` only"),
        ({"tolerations": [{"key": "gpu", "effect": "NoSchedule", "seconds": 3}]}, "tolerations.0", "NoExecute"),
        ({"tolerations": [{"key": "gpu", "effect": "Never"}]}, "tolerations.0.effect", "'NoSchedule'"),
        ({"timeout": 3600}, "timeout", "such as 30s, 90m or 1h30m"),
        ({"timeout": "2 hours"}, "timeout", "not a duration"),
        ({"timeout": "30m1h"}, "timeout", "not a duration"),
        ({"timeout": "0s"}, "timeout", "from 1s"),
        ({"timeout": ""}, "timeout", "from 1s"),
        ({"timeout": "999999999h"}, "timeout", "2147483647s"),
        ({"image": "registry.example.com/cuda:12"}, "image", "is not pinned; write the image by its digest"),
        ({"image": f"registry.example.com/cuda@{DIGEST[:-1]}"}, "image", "is not pinned"),
        ({"image": f"@{DIGEST}"}, "image", "is not pinned"),
        ({"retries": 3}, "retries", "no such key"),
    ],
)
def test_what_a_cluster_would_refuse_is_refused_with_its_key(
    project_text: Text, keys: dict[str, Any], key: str, says: str
) -> None:
    with pytest.raises(ModelwayError) as error:
        _project(project_text, keys)
    assert error.value.key == f"resources.train_model.{key}"
    assert says in error.value.message


@pytest.mark.parametrize(
    "keys",
    [
        {"gpu": {}},
        {"gpu": {"type": "amd.com/gpu", "count": 4}},
        {"gpu": {"type": "nvidia.com/mig-1g.5gb"}},
        {"node_selector": {"cloud.google.com/gke-accelerator": "nvidia-tesla-t4", "fast": ""}},
        {"tolerations": [{"operator": "Exists"}]},
        {"tolerations": [{"key": "gpu"}, {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]},
        {"tolerations": [{"key": "gpu", "value": "a100", "effect": "NoExecute", "seconds": 0}]},
        {"spot": True},
        {"image": f"registry.example.com:5000/cuda:12@{DIGEST}"},
        {"image": f"python@{DIGEST}"},
        {},
    ],
)
def test_what_a_cluster_takes_is_read(project_text: Text, keys: dict[str, Any]) -> None:
    assert _project(project_text, keys).resources_for("train_model") == StageResources.model_validate(keys)


@pytest.mark.parametrize(
    ("duration", "seconds"), [("30s", 30), ("90m", 5400), ("2h", 7200), ("1h30m", 5400), ("1h1s", 3601)]
)
def test_a_timeout_is_a_duration(project_text: Text, duration: str, seconds: int) -> None:
    timeout = _project(project_text, {"timeout": duration}).resources_for("train_model").timeout
    assert timeout == duration
    assert in_seconds(timeout) == seconds


def test_a_gpu_is_one_of_nvidias_unless_it_says_more() -> None:
    assert Gpu() == Gpu(type="nvidia.com/gpu", count=1)


def test_a_stages_keys_win_over_the_defaults(project_text: Text) -> None:
    default = {"cpu": {"request": 1, "limit": 2}, "gpu": {"count": 2}, "spot": True, "timeout": "1h"}
    stage = {"cpu": 4, "gpu": None, "spot": False}
    project = Project.parse(project_text({"resources": {"default": default, "train_model": stage}}))
    assert project.resources_for("probe_model") == StageResources.model_validate(default)
    resources = project.resources_for("train_model")
    assert resources.cpu == Cpu(request="4", limit="4")
    assert (resources.gpu, resources.spot, resources.timeout) == (None, False, "1h")


def test_a_project_that_says_nothing_gives_nothing(project_text: Text) -> None:
    assert Project.parse(project_text()).resources_for("train_model") == StageResources()


@pytest.mark.parametrize(
    ("stage", "says"),
    [("train", "did you mean train_model?"), ("train-model", "did you mean train_model?"), ("x", "choose default, ")],
)
def test_an_unknown_stage_is_refused_with_what_was_meant(project_text: Text, stage: str, says: str) -> None:
    with pytest.raises(ModelwayError) as error:
        _project(project_text, {"cpu": 1}, stage)
    assert error.value.key == f"resources.{stage}"
    assert f"there is no stage {stage!r}" in error.value.message
    assert says in error.value.message


@pytest.mark.parametrize(
    ("labels", "key", "says"),
    [
        ({"pipeline/runid": "a"}, "pipeline/runid", "Kubeflow Pipelines sets itself"),
        ({"pipelines.kubeflow.org/v2_component": "true"}, "pipelines.kubeflow.org/v2_component", "sets itself"),
        ({"workflows.argoproj.io/workflow": "a"}, "workflows.argoproj.io/workflow", "sets itself"),
        ({"cost center": "a"}, "cost center", "not a label's name"),
        ({"team": "a b"}, "team", "not a label's value"),
        ({"team": 7}, "team", 'write "7", in quotes'),
    ],
)
def test_labels_are_as_kubernetes_takes_them_and_none_of_kfps_own(
    project_text: Text, labels: dict[str, Any], key: str, says: str
) -> None:
    with pytest.raises(ModelwayError) as error:
        Project.parse(project_text({"labels": labels}))
    assert error.value.key == f"labels.{key}"
    assert says in error.value.message


def test_labels_of_ones_own_are_taken(project_text: Text) -> None:
    labels = {"team": "risk", "example.com/cost-center": "4711", "pipeline": "weekly"}
    assert Project.parse(project_text({"labels": labels})).labels == labels


def test_a_date_is_a_text_to_a_label(project_text: Text) -> None:
    text = project_text() + "labels: {since: 2026-01-02}\n"
    assert Project.parse(text).labels == {"since": "2026-01-02"}


def test_resources_do_not_change_once_read() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        StageResources().spot = True  # type: ignore[misc]
