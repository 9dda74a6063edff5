"""The autoscaler scales what serves before, amid and after a canary, with and without room for it.

The metrics are the real metrics-server's, of the kubelet's figures.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from kube import eventually, kubectl
from metrics_server import metrics_api
from node_slots import Slots, pods_that_need

from modelway.components.core.surroundings.findings import Status
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
        target = {"type": "Utilization", "averageUtilization": 25}
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


def test_the_autoscaler_follows_the_load_before_amid_and_after_a_canary(
    place: Any, scaling: Scaling, stable: str, good: str
) -> None:
    scaling.most(3)
    with place.traffic(per_second=60).flowing() as load, ThreadPoolExecutor() as pool:
        eventually(lambda: scaling.wants() == 3, "it scales up under load", 120)
        eventually(lambda: len(place.pods()) == 3 and place.whole(), "three pods serve", 60)
        promotion = pool.submit(place.deploy, good, steps=STEPS)
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


@pytest.fixture
def slots(place: Any, scaling: Scaling) -> Iterator[Slots]:
    """There is room for so many pods and no more."""
    slots = Slots()
    slots.set(ROOM)
    with pods_that_need(slots, place.namespace, "loans"):
        yield slots
        slots.set(3 * ROOM)
        scaling.most(2)
        eventually(lambda: scaling.wants() == 2 and place.whole(), "two pods serve", 120)
    slots.remove()


def _deploy_and_fill(place: Any, scaling: Scaling, version: str, make_room: Callable[[], None] | None) -> Any:
    """Promotes a version, and amid its canary the autoscaler wants more pods than there is room for."""
    with ThreadPoolExecutor() as pool:
        promotion = pool.submit(place.deploy, version, steps=STEPS)
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
    assert f"asked for cpu 50m, memory 256Mi, {slots.name} 1" in reason
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
    def pods() -> int:
        """How many the quota counts, once they are as many as are asked for."""
        used = int(place.get("resourcequota", "modelway")["status"]["used"]["pods"])
        return used if used == place.rollout()["spec"]["replicas"] else 0

    eventually(place.whole, "what is asked for serves", 60)
    quota(eventually(pods, "pods that were scaled down are gone", 90))
    before = place.rollout()["spec"]
    result = place.deploy(good)
    assert result.status == "refused"
    assert result.reasons[0].startswith("inconclusive: no room for the rehearsal of the rollback: 1 pod of version ")
    assert "exceeded quota: modelway, requested: pods=1" in result.reasons[0]
    assert (place.rollout()["spec"], place.holder()) == (before, stable)
