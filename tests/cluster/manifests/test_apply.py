"""The manifests are taken by a real API server, and applying them again never moves what runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_installation import IMAGE, install_kinds, release
from kube import eventually, kubectl, run_kubectl

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]

ROOT = Path(__file__).resolve().parents[3]
MODEL = "insurance-high-use"
NAMESPACES = ("modelway-staging", "modelway-production")
DEPLOYED = f"registry.example.com/models/{MODEL}@sha256:{'cd' * 32}"
ROLLOUTS = "/apis/argoproj.io/v1alpha1/namespaces/{}/rollouts/" + MODEL


def _image(rollout: dict[str, Any]) -> str:
    return str(rollout["spec"]["template"]["spec"]["containers"][0]["image"])


@pytest.fixture(scope="module")
def root(api: Any) -> Iterator[Callable[[], str]]:
    """Applies the root as a user does, under its own names: so only where there is no such installation."""
    for path in (
        *(f"/api/v1/namespaces/{name}" for name in NAMESPACES),
        "/api/v1/namespaces/kubeflow/serviceaccounts/modelway-runner",
    ):
        if api("GET", path).status != 404:
            pytest.fail(f"this test makes and deletes {path}, which is there already: use a cluster for tests")
    install_kinds()
    try:
        yield lambda: str(kubectl("apply", "-k", str(ROOT)))
    finally:
        run_kubectl("delete", "-k", str(ROOT), "--ignore-not-found", "--wait=false", check=False)
        for name in NAMESPACES:
            eventually(lambda name=name: api("GET", f"/api/v1/namespaces/{name}").status == 404, f"{name} is gone", 120)


def test_the_root_is_applied_and_again_without_a_change(root: Callable[[], str]) -> None:
    first = root().splitlines()
    assert [line for line in first if not line.endswith(" created")] == []
    diff = run_kubectl("diff", "-k", str(ROOT), check=False)
    assert diff.returncode == 0, diff.stdout


def test_the_root_leaves_what_belongs_to_kfp_alone(root: Callable[[], str], api: Any) -> None:
    path = "/api/v1/namespaces/kubeflow/configmaps"
    launcher = {"metadata": {"name": "kfp-launcher"}, "data": {"defaultPipelineRoot": "minio://elsewhere/root"}}
    is_placed = api("POST", path, launcher, real=True).status == 201
    try:
        before = api("GET", f"{path}/kfp-launcher").body
        root()
        assert api("GET", f"{path}/kfp-launcher").body == before
        assert before["data"]["defaultPipelineRoot"]
    finally:
        if is_placed:
            api("DELETE", f"{path}/kfp-launcher", real=True)


@pytest.mark.parametrize("overlay", ["staging", "production"])
def test_an_overlay_is_accepted_to_the_letter(root: Callable[[], str], overlay: str) -> None:
    root()
    release(f"modelway-{overlay}", IMAGE)  # as whoever deploys from Git does, in the overlay
    folder = str(ROOT / "manifests" / "overlays" / overlay)
    process = run_kubectl("apply", "--dry-run=server", "--validate=strict", "-k", folder)
    assert f"rollout.argoproj.io/{MODEL} created (server dry run)" in process.stdout
    assert "warning" not in process.stderr.lower(), process.stderr


def test_the_root_leaves_a_deployed_version_alone(root: Callable[[], str], api: Any) -> None:
    root()
    release("modelway-production", DEPLOYED)
    built_objects = yaml.safe_load_all(kubectl("kustomize", str(ROOT / "manifests" / "overlays" / "production")))
    (rollout,) = [obj for obj in built_objects if obj["kind"] == "Rollout"]
    rollout["spec"]["template"]["spec"]["containers"][0]["image"] = DEPLOYED
    path = ROLLOUTS.format("modelway-production")
    assert api("POST", path.removesuffix(f"/{MODEL}"), rollout, real=True).status == 201
    before = api("GET", path).body["spec"]["template"]
    root()
    after = api("GET", path).body
    assert _image(after) == DEPLOYED
    assert after["spec"]["template"] == before


def test_git_does_not_overwrite_what_deploy_model_has_set(installation: Any, api: Any) -> None:
    release(installation.staging, IMAGE, DEPLOYED)
    path = ROLLOUTS.format(installation.staging)
    (rollout,) = [
        obj
        for obj in installation.objects
        if obj["kind"] == "Rollout" and obj["metadata"]["namespace"] == installation.staging
    ]
    api("DELETE", path, real=True)
    applied = ("apply", "--server-side", "-f", "-")
    run_kubectl(*applied, content=json.dumps(rollout))
    containers = api("GET", path).body["spec"]["template"]["spec"]["containers"]
    containers[0]["image"] = DEPLOYED
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    assert api("PATCH", path, patch, real=True).status == 200
    conflict = run_kubectl(*applied, content=json.dumps(rollout), check=False)
    assert conflict.returncode != 0
    assert "conflict" in conflict.stderr
    assert _image(api("GET", path).body) == DEPLOYED


def test_everything_is_in_the_cluster_as_it_was_written(installation: Any) -> None:
    text = yaml.safe_dump_all([obj for obj in installation.objects if obj["kind"] != "Rollout"])
    diff = run_kubectl("diff", "-f", "-", content=text, check=False)
    assert diff.returncode == 0, diff.stdout


def test_a_model_that_needs_a_gpu_runs_on_a_node_that_has_one(
    api: Any, installation: Any, build: Callable[..., Any]
) -> None:
    objects = build(["overlays/production"], ["gpu"], namespace=installation.production)
    (rollout,) = [obj for obj in objects if obj["kind"] == "Rollout"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "on-a-gpu"},
        "spec": {**rollout["spec"]["template"]["spec"]},
    }
    for constraint in pod["spec"]["topologySpreadConstraints"]:
        del constraint["matchLabelKeys"]
    pods = f"/api/v1/namespaces/{installation.production}/pods"
    assert api("POST", pods, pod, real=True).status == 201

    def scheduled() -> dict[str, Any]:
        conditions = api("GET", f"{pods}/on-a-gpu").body.get("status", {}).get("conditions", [])
        return next((obj for obj in conditions if obj["type"] == "PodScheduled"), {})

    (node, *_) = [obj["metadata"]["name"] for obj in api("GET", "/api/v1/nodes").body["items"]]
    path, gpus, label = f"/api/v1/nodes/{node}", "nvidia.com/gpu", "nvidia.com/gpu.present"
    try:
        eventually(lambda: scheduled().get("reason") == "Unschedulable", "no node will do")
        assert "node affinity/selector" in scheduled()["message"]
        api("PATCH", path, {"metadata": {"labels": {label: "true"}}}, real=True)
        eventually(lambda: "Insufficient nvidia.com/gpu" in scheduled()["message"], "a GPU is missing")
        has = {"status": {"capacity": {gpus: "1"}, "allocatable": {gpus: "1"}}}
        assert api("PATCH", f"{path}/status", has, real=True).status == 200
        eventually(lambda: scheduled()["status"] == "True", "the pod has a node")
    finally:
        api("DELETE", f"{pods}/on-a-gpu", real=True)
        api("PATCH", path, {"metadata": {"labels": {label: None}}}, real=True)
        api("PATCH", f"{path}/status", {"status": {"capacity": {gpus: None}, "allocatable": {gpus: None}}}, real=True)
