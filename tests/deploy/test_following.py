"""A rollout is followed until it serves or has failed, which is then said with its reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pod_proxy import ApiServer, status
from serving_objects import ABORTED, IMAGES, add_aborted_rollout, add_analysis
from user_files import minimal_policy
from workloads import HEALTHY, IMAGE, LATE, NEXT, change, crashing_pod, pod_without_room, workload_of

from modelway.components.deploy import following as following_module
from modelway.components.deploy.following import follow
from modelway.components.deploy.room import NoRoomError
from modelway.components.deploy.workload import Workload


@pytest.fixture(autouse=True)
def _polling_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following_module, "_POLL_SECONDS", 0.01)


def test_a_healthy_rollout_has_no_failures(api: ApiServer) -> None:
    workload = workload_of(api)
    workload.apply(None, change(IMAGE))
    obj = api.objects["deployments", "loans"]
    obj["status"] = HEALTHY
    assert follow(workload, IMAGE, 5) == ()
    workload.apply(workload.get("loans"), change(NEXT, obj["spec"]["template"]))
    assert follow(workload, IMAGE, 5) == (f"loans was changed by something else meanwhile, to {NEXT}",)


def test_a_rollout_has_to_finish_in_time(api: ApiServer) -> None:
    workload = workload_of(api)
    workload.apply(None, change(IMAGE))
    (failure,) = follow(workload, IMAGE, 0.05)
    assert failure.startswith("it did not finish within 0 s: 0 of 1 new pods ready")


def test_a_failed_rollout_says_what_is_wrong_with_its_pods(api: ApiServer) -> None:
    workload = workload_of(api)
    workload.apply(None, change(IMAGE))
    api.objects["deployments", "loans"]["status"] = {"observedGeneration": 1, "conditions": [LATE]}
    api.objects["pods", "loans-1"] = crashing_pod(IMAGE)
    assert follow(workload, IMAGE, 5) == (
        "a pod is not ready: CrashLoopBackOff: back-off",
        "its log ends: loans-1 has no memory left",
    )


@pytest.mark.parametrize("target", ["deployment", "rollout", "kserve"])
def test_a_pod_that_dies_over_and_over_before_it_is_ready_ends_a_rollout_at_once(api: ApiServer, target: str) -> None:
    workload = workload_of(api, target=target)
    workload.apply(None, change(IMAGE))
    obj = workload.get("loans")
    assert obj is not None
    obj["metadata"]["generation"] = 1
    obj["status"] = {"observedGeneration": 1, "currentPodHash": "new"}
    api.objects[workload.target.resource, "loans"] = obj
    pod = crashing_pod(IMAGE, restarts=2)
    pod["metadata"]["labels"] = {"rollouts-pod-template-hash": "new"}
    api.objects["pods", "loans-1"] = pod
    assert follow(workload, IMAGE, 600) == (
        "a pod is not ready: CrashLoopBackOff: back-off",
        "its log ends: loans-1 has no memory left",
    )


@pytest.mark.parametrize(
    "pod",
    [crashing_pod(IMAGE, restarts=1), crashing_pod(NEXT, restarts=7), crashing_pod(IMAGE, 7, ready_at="14:37:01")],
    ids=["one restart", "of what served before", "was ready before"],
)
def test_other_deaths_of_pods_do_not_end_a_rollout(api: ApiServer, pod: dict[str, Any]) -> None:
    workload = workload_of(api)
    workload.apply(None, change(IMAGE))
    api.objects["pods", "loans-1"] = pod
    (failure, *_) = follow(workload, IMAGE, 0.2)
    assert failure.startswith("it did not finish within 0 s: 0 of 1 new pods ready")


@pytest.mark.parametrize("status", [{}, {"observedGeneration": 1, "conditions": [LATE]}], ids=["slow", "given-up"])
def test_a_rollout_that_finds_no_room_is_inconclusive_at_its_deadline(api: ApiServer, status: dict[str, Any]) -> None:
    lines: list[str] = []
    workload = replace(workload_of(api), progress=lines.append)
    workload.apply(None, change(IMAGE))
    api.objects["pods", "loans-2"] = pod_without_room(IMAGE)

    def give_up(line: str) -> None:
        lines.append(line)
        api.objects["deployments", "loans"]["status"] = status

    with pytest.raises(NoRoomError, match="inconclusive: no room: 1 pod asked for nothing; 0/1: full"):
        follow(replace(workload, progress=give_up), IMAGE, 1)
    assert lines[0] == "0 of 1 new pods ready, waiting for room: 1 pod asks for nothing; 0/1: full"


def test_a_pod_that_crashes_while_another_finds_no_room_is_the_versions_fault(api: ApiServer) -> None:
    workload = workload_of(api)
    workload.apply(None, change(IMAGE))
    api.objects["pods", "loans-1"], api.objects["pods", "loans-2"] = crashing_pod(IMAGE), pod_without_room(IMAGE)
    reasons = follow(workload, IMAGE, 0.05)
    assert "a pod is not ready: CrashLoopBackOff: back-off" in reasons
    assert not any("room" in reason for reason in reasons)


def test_a_version_that_has_passed_all_serves_whatever_pods_of_it_find_no_room(api: ApiServer) -> None:
    workload = workload_of(api, target="rollout")
    workload.apply(None, change(IMAGE))
    api.objects["rollouts", "loans"]["status"] = {"phase": "Progressing", "currentPodHash": "a", "stableRS": "a"}
    labels = {"labels": {"rollouts-pod-template-hash": "a"}}
    waiting, ready = pod_without_room(IMAGE), pod_without_room(IMAGE)
    waiting["metadata"] |= labels
    ready |= {"metadata": {"name": "loans-3"} | labels, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    api.objects["pods", "loans-2"], api.objects["pods", "loans-3"] = waiting, ready
    assert follow(workload, IMAGE, 5) == ()
    ready["status"] = {}
    with pytest.raises(NoRoomError):
        follow(workload, IMAGE, 0.05)


def test_a_rollout_that_the_cluster_undid_before_it_is_followed_says_what_was_measured(api: ApiServer) -> None:
    add_aborted_rollout(api)
    add_analysis(api)
    workload = Workload(api.cluster(), "loans", minimal_policy(), progress=str)
    assert follow(workload, IMAGES["5"], 10) == (
        "error-rate is 40 %; the policy allows 2 % (deployment.analysis.error_rate)",
    )
    api.refusals["analysisruns"] = status(403, 'User "ada" cannot list resource "analysisruns"')
    assert follow(workload, IMAGES["5"], 10) == (ABORTED,), "as the account of an older Role"
