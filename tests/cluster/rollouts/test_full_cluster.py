"""What serves is undone and restored where the cluster has no room for one more pod."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from kube import eventually, kubectl, kubectl_json
from node_slots import Slots, pods_that_need

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]

REPLICAS = 4


@pytest.fixture(scope="module")
def slots(place: Any, releases: Any, environ: dict[str, str]) -> Iterator[Slots]:
    """Four pods serve, each of which needs a slot of the node, which has five."""
    if not place.holder():
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, value)
            place.begin(releases["good"])
    slots = Slots()
    slots.set(REPLICAS + 2)
    with pods_that_need(slots, place.namespace, "loans"):
        _scale(place, REPLICAS)
        slots.set(REPLICAS + 1)
        yield slots
        slots.set(REPLICAS + 2)
        _scale(place, 2)
    slots.remove()


def _scale(place: Any, replicas: int) -> None:
    for kind, path in (("hpa", "/spec/minReplicas"), ("rollout", "/spec/replicas")):
        patch = json.dumps([{"op": "add", "path": path, "value": replicas}])
        kubectl("-n", place.namespace, "patch", kind, "loans", "--type=json", "-p", patch)
    eventually(lambda: len(_all_pods(place)) == replicas and place.whole(), f"{replicas} pods serve", 120)


def _all_pods(place: Any) -> list[Any]:
    """The pods, also those that are leaving and have their room still."""
    return list(kubectl_json("-n", place.namespace, "get", "pods", "-l", "app.kubernetes.io/name=loans")["items"])


def _fill(place: Any, slots: Slots) -> None:
    """Another workload's pod takes a slot, beside the environment, which admits none."""
    (container,) = place.rollout()["spec"]["template"]["spec"]["containers"]
    name, needs = f"filler-{uuid.uuid4().hex[:6]}", {slots.name: "1", "cpu": "10m", "memory": "16Mi"}
    filler = {"name": "filler", "image": container["image"], "command": ["sleep", "600"]}
    spec = {"containers": [filler | {"resources": {"requests": needs, "limits": needs}}]}
    metadata = {"name": name, "namespace": place.pipelines, "labels": {"filler": place.namespace}}
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
        place.assert_as_recorded()  # once routers have heard of the pods that leave
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
        result = place.roll_back(progress_deadline_seconds=60)
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
        again = place.roll_back(progress_deadline_seconds=60)
        place.assert_as_recorded()  # once routers have heard of the pods that leave
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
