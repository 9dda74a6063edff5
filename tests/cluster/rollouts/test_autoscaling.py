"""The autoscaler scales what serves before, amid and after a canary, with and without room for it.

The metrics are the real metrics-server's, of the kubelet's figures.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from kube import eventually, kubectl
from metrics_server import metrics_api
from rollout_releases import ADA

from modelway.components.core.surroundings.findings import Status
from modelway.components.deploy.cluster import Cluster
from modelway.components.deploy.result import DeployResult
from modelway.components.deploy.stage import deploy
from modelway.pipelines.doctor.cluster_reader import ClusterReader
from modelway.pipelines.doctor.metrics import inspect_metrics

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]

ROOM = 3  # pods, of which two serve and one is the canary's
STEPS = [{"weight": 50, "pause_seconds": 25}]


@dataclass(frozen=True)
class Scaling:
    """The environment's autoscaler, which always wants as many pods under the test's load as it may have."""

    place: Any

    def most(self, replicas: int) -> None:
        """Lets it have so many pods at most."""
        self._patch([{"op": "replace", "path": "/spec/maxReplicas", "value": replicas}])

    def want_all(self, replicas: int) -> None:
        """Makes it want so many pods at once, whatever the load is."""
        self._patch([{"op": "replace", "path": "/spec/metrics/0/resource/target/averageUtilization", "value": 1}])
        self.most(replicas)

    def wants(self) -> int:
        return int(self.place.rollout()["spec"]["replicas"])

    def follow_small_loads(self) -> dict[str, Any]:
        """Makes it scale for what a small node can bear, and down at once; returns what it was."""
        before = dict(self.place.get("hpa")["spec"])
        target = {"type": "Utilization", "averageUtilization": 5}
        metric = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
        self._patch(
            [
                {"op": "replace", "path": "/spec/metrics", "value": [metric]},
                {"op": "replace", "path": "/spec/behavior/scaleDown/stabilizationWindowSeconds", "value": 0},
            ]
        )
        return before

    def restore(self, spec: dict[str, Any]) -> None:
        self._patch([{"op": "replace", "path": "/spec", "value": spec}])

    def _patch(self, operations: list[dict[str, Any]]) -> None:
        kubectl("-n", self.place.namespace, "patch", "hpa", "loans", "--type=json", "-p", json.dumps(operations))


@pytest.fixture(scope="module")
def _metrics(tmp_path_factory: pytest.TempPathFactory, _the_node: None) -> Iterator[None]:
    with metrics_api(tmp_path_factory.mktemp("metrics")):
        yield


@pytest.fixture
def scaling(place: Any, stable: str, _metrics: None) -> Iterator[Scaling]:
    """The autoscaler of what serves, of which there are two pods."""
    scaling = Scaling(place)
    before = scaling.follow_small_loads()
    scaling.most(2)
    eventually(lambda: scaling.wants() == 2 and place.whole(), "two pods serve", 90)
    assert place.holder() == stable
    yield scaling
    scaling.most(2)
    eventually(lambda: scaling.wants() == 2 and place.whole(), "two pods serve", 120)
    scaling.restore(before)


def _promote(place: Any, version: str) -> DeployResult:
    """Promotes a version with the deployer's account, without taking the test its own."""
    from kubernetes.config import new_client_from_config

    return deploy(
        place.model.version(version),
        "staging",
        run=f"run-{uuid.uuid4().hex[:6]}",
        actor=ADA,
        policy=place.policy(steps=STEPS),
        cluster=Cluster(new_client_from_config(str(place.deployer)), place.namespace),
    )


def test_the_autoscaler_follows_the_load_before_amid_and_after_a_canary(
    place: Any, scaling: Scaling, stable: str, good: str
) -> None:
    scaling.most(3)
    with place.traffic(per_second=60).flowing() as load, ThreadPoolExecutor() as pool:
        eventually(lambda: scaling.wants() == 3, "it scales up under load", 120)
        eventually(lambda: len(place.pods()) == 3 and place.whole(), "three pods serve", 60)
        promotion = pool.submit(_promote, place, good)
        eventually(lambda: place.image_version() == good, "the canary begins", 60)
        scaling.most(4)
        eventually(lambda: scaling.wants() == 4, "it scales up amid the canary", 60)
        assert not promotion.done()
        reader = ClusterReader.connect()
        assert reader is not None
        assert inspect_metrics(reader, place.policy()).status is Status.OK
        result = promotion.result(timeout=180)
    with place.traffic(per_second=2).flowing() as traffic:
        eventually(lambda: scaling.wants() == 2 and place.whole(), "it settles after the load", 180)
    assert result.status == "promoted", result.reasons
    assert load.failed == traffic.failed == []
    assert {answer.version for answer in load.answers} == {stable, good}
    assert {answer.version for answer in traffic.answers} == {good}


@dataclass(frozen=True)
class Slots:
    """An extended resource of the node, of which each server needs one: a node that is full for them alone."""

    name: str

    def set(self, count: int) -> None:
        self._patch({"op": "add", "path": self._path, "value": str(count)})
        query = f"jsonpath={{.status.allocatable.{self.name.replace('.', chr(92) + '.')}}}"
        eventually(lambda: kubectl("get", self._node, "-o", query) == str(count), "the node has them")

    def remove(self) -> None:
        self._patch({"op": "remove", "path": self._path})

    @property
    def _path(self) -> str:
        return f"/status/capacity/{self.name.replace('/', '~1')}"

    @property
    def _node(self) -> str:
        (node,) = kubectl("get", "nodes", "-o", "name").split()
        return node

    def _patch(self, operation: dict[str, Any]) -> None:
        kubectl("patch", self._node, "--subresource=status", "--type=json", "-p", json.dumps([operation]))


@pytest.fixture
def slots(place: Any, scaling: Scaling) -> Iterator[Slots]:
    """There is room for so many pods and no more."""
    slots = Slots(f"modelway.io/room-{uuid.uuid4().hex[:6]}")
    slots.set(ROOM)
    (container,) = place.rollout()["spec"]["template"]["spec"]["containers"]
    resources = container["resources"]
    needs = {kind: {**resources[kind], slots.name: "1"} for kind in ("requests", "limits")}
    _change_at_once(place, needs)
    yield slots
    slots.set(12)
    scaling.most(2)
    eventually(lambda: scaling.wants() == 2 and place.whole(), "two pods serve", 120)
    _change_at_once(place, resources)
    slots.remove()


def _change_at_once(place: Any, resources: dict[str, Any]) -> None:
    """Changes what the pods ask for without the Rollout's steps, as an administrator does."""

    def patch(path: str, value: Any, *options: str) -> None:
        operations = json.dumps([{"op": "add", "path": path, "value": value}])
        kubectl("-n", place.namespace, "patch", "rollout", "loans", "--type=json", "-p", operations, *options)

    def is_changing() -> bool:
        status = place.rollout()["status"]
        return bool(status["currentPodHash"] != status["stableRS"])

    patch("/spec/template/spec/containers/0/resources", resources)
    eventually(is_changing, "the change is under way")
    patch("/status/promoteFull", True, "--subresource=status")
    eventually(place.whole, "the change is rolled out", 120)


def _deploy_and_fill(place: Any, scaling: Scaling, version: str, make_room: Callable[[], None] | None) -> Any:
    """Promotes a version, and amid its canary the autoscaler wants more pods than there is room for."""
    with ThreadPoolExecutor() as pool:
        promotion = pool.submit(_promote, place, version)
        eventually(lambda: place.image_version() == version, "the canary begins", 60)
        scaling.want_all(ROOM + 1)
        if make_room is not None:
            make_room()
        return promotion.result(timeout=240)


def test_a_canary_waits_for_the_room_that_the_autoscaler_took(
    place: Any, scaling: Scaling, slots: Slots, good: str, capsys: pytest.CaptureFixture[str]
) -> None:
    deadline = place.rollout()["spec"]["progressDeadlineSeconds"]
    output = ""

    def make_room() -> None:
        nonlocal output

        def is_waiting() -> bool:
            nonlocal output
            output += capsys.readouterr().out
            return "waiting for room" in output

        eventually(is_waiting, "the promotion waits", 90)
        time.sleep(5)
        slots.set(2 * ROOM)

    with place.traffic(per_second=60).flowing() as traffic:
        result = _deploy_and_fill(place, scaling, good, make_room)
    assert result.status == "promoted", result.reasons
    assert traffic.failed == []
    assert f"{slots.name} 1" in output
    assert f"Insufficient {slots.name}" in output
    assert place.rollout()["spec"]["progressDeadlineSeconds"] == deadline


def test_a_good_canary_without_room_is_inconclusive_and_what_serves_goes_on(
    place: Any, scaling: Scaling, slots: Slots, stable: str, good: str
) -> None:
    before = place.image()
    with place.traffic(per_second=60).flowing() as traffic:
        result = _deploy_and_fill(place, scaling, good, None)
    assert (result.status, result.restored_image) == ("inconclusive", before), result.reasons
    (reason, *_) = result.reasons
    assert reason.startswith("inconclusive: no room: ")
    assert f"asked for cpu 250m, memory 256Mi, {slots.name} 1" in reason
    assert f"1 Insufficient {slots.name}" in reason
    assert traffic.failed == []
    assert traffic.longest_gap(stable) < 3
    assert place.holder() == stable
    last = place.log()[-1]
    assert (last.event, last.version, last.details["verdict"]) == ("undone", good, "inconclusive")
    assert last.details["reason"].startswith(reason)


@pytest.fixture
def quota(place: Any, stable: str) -> Iterator[Callable[[object], None]]:
    """Lets the namespace have so many pods."""
    before = place.get("resourcequota", "modelway")["spec"]["hard"]["pods"]

    def most(pods: object) -> None:
        patch = json.dumps([{"op": "replace", "path": "/spec/hard/pods", "value": str(pods)}])
        kubectl("-n", place.namespace, "patch", "resourcequota", "modelway", "--type=json", "-p", patch)

    assert place.holder() == stable
    yield most
    most(before)


def test_a_version_that_a_quota_stops_is_inconclusive(
    place: Any, scaling: Scaling, quota: Callable[[object], None], stable: str, good: str
) -> None:
    quota(ROOM)
    with place.traffic(per_second=60).flowing() as traffic:
        result = _deploy_and_fill(place, scaling, good, None)
    assert result.status == "inconclusive", result.reasons
    over = f"exceeded quota: modelway, requested: pods=1, used: pods={ROOM}, limited: pods={ROOM}"
    assert over in result.reasons[0]
    assert traffic.failed == []
    assert traffic.longest_gap(stable) < 3
    assert place.holder() == stable


def test_a_rehearsal_that_a_quota_stops_changes_nothing(
    place: Any, quota: Callable[[object], None], stable: str, good: str
) -> None:
    eventually(place.whole, "what is asked for serves", 60)
    quota(place.get("resourcequota", "modelway")["status"]["used"]["pods"])
    before = place.rollout()["spec"]
    result = place.deploy(good)
    assert result.status == "refused"
    assert result.reasons[0].startswith("inconclusive: no room for the rehearsal of the rollback: 1 pod of version ")
    assert "exceeded quota: modelway, requested: pods=1" in result.reasons[0]
    assert (place.rollout()["spec"], place.holder()) == (before, stable)
