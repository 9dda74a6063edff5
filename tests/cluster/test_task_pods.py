"""The pods of compiled tasks on a real cluster: where they are scheduled, what a quota admits, and when they end.

Kubeflow Pipelines itself is not needed: `task_pods` makes the pods that it makes, and nothing runs in them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from kube import eventually, kubectl, kubectl_json, run_kubectl
from shared_node import whole_node
from task_pods import task_pods
from user_files import minimal_project

from modelway.pipelines.cluster_settings import TaskSettings
from modelway.pipelines.promote import promote_pipeline
from modelway.pipelines.release import release_pipeline

pytestmark = pytest.mark.cluster

Pod = dict[str, Any]

QUOTAS = Path(__file__).resolve().parents[2] / "manifests" / "base" / "quotas"
GPU = "nvidia.com/gpu"
SMALL = {"cpu": {"request": "10m"}, "memory": {"request": "16Mi"}}
# What Argo's containers are given where its controller's ConfigMap says so.
EXECUTOR = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "512Mi"}}


@pytest.fixture(scope="module")
def image() -> str:
    """An image that the node has: the one that every pod's sandbox runs."""
    images = [
        name
        for node in kubectl_json("get", "nodes")["items"]
        for entry in node["status"]["images"]
        for name in entry["names"] or ()
    ]
    # A node lists its 50 largest images only; this is the development cluster's.
    return next((name for name in images if "pause" in name), "localhost/pause:1")


@pytest.fixture(scope="module")
def node() -> str:
    """The node's name."""
    return str(kubectl_json("get", "nodes")["items"][0]["metadata"]["name"])


def _training_pod(image: str, **keys: Any) -> Pod:
    """The pod of `train_model` for a project whose `resources` are these, so small that it fits beside others."""
    project = minimal_project(resources={"train_model": SMALL | keys}, labels={"team": "risk"})
    return task_pods(release_pipeline("staging", TaskSettings.of(project)), image)["train-model"]


def _create(namespace: str, pod: Pod) -> str:
    """Creates a pod under a name of its own."""
    name = f"{pod['metadata']['name']}-{uuid.uuid4().hex[:6]}"
    kubectl("-n", namespace, "create", "-f", "-", content={**pod, "metadata": {**pod["metadata"], "name": name}})
    return name


def _scheduled(namespace: str, pod: str) -> dict[str, Any]:
    """What the scheduler says of a pod, once it says it."""

    def answer() -> dict[str, Any] | None:
        conditions = kubectl_json("-n", namespace, "get", "pod", pod)["status"].get("conditions", ())
        return next((condition for condition in conditions if condition["type"] == "PodScheduled"), None)

    condition: dict[str, Any] = eventually(answer, "the scheduler has seen the pod")
    return condition


def _node_of(namespace: str, pod: str) -> str:
    """Where a pod is scheduled, once it is."""
    eventually(lambda: _scheduled(namespace, pod)["status"] == "True", f"{pod} is scheduled")
    return str(kubectl_json("-n", namespace, "get", "pod", pod)["spec"]["nodeName"])


def _assert_pending(namespace: str, pod: str, says: str) -> None:
    condition = _scheduled(namespace, pod)
    assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")
    assert says in condition["message"], condition["message"]
    assert kubectl_json("-n", namespace, "get", "pod", pod)["status"]["phase"] == "Pending"


@contextmanager
def _offering(node: str, resource: str, count: int) -> Iterator[None]:
    """An extended resource on a node: https://kubernetes.io/docs/tasks/administer-cluster/extended-resource-node/."""

    def patch(value: str | None) -> None:
        status = {"capacity": {resource: value}, "allocatable": {resource: value}}
        kubectl("patch", "node", node, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))

    patch(str(count))
    try:
        yield
    finally:
        patch(None)


@contextmanager
def _labelled(node: str, key: str, value: str) -> Iterator[None]:
    kubectl("label", "node", node, f"{key}={value}")
    try:
        yield
    finally:
        kubectl("label", "node", node, f"{key}-")


@pytest.fixture
def add_node() -> Iterator[Callable[..., str]]:
    """Adds a node without a kubelet, for the scheduler alone: a taint on the real one would keep others' pods away."""
    names: list[str] = []

    def add(labels: dict[str, str], taint: dict[str, str], **offers: str) -> str:
        name = f"modelway-test-{uuid.uuid4().hex[:8]}"
        resources = {"cpu": "4", "memory": "8Gi", "pods": "10"} | offers
        content = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": labels},
            "spec": {"taints": [{"effect": "NoSchedule", **taint}]},
        }
        ready = {"type": "Ready", "status": "True", "reason": "Test", "message": "for the scheduler"}
        status = {"capacity": resources, "allocatable": resources, "conditions": [ready]}
        names.append(name)
        kubectl("create", "-f", "-", content=content)
        kubectl("patch", "node", name, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
        return name

    yield add
    for name in names:
        kubectl("delete", "node", name, "--wait=false")


def test_a_gpu_is_scheduled_where_the_node_offers_one_and_is_pending_without(
    node: str, namespace: str, image: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    label = f"modelway-test/{uuid.uuid4().hex[:8]}"
    selector = {label: "a100"}
    gpu_pod = _training_pod(image, gpu={"count": 1}, node_selector=selector)
    with whole_node(tmp_path_factory), _labelled(node, label, "a100"):
        capacity = kubectl_json("get", "node", node)["status"]["capacity"]
        assert GPU not in capacity, (
            f"the node offers {GPU} already; take it away: kubectl patch node --subresource=status"
        )
        pending = _create(namespace, gpu_pod)
        _assert_pending(namespace, pending, f"Insufficient {GPU}")
        with _offering(node, GPU, 1):
            assert _node_of(namespace, pending) == node
            _assert_pending(namespace, _create(namespace, gpu_pod), f"Insufficient {GPU}")  # the one GPU is taken
            elsewhere = _training_pod(image, gpu={"count": 1}, node_selector={label: "t4"})
            _assert_pending(namespace, _create(namespace, elsewhere), "node affinity/selector")
    assert GPU not in kubectl_json("get", "node", node)["status"]["capacity"]


def test_a_tainted_node_takes_the_pod_that_tolerates_it(
    namespace: str, image: str, add_node: Callable[..., str]
) -> None:
    label = f"modelway-test/{uuid.uuid4().hex[:8]}"
    keys = {"gpu": {"count": 2}, "node_selector": {label: "a100"}}
    name = add_node({label: "a100"}, {"key": GPU, "value": "present"}, **{GPU: "2"})
    _assert_pending(namespace, _create(namespace, _training_pod(image, **keys)), "untolerated taint")
    tolerations = [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]
    tolerating = _create(namespace, _training_pod(image, **keys, tolerations=tolerations))
    assert _node_of(namespace, tolerating) == name


@pytest.mark.parametrize(
    ("key", "value", "tainted"),
    [
        ("cloud.google.com/gke-spot", "true", True),
        ("eks.amazonaws.com/capacityType", "SPOT", False),
        ("karpenter.sh/capacity-type", "spot", False),
        ("kubernetes.azure.com/scalesetpriority", "spot", True),
    ],
)
def test_spot_is_scheduled_on_any_providers_spot_node_and_on_no_other(
    namespace: str, image: str, add_node: Callable[..., str], key: str, value: str, tainted: bool
) -> None:
    own = f"modelway-test/{uuid.uuid4().hex[:8]}"
    taint = {"key": key, "value": value} if tainted else {"key": own}
    tolerations = [{"key": own, "operator": "Exists"}]
    name = add_node({own: "true"}, taint)
    spot = _create(namespace, _training_pod(image, spot=True, tolerations=tolerations))
    _assert_pending(namespace, spot, "node affinity/selector")
    kubectl("label", "node", name, f"{key}={value}")
    assert _node_of(namespace, spot) == name


def test_a_pod_that_runs_longer_than_its_timeout_ends(namespace: str, image: str) -> None:
    pod = _training_pod(image, timeout="3s")
    pod["spec"]["terminationGracePeriodSeconds"] = 1  # of what does not end when it is told to
    name = _create(namespace, pod)

    def failed() -> dict[str, Any] | None:
        status: dict[str, Any] = kubectl_json("-n", namespace, "get", "pod", name)["status"]
        return status if status["phase"] == "Failed" else None

    status = eventually(failed, "the pod has failed")
    assert status["reason"] == "DeadlineExceeded"


@pytest.fixture
def quota(namespace: str) -> str:
    """A namespace with the manifests' quota, with room for one task's pod at a time."""
    content = yaml.safe_load((QUOTAS / "quota.yaml").read_text(encoding="utf-8"))
    content["spec"]["hard"] |= {"pods": "1", "limits.memory": "10Gi"}  # 8Gi are a task's own
    kubectl("-n", namespace, "create", "-f", "-", content=content)
    eventually(lambda: _used_cpus(namespace) == {"0"}, "the quota is in force")
    return namespace


def _used_cpus(namespace: str) -> set[str]:
    (quota,) = kubectl_json("-n", namespace, "get", "resourcequotas")["items"]
    return set(quota.get("status", {}).get("used", {}).values())


def _refusal(namespace: str, pod: Pod) -> str:
    """Why a pod is not admitted; empty where it is."""
    answer = run_kubectl("-n", namespace, "create", "-f", "-", content=pod, check=False).stderr
    if "forbidden" in answer:
        return answer
    kubectl("-n", namespace, "delete", "pod", pod["metadata"]["name"], "--force", "--grace-period=0")
    eventually(lambda: _used_cpus(namespace) == {"0"}, "the pod counts no more")
    return ""


def _pods(image: str, executor: dict[str, Any] | None) -> dict[str, Pod]:
    """The pods of every task of a release down to staging, and of a promotion."""
    settings = TaskSettings.of(minimal_project())
    release = task_pods(release_pipeline("staging", settings), image, executor=executor)
    promote = task_pods(promote_pipeline(settings), image, executor=executor)
    assert len(release) == 12
    assert set(promote) == {"deploy-model", "record-outcome"}
    return {
        f"{pipeline}/{task}": pod
        for pipeline, pods in (("release", release), ("promote", promote))
        for task, pod in pods.items()
    }


@pytest.mark.parametrize("argo", ["executor.resources", "a LimitRange"])
def test_a_quota_admits_every_task(quota: str, image: str, argo: str) -> None:
    if argo == "a LimitRange":
        kubectl("-n", quota, "create", "-f", str(QUOTAS / "limits.yaml"))
    pods = _pods(image, EXECUTOR if argo == "executor.resources" else None)
    assert {task: _refusal(quota, pod) for task, pod in pods.items()} == dict.fromkeys(pods, "")


def test_a_quota_refuses_containers_without_requests_and_limits(quota: str, image: str) -> None:
    pod = _pods(image, EXECUTOR)["release/train-model"]
    main = pod["spec"]["containers"][1]
    bare = {**pod, "spec": {**pod["spec"], "containers": [pod["spec"]["containers"][0], {**main, "resources": {}}]}}
    assert "must specify" in _refusal(quota, bare)
    assert "for: main" in _refusal(quota, bare)
    argo = _refusal(quota, _pods(image, None)["release/train-model"])
    assert "must specify" in argo
    assert "wait" in argo
    assert _refusal(quota, pod) == ""
