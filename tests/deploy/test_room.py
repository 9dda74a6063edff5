"""What has no room is told from the pods, the ReplicaSets and the nodes, and waited for in vain only so long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from pod_proxy import ApiServer, status

from modelway.components.deploy import room as room_module
from modelway.components.deploy.cluster import Object
from modelway.components.deploy.room import (
    NoRoomError,
    RoomWait,
    Shortage,
    free_room,
    no_room,
    refused_by_quota,
    refused_pods,
    requests_of,
    requests_text,
    shortage_of,
)
from modelway.components.deploy.targets.base import RolloutState
from modelway.components.deploy.targets.deployment import DeploymentTarget
from modelway.components.deploy.targets.kserve import InferenceServiceTarget

SCHEDULER = (
    "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: "
    "1 No preemption victims found for incoming pod."
)
QUOTA = (
    'pods "loans-7-" is forbidden: exceeded quota: modelway, requested: requests.cpu=250m, used: requests.cpu=1, '
    "limited: requests.cpu=1"
)
SMALL = {"cpu": "250m", "memory": "256Mi"}


@dataclass
class Clock:
    """Stands for the module `time`, whose clock a test sets."""

    now: float = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which room is waited for."""
    clock = Clock()
    monkeypatch.setattr(room_module, "time", clock)
    return clock


def pod(name: str, version: str = "5", requests: dict[str, str] = SMALL, **more: Any) -> Object:
    """A pod that the scheduler finds no node for."""
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": SCHEDULER}
    spec = {"containers": [{"name": "server", "resources": {"requests": requests}}], **more}
    metadata = {"name": name, "annotations": {"modelway.io/version": version}}
    return {"metadata": metadata, "spec": spec, "status": {"conditions": [condition]}}


def scheduled(name: str, **more: Any) -> Object:
    condition = {"type": "PodScheduled", "status": "True"}
    return pod(name, nodeName="one", **more) | {"status": {"conditions": [condition]}}


def replica_set(wanted: int, present: int, message: str = QUOTA) -> Object:
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    spec = {"replicas": wanted, "template": pod("")}
    return {"metadata": {"name": "loans-7"}, "spec": spec, "status": {"replicas": present, "conditions": [condition]}}


def node(name: str, cpu: str, memory: str = "1Gi", **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": spec, "status": {"allocatable": {"cpu": cpu, "memory": memory}}}


def sentence(*pods: Object, replica_sets: tuple[Object, ...] = (), verb: str = "ask") -> str:
    shortage = shortage_of(pods, replica_sets)
    assert shortage is not None
    return shortage.sentence(verb)


def test_what_the_pods_ask_for_is_said_by_version_with_the_schedulers_words_once() -> None:
    assert sentence(pod("a"), scheduled("b")) == (
        "1 pod of version 5 asks for cpu 250m, memory 256Mi; 0/1 nodes are available: 1 Insufficient cpu"
    )
    assert sentence(pod("a"), pod("b", "4"), pod("c", "4"), verb="asked") == (
        "1 pod of version 5 asked for cpu 250m, memory 256Mi and 2 pods of version 4 asked for cpu 250m, memory 256Mi "
        "each; 0/1 nodes are available: 1 Insufficient cpu"
    )
    assert shortage_of([scheduled("a")]) is None


def test_a_quota_is_quoted_only_while_pods_are_missing() -> None:
    assert sentence(replica_sets=(replica_set(3, 1),)) == (
        "2 pods of version 5 ask for cpu 250m, memory 256Mi each; exceeded quota: modelway, requested: "
        "requests.cpu=250m, used: requests.cpu=1, limited: requests.cpu=1"
    )
    image = "r.example/loans@sha256:1"
    replica_sets = [replica_set(3, 1), replica_set(2, 1), replica_set(2, 2), replica_set(4, 1, "denied")]
    for refusing, name in zip(replica_sets, (image, "r.example/loans@sha256:2", image, image), strict=True):
        refusing["spec"]["template"]["spec"]["containers"][0]["image"] = name
    assert refused_pods(replica_sets, image=image) == 2
    assert shortage_of([], [replica_set(3, 3)]) is None
    assert shortage_of([], [replica_set(3, 1, "admission webhook denied the request")]) is None


def test_a_pod_that_the_quota_refuses_at_once_lacks_room_and_one_that_a_policy_refuses_does_not() -> None:
    shortage = refused_by_quota(pod("a"), f"the cluster rejects the change: {QUOTA}")
    assert shortage is not None
    assert shortage.words == (QUOTA.partition("forbidden: ")[2],)
    assert refused_by_quota(pod("a"), "the cluster rejects the change: the image is not released") is None


def test_a_pod_asks_for_all_its_containers_and_its_sidecars_or_for_its_start() -> None:
    containers = [{"resources": {"requests": {"cpu": "1", "modelway.io/gpu": "1"}}}, {"resources": {}}]
    sidecar = {"restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}}}
    start = {"resources": {"requests": {"cpu": "200m", "memory": "2Gi"}}}
    requests = requests_of({"spec": {"containers": containers, "initContainers": [sidecar, start]}})
    assert requests_text(requests) == "cpu 1100m, memory 2048Mi, modelway.io/gpu 1"
    overhead = requests_of({"spec": {"containers": [{}], "overhead": {"cpu": "50m"}}})
    assert requests_text(overhead) == "cpu 50m"
    assert requests_text({}) == "nothing"


def test_what_is_free_is_said_of_the_node_with_the_most_room(api: ApiServer) -> None:
    requests = requests_of(pod("a"))
    api.objects["nodes", "one"] = node("one", "1")
    api.objects["pods", "b"] = scheduled("b", requests={"cpu": "900m", "memory": "128Mi"})
    assert free_room(api.cluster(), requests) == "node one has cpu 100m, memory 896Mi free"
    api.objects["nodes", "two"] = node("two", "200m")
    api.objects["nodes", "cordoned"] = node("cordoned", "8", unschedulable=True)
    assert free_room(api.cluster(), requests) == (
        "node two, the one of 2 with the most room, has cpu 200m, memory 1024Mi free"
    )


def test_an_account_that_may_not_list_nodes_has_the_schedulers_words(api: ApiServer) -> None:
    api.refusals["nodes"] = status(403, 'nodes is forbidden: User "deployer" cannot list resource "nodes"')
    shortage = shortage_of([pod("a")])
    assert shortage is not None
    assert no_room(api.cluster(), shortage).message == (
        "inconclusive: no room: 1 pod of version 5 asked for cpu 250m, memory 256Mi; 0/1 nodes are available: "
        "1 Insufficient cpu"
    )


def deployment(api: ApiServer, seconds: int = 60) -> Object:
    obj = {"metadata": {"name": "loans"}, "spec": {"progressDeadlineSeconds": seconds}}
    api.objects["deployments", "loans"] = obj
    return obj


def deadline(api: ApiServer) -> int:
    return int(api.objects["deployments", "loans"]["spec"]["progressDeadlineSeconds"])


def test_the_controllers_deadline_is_put_off_while_it_is_waited_and_given_back(api: ApiServer) -> None:
    deployment(api)
    wait = RoomWait(api.cluster(), DeploymentTarget(), "loans", seconds=60)
    progressing = RolloutState("progressing", "")
    assert wait.observe(progressing, [scheduled("a")], problems={}) == ""
    assert deadline(api) == 60
    line = wait.observe(progressing, [scheduled("a"), pod("b")], problems={})
    assert line.startswith("waiting for room: 1 pod of version 5 asks for cpu 250m")
    assert deadline(api) == 180
    with pytest.raises(NoRoomError, match="inconclusive: no room: 1 pod of version 5 asked for"):
        wait.check()
    assert deadline(api) == 60


def test_it_is_given_up_in_time_but_not_while_the_rollout_waits_on_purpose(api: ApiServer) -> None:
    deployment(api)
    wait = RoomWait(api.cluster(), DeploymentTarget(), "loans", seconds=0)
    paused = RolloutState("progressing", "", is_waiting=True)
    for _ in range(2):
        assert wait.observe(paused, [pod("a")], problems={}).startswith("no room: 1 pod of version 5")
    wait.check()
    with pytest.raises(NoRoomError, match="there was none for 0 s"):
        wait.observe(RolloutState("progressing", ""), [pod("a")], problems={})


def test_each_pod_that_becomes_ready_gives_the_others_the_whole_time_again(api: ApiServer, clock: Clock) -> None:
    deployment(api)
    wait = RoomWait(api.cluster(), DeploymentTarget(), "loans", seconds=60)
    progressing, ready = RolloutState("progressing", ""), {"conditions": [{"type": "Ready", "status": "True"}]}
    pods = [pod(name) for name in "abc"]
    for count in range(3):
        pods[:count] = [scheduled(name) | {"status": ready} for name in "abc"[:count]]
        for _ in range(2):
            clock.now += 50
            assert wait.observe(progressing, pods, problems={}).startswith(f"waiting for room: {3 - count} pod")
    clock.now += 20
    with pytest.raises(NoRoomError, match=r"1 pod of version 5 asked for .*; there was none for 70 s"):
        wait.observe(progressing, pods, problems={})


def test_a_version_for_which_others_give_way_pod_by_pod_is_getting_on(api: ApiServer, clock: Clock) -> None:
    deployment(api)
    wait = RoomWait(api.cluster(), DeploymentTarget(), "loans", seconds=60)
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    for count in range(4):
        new = [scheduled(f"new-{number}") | {"status": ready} for number in range(count)]
        old = [scheduled(f"old-{number}") | {"status": ready} for number in range(3 - count)]
        clock.now += 50
        state = RolloutState("progressing", "", pods=tuple(new))
        assert wait.observe(state, [*new, *old, pod("waiting")], problems={}).startswith("waiting for room")
    clock.now += 70
    with pytest.raises(NoRoomError):
        wait.observe(state, [*new, pod("waiting")], problems={})


def test_a_crash_or_a_failed_metric_at_the_same_time_is_the_versions_fault(api: ApiServer) -> None:
    deployment(api)
    wait = RoomWait(api.cluster(), DeploymentTarget(), "loans", seconds=0)
    progressing = RolloutState("progressing", "")
    for _ in range(2):
        assert wait.observe(progressing, [pod("a")], problems={"b": "OOMKilled"}) == ""
    wait.check()
    wait = RoomWait(api.cluster(), DeploymentTarget(), "loans", seconds=60)
    wait.observe(progressing, [pod("a")], problems={})
    wait.observe(RolloutState("failed", "", "it was aborted"), [], problems={})
    wait.check(faults=["error-rate is 0.3"])
    with pytest.raises(NoRoomError):
        wait.check()


def test_an_object_that_something_else_changed_keeps_its_deadline(api: ApiServer) -> None:
    deployment(api)
    wait = RoomWait(api.cluster(), DeploymentTarget(), "loans", seconds=60)
    wait.observe(RolloutState("progressing", ""), [pod("a")], problems={})
    first, _ = DeploymentTarget().deadline(60, instead_of=180)
    assert first == {"op": "test", "path": "/spec/progressDeadlineSeconds", "value": 180}
    assert InferenceServiceTarget().deadline(60) == []
    wait.end()
    wait.end()
    assert deadline(api) == 60


def test_a_shortage_of_nothing_that_is_counted_has_a_sentence() -> None:
    shortage = Shortage({("", "nothing"): 2}, {}, ("0/3 nodes are available: 3 node(s) had untolerated taints",))
    assert shortage.sentence() == f"2 pods ask for nothing each; {shortage.words[0]}"
