"""What serves is undone and restored where the cluster has no room for one more pod."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from kube import eventually, kubectl

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]

REPLICAS = 4


@dataclass(frozen=True)
class Slots:
    """An extended resource of the node, of which each server needs one: a node that can be filled for them alone."""

    name: str
    namespace: str

    def set(self, count: int) -> None:
        """Gives the node so many; pods that have one keep it."""
        path = f"/status/capacity/{self.name.replace('/', '~1')}"
        patch = [{"op": "add", "path": path, "value": str(count)}]
        (node,) = kubectl("get", "nodes", "-o", "name").split()
        kubectl("patch", node, "--subresource=status", "--type=json", "-p", json.dumps(patch))
        allocatable = f"jsonpath={{.status.allocatable.{self.name.replace('.', chr(92) + '.')}}}"
        eventually(lambda: kubectl("get", node, "-o", allocatable) == str(count), "the node has them")

    def remove(self) -> None:
        path = f"/status/capacity/{self.name.replace('/', '~1')}"
        (node,) = kubectl("get", "nodes", "-o", "name").split()
        kubectl(
            "patch", node, "--subresource=status", "--type=json", "-p", json.dumps([{"op": "remove", "path": path}])
        )


def _patch(place: Any, kind: str, operations: list[dict[str, Any]], *options: str) -> None:
    patch = json.dumps(operations)
    kubectl("-n", place.namespace, "patch", kind, "loans", "--type=json", "-p", patch, *options)


@pytest.fixture(scope="module")
def slots(place: Any, releases: Any, environ: dict[str, str]) -> Iterator[Slots]:
    """Four pods serve, each of which needs a slot of the node, which has five."""
    if not place.holder():
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, value)
            assert place.deploy(releases["good"], traffic="smoke").status == "promoted"
    slots = Slots(f"modelway.io/slots-{uuid.uuid4().hex[:6]}", place.namespace)
    slots.set(REPLICAS + 2)
    _patch(place, "hpa", [{"op": "replace", "path": "/spec/minReplicas", "value": REPLICAS}])
    resources = _resources(place)
    needs = {kind: {**resources[kind], slots.name: "1"} for kind in ("requests", "limits")}
    _change_at_once(place, needs, REPLICAS)
    slots.set(REPLICAS + 1)
    yield slots
    slots.set(REPLICAS + 2)
    _patch(place, "hpa", [{"op": "replace", "path": "/spec/minReplicas", "value": 2}])
    _change_at_once(place, resources, 2)
    slots.remove()


def _resources(place: Any) -> dict[str, Any]:
    return dict(place.rollout()["spec"]["template"]["spec"]["containers"][0]["resources"])


def _change_at_once(place: Any, resources: dict[str, Any], replicas: int) -> None:
    """Changes the Rollout without its steps and analysis, as an administrator does."""
    path = "/spec/template/spec/containers/0/resources"
    operations = [
        {"op": "replace", "path": path, "value": resources},
        {"op": "add", "path": "/spec/replicas", "value": replicas},
    ]
    _patch(place, "rollout", operations)
    eventually(lambda: _is_changing(place.rollout()["status"]), "the change is under way")
    _patch(place, "rollout", [{"op": "add", "path": "/status/promoteFull", "value": True}], "--subresource=status")
    eventually(lambda: place.whole() and len(_all_pods(place)) == replicas, "the change is rolled out", 120)


def _all_pods(place: Any) -> list[Any]:
    """The pods, also those that are going and have their room still."""
    label = "app.kubernetes.io/name=loans"
    return list(json.loads(kubectl("-n", place.namespace, "get", "pods", "-l", label, "-o", "json"))["items"])


def _is_changing(status: dict[str, Any]) -> bool:
    return bool(status["currentPodHash"] != status["stableRS"])


def _fill(place: Any, slots: Slots) -> None:
    """Another workload's pod takes a slot, beside the environment, which admits none."""
    (container,) = place.rollout()["spec"]["template"]["spec"]["containers"]
    name, needs = f"filler-{uuid.uuid4().hex[:6]}", {slots.name: "1", "cpu": "10m", "memory": "16Mi"}
    filler = {"name": "filler", "image": container["image"], "command": ["sleep", "600"]}
    spec = {"containers": [filler | {"resources": {"requests": needs, "limits": needs}}]}
    metadata = {"name": name, "namespace": place.pipelines, "labels": {"filler": slots.namespace}}
    kubectl("apply", "-f", "-", content={"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def _fill_once_it_serves(place: Any, slots: Slots, version: str) -> None:
    """Another workload takes the room that the pods of a new version leave."""
    eventually(lambda: place.serving()[version] and len(place.pods()) <= REPLICAS, f"{version} serves", 90)
    _fill(place, slots)


@pytest.fixture(autouse=True)
def _no_fillers(place: Any) -> Iterator[None]:
    yield
    kubectl("-n", place.pipelines, "delete", "pod", "-l", f"filler={place.namespace}", "--grace-period=0", "--force")


@pytest.mark.parametrize("strategy", ["canary", "rolling"])
def test_a_bad_version_gives_way_where_what_served_before_finds_no_room(
    place: Any, releases: Any, slots: Slots, stable: str, strategy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    eventually(lambda: len(_all_pods(place)) == REPLICAS, "all room but one is taken")
    before = place.image()
    with ThreadPoolExecutor() as pool, place.traffic().flowing() as traffic:
        filling = pool.submit(_fill_once_it_serves, place, slots, releases["fails"])
        result = place.deploy(releases["fails"], strategy=strategy)
        undone_at = time.monotonic()
        eventually(lambda: len(traffic.since(undone_at)) > 30, "more is asked")
        filling.result()
    output = capsys.readouterr().out
    assert (result.status, result.restored_image) == ("undone", before), result.reasons
    assert "error-rate" in result.reasons[0]
    assert "no room" in output, output
    assert {answer.version for answer in traffic.since(undone_at)} == {stable}
    undoing, undone = (entry for entry in place.log()[-2:])
    assert (undoing.event, undone.event) == ("undoing", "undone")
    assert "4 pods" in undone.details["serving"], undone.details


def test_a_rollback_makes_room_for_what_it_returns_to(place: Any, slots: Slots, stable: str, good: str) -> None:
    with place.traffic().flowing() as traffic:
        assert place.deploy(good).status == "promoted"
        eventually(place.whole, "it serves alone", 60)
        _fill(place, slots)
        result = place.roll_back()
    assert (result.status, result.version) == ("rolled-back", stable), result.reasons
    assert traffic.failed == []
    assert "maxUnavailable" in json.dumps(place.rollout()["spec"]["strategy"])
    assert place.rollout()["spec"]["strategy"]["canary"]["maxUnavailable"] == 0


def test_what_cannot_be_undone_whole_is_said_and_undone_when_there_is_room(
    place: Any, releases: Any, slots: Slots, stable: str
) -> None:
    bad = releases["fails"]
    with ThreadPoolExecutor() as pool, place.traffic().flowing() as traffic:
        emptying = pool.submit(_take_the_stable_pods, place, slots, stable, bad)
        result = place.deploy(bad, strategy="rolling")
        emptying.result()
        assert result.status == "undone-in-part", result
        assert place.serving() == {bad: 1}
        entry = place.log()[-1]
        assert (entry.event, entry.details["serving"]) == ("undone-in-part", f"version {bad}: 1 pod")
        assert "1 of 1 ready pods are still of the undone version" in result.reasons[-1]
        slots.set(REPLICAS + 1)
        again = place.roll_back()
        undone_at = time.monotonic()
        eventually(lambda: len(traffic.since(undone_at)) > 30, "more is asked")
    assert (again.status, again.version) == ("rolled-back", stable), again.reasons
    assert {answer.version for answer in traffic.since(undone_at)} == {stable}


def _take_the_stable_pods(place: Any, slots: Slots, stable: str, version: str) -> None:
    """The node loses its slots and the pods of what served before while a new version rolls out."""
    eventually(lambda: place.serving()[version] >= REPLICAS / 2, f"{version} serves", 90)
    slots.set(0)
    names = [
        pod["metadata"]["name"]
        for pod in place.pods()
        if pod["metadata"]["annotations"]["modelway.io/version"] == stable
    ]
    kubectl("-n", place.namespace, "delete", "pod", *names, "--grace-period=0", "--force")
