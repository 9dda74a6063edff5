"""A model's workload is created, changed, followed until it serves or has failed, and undone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pod_proxy import ApiServer, status
from serving_objects import ABORTED, IMAGES, add_aborted_rollout, add_analysis
from user_files import minimal_policy

from modelway.components.core.errors import ModelwayError
from modelway.components.deploy import following as following_module
from modelway.components.deploy import workload as workload_module
from modelway.components.deploy.cluster import Cluster
from modelway.components.deploy.following import follow
from modelway.components.deploy.room import NoRoomError
from modelway.components.deploy.targets.base import RolloutChange, image_of
from modelway.components.deploy.workload import Workload

IMAGE, NEXT = f"r.example/loans@sha256:{'1' * 64}", f"r.example/loans@sha256:{'2' * 64}"
HEALTHY = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
LATE = {"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "it is late"}


@pytest.fixture(autouse=True)
def _polling_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (workload_module, following_module):
        monkeypatch.setattr(module, "_POLL_SECONDS", 0.01)


def workload_of(api: ApiServer, **deployment: Any) -> Workload:
    policy = minimal_policy(deployment={"target": "deployment", **deployment})
    return Workload(api.cluster(), "loans", policy, progress=str)


def change(image: str, previous_template: dict[str, Any] | None = None) -> RolloutChange:
    return RolloutChange("loans", "2", image, "run-2", previous_template, {"type": "RollingUpdate"}, 60)


def crashing_pod(image: str, restarts: int = 1, *, ready_at: str = "14:36:55") -> dict[str, Any]:
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off"}
    statuses = [{"name": "server", "restartCount": restarts, "state": {"waiting": waiting}}]
    spec = {"containers": [{"name": "server", "image": image}]}
    conditions = [
        {"type": name, "status": status, "lastTransitionTime": f"2026-11-27T{since}Z"}
        for name, status, since in (("Initialized", "True", "14:36:55"), ("Ready", "False", ready_at))
    ]
    status = {"containerStatuses": statuses, "conditions": conditions}
    return {"metadata": {"name": "loans-1"}, "spec": spec, "status": status}


def test_the_objects_are_created_with_the_annotations_of_the_change(api: ApiServer) -> None:
    workload = workload_of(api)
    assert workload.get("loans") is None
    workload.apply(None, change(IMAGE))
    assert set(api.objects) == {("services", "loans"), ("services", "loans-preview"), ("deployments", "loans")}
    obj = workload.get("loans")
    assert obj is not None
    assert workload.image(obj) == IMAGE
    assert obj["metadata"]["annotations"]["modelway.io/run"] == "run-2"
    assert obj["spec"]["template"]["metadata"]["annotations"]["modelway.io/version"] == "2"


def test_only_a_rollout_gets_analysis_templates(api: ApiServer) -> None:
    workload = workload_of(api, target="rollout")
    for _ in range(2):  # the second time in place of the first ones
        workload.apply(workload.get("loans"), change(IMAGE))
    assert {name for resource, name in api.objects if resource == "analysistemplates"} == {
        "loans-analysis",
        "loans-watch",
    }


def test_an_object_of_another_model_is_left_alone(api: ApiServer) -> None:
    workload_of(api).apply(None, change(IMAGE))
    with pytest.raises(ModelwayError, match="loans in models serves another model, loans"):
        workload_of(api).get("Loans")


def test_a_healthy_rollout_has_no_failures_and_an_undo_restores_the_previous_template(api: ApiServer) -> None:
    workload = workload_of(api)
    workload.apply(None, change(IMAGE))
    obj = api.objects["deployments", "loans"]
    obj["status"] = HEALTHY
    assert follow(workload, IMAGE, 5) == ()
    template = obj["spec"]["template"]
    workload.apply(workload.get("loans"), change(NEXT, template))
    assert workload.image(api.objects["deployments", "loans"]) == NEXT
    assert follow(workload, IMAGE, 5) == (f"loans was changed by something else meanwhile, to {NEXT}",)
    assert workload.undo(NEXT, template, reason="it was slow")
    obj = api.objects["deployments", "loans"]
    assert image_of(obj["spec"]["template"]) == IMAGE
    assert obj["metadata"]["annotations"]["modelway.io/undone"] == "version 2 was undone: it was slow"


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


def pod_without_room(image: str) -> dict[str, Any]:
    pod = crashing_pod(image)
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1: full",
    }
    return pod | {"metadata": {"name": "loans-2"}, "status": {"conditions": [condition]}}


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


def test_what_serves_has_all_its_pods_before_a_change_or_lacks_room(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload = workload_of(api)
    workload.apply(None, change(IMAGE))
    obj = api.objects["deployments", "loans"]
    monkeypatch.setattr(Workload, "wait_healthy", lambda *_: False)
    workload.wait_for_pods(obj)
    api.objects["pods", "loans-2"] = pod_without_room(IMAGE)
    with pytest.raises(NoRoomError, match="inconclusive: no room: 1 pod asked for nothing; 0/1: full"):
        workload.wait_for_pods(obj)
    obj["status"] = HEALTHY
    workload.wait_for_pods(obj)


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


def test_a_rollout_has_to_finish_in_time(api: ApiServer) -> None:
    workload = workload_of(api)
    workload.apply(None, change(IMAGE))
    (failure,) = follow(workload, IMAGE, 0.05)
    assert failure.startswith("it did not finish within 0 s: 0 of 1 new pods ready")
    assert not workload.wait_healthy(0.05)
    del api.objects["deployments", "loans"]
    with pytest.raises(ModelwayError, match="models/deployments/loans was deleted"):
        workload.wait_healthy(0.05)


def test_a_rollout_that_the_cluster_undid_before_it_is_followed_says_what_was_measured(api: ApiServer) -> None:
    add_aborted_rollout(api)
    add_analysis(api)
    workload = Workload(api.cluster(), "loans", minimal_policy(), progress=str)
    assert follow(workload, IMAGES["5"], 10) == (
        "error-rate is 40 %; the policy allows 2 % (deployment.analysis.error_rate)",
    )
    api.refusals["analysisruns"] = status(403, 'User "ada" cannot list resource "analysisruns"')
    assert follow(workload, IMAGES["5"], 10) == (ABORTED,), "as the account of an older Role"


def test_who_follows_the_rollout_of_another_run_is_noted_once(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    add_aborted_rollout(api)
    workload = Workload(api.cluster(), "loans", minimal_policy(), progress=str)
    workload.take_up(api.objects["rollouts", "loans"], "run-6")
    assert api.objects["rollouts", "loans"]["metadata"]["annotations"]["modelway.io/run"] == "run-6"
    monkeypatch.setattr(Cluster, "patch", None)
    workload.take_up(api.objects["rollouts", "loans"], "run-6")
