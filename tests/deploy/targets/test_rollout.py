"""A Rollout is read as its controller means it, and changed and put back by patches that touch nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from pod_proxy import ApiServer, patched
from user_files import minimal_policy

from modelway.components.core.errors import ModelwayError
from modelway.components.deploy.targets.base import RolloutChange, image_of
from modelway.components.deploy.targets.rollout import RolloutTarget

IMAGE, NEXT = f"r.example/loans@sha256:{'1' * 64}", f"r.example/loans@sha256:{'2' * 64}"
TARGET = RolloutTarget()


@pytest.fixture
def rollout() -> dict[str, Any]:
    body = dict(TARGET.manifests(minimal_policy(), "loans", image=IMAGE))["rollouts"]
    status = {
        "observedGeneration": "4",
        "phase": "Healthy",
        "currentPodHash": "new",
        "stableRS": "new",
        "currentStepIndex": 5,
    }
    return {**body, "metadata": {**body["metadata"], "generation": 4, "uid": "u"}, "status": status}


def pod(template: str, *, ready: bool = True, going: bool = False) -> dict[str, Any]:
    metadata = {"name": "p", "labels": {"rollouts-pod-template-hash": template}}
    if going:
        metadata["deletionTimestamp"] = "now"  # type: ignore[assignment]
    return {"metadata": metadata, "status": {"conditions": [{"type": "Ready", "status": str(ready)}]}}


def test_a_whole_rollout_is_healthy_and_counts_its_new_pods(rollout: dict[str, Any]) -> None:
    pods = [pod("new"), pod("new", ready=False), pod("new", going=True), pod("old")]
    state = TARGET.state(rollout, pods)
    assert (state.phase, state.progress) == (
        "healthy",
        "step 5/5, weight 100 % asked, 1 of 2 pods = 50 %, 1 of 2 new pods ready",
    )
    assert state.pods == (pods[0], pods[1])


@pytest.mark.parametrize(
    ("status", "phase", "reason"),
    [
        ({"observedGeneration": "3"}, "progressing", ""),
        ({"observedGeneration": "3", "abort": True, "phase": "Degraded"}, "progressing", ""),
        ({"phase": "Progressing"}, "progressing", ""),
        ({"stableRS": "old"}, "progressing", ""),
        ({"stableRS": ""}, "progressing", ""),
        ({"phase": "Paused", "pauseConditions": [{"reason": "CanaryPauseStep"}]}, "progressing", ""),
        (
            {"phase": "Paused", "pauseConditions": [{"reason": "InconclusiveAnalysisRun"}]},
            "failed",
            "its analysis was inconclusive",
        ),
        ({"abort": True, "phase": "Progressing"}, "failed", "it was aborted"),
        (
            {"phase": "Degraded", "message": "ProgressDeadlineExceeded: late"},
            "failed",
            "ProgressDeadlineExceeded: late",
        ),
        ({"phase": "Degraded", "message": "InvalidSpec: no service"}, "failed", "InvalidSpec: no service"),
    ],
)
def test_a_rollout_that_is_not_whole_is_told_from_one_that_failed(
    rollout: dict[str, Any], status: dict[str, Any], phase: str, reason: str
) -> None:
    rollout["status"] |= status
    state = TARGET.state(rollout, [])
    assert (state.phase, state.reason) == (phase, reason)


@pytest.mark.parametrize(
    ("status", "waiting"),
    [
        ({"phase": "Progressing", "currentStepIndex": 0}, False),
        ({"phase": "Progressing", "currentStepIndex": 1}, True),
        ({"phase": "Progressing", "currentStepIndex": 4}, True),
        ({"phase": "Progressing", "currentStepIndex": 5}, False),
        ({"phase": "Paused", "currentStepIndex": None}, True),
    ],
    ids=["weight", "pause", "analysis", "all", "blue-green"],
)
def test_a_pause_and_an_analysis_are_told_from_a_step_that_waits_for_pods(
    rollout: dict[str, Any], status: dict[str, Any], waiting: bool
) -> None:
    rollout["status"] |= {"stableRS": "old", **status}
    assert TARGET.state(rollout, []).is_waiting is waiting


def test_a_version_is_alone_once_it_has_passed_all_and_no_other_has_pods(rollout: dict[str, Any]) -> None:
    rollout["status"]["phase"] = "Progressing"
    pods = [pod("new"), pod("new", ready=False), pod("old", going=True)]
    assert TARGET.state(rollout, pods).is_alone
    assert not TARGET.state(rollout, [*pods, pod("old", ready=False)]).is_alone
    assert not TARGET.state(rollout, pods[1:]).is_alone
    rollout["status"]["stableRS"] = "old"
    assert not TARGET.state(rollout, pods).is_alone


def test_a_rollout_that_was_never_seen_or_is_stopped_serves_nothing(rollout: dict[str, Any]) -> None:
    del rollout["status"]
    assert TARGET.state(rollout, []).phase == "progressing"
    rollout |= {"status": {"observedGeneration": "4", "phase": "Healthy", "currentPodHash": "a", "stableRS": "a"}}
    rollout["spec"]["replicas"] = 0
    assert TARGET.state(rollout, []).phase == "failed"


@pytest.mark.parametrize(
    ("index", "place"),
    [
        (0, "step 1/5, weight 20 %"),
        (1, "step 2/5, weight 20 %"),
        (2, "step 3/5, weight 50 %"),
        (5, "step 5/5, weight 100"),
    ],
)
def test_the_place_in_the_steps_is_said_with_the_weight(rollout: dict[str, Any], index: int, place: str) -> None:
    rollout["status"]["currentStepIndex"] = index
    assert TARGET.state(rollout, []).progress.startswith(place)


@pytest.mark.parametrize(
    ("new", "old", "routing", "share"),
    [
        (1, 1, None, "weight 20 % asked, 1 of 2 pods = 50 %"),
        (1, 2, None, "weight 20 % asked, 1 of 3 pods = 33 %"),
        (1, 4, None, "weight 20 % asked, 1 of 5 pods = 20 %"),
        (0, 2, None, "weight 20 % asked, 0 of 2 pods = 0 %"),
        (1, 2, {"istio": {}}, "weight 20 %, 1 of 1 new pods ready"),
        (0, 0, None, "weight 20 %, 0 of 0 new pods ready"),
    ],
)
def test_the_share_that_the_pods_give_is_said_beside_the_one_asked_for(
    rollout: dict[str, Any], new: int, old: int, routing: dict[str, Any] | None, share: str
) -> None:
    rollout["status"]["currentStepIndex"] = 0
    if routing is not None:
        rollout["spec"]["strategy"]["canary"]["trafficRouting"] = routing
    pods = [*(pod("new") for _ in range(new)), *(pod("old") for _ in range(old)), pod("old", ready=False)]
    assert f"step 1/5, {share}" in TARGET.state(rollout, pods).progress


def test_all_analysis_runs_of_a_rollout_are_read(rollout: dict[str, Any]) -> None:
    rollout["status"] |= {
        "canary": {
            "currentBackgroundAnalysisRunStatus": {"name": "a", "status": "Running"},
            "currentStepAnalysisRunStatus": {"name": "b", "status": "Running"},
        },
        "blueGreen": {"prePromotionAnalysisRunStatus": {"name": "c"}, "postPromotionAnalysisRunStatus": {"name": ""}},
    }
    assert TARGET.state(rollout, []).analyses == ("a", "b", "c")


def change(previous: dict[str, Any] | None, strategy: dict[str, Any]) -> RolloutChange:
    return RolloutChange("loans", "2", NEXT, "run-2", previous, strategy, 77)


def test_a_change_sets_the_image_and_says_what_it_is_of(rollout: dict[str, Any]) -> None:
    rollout["metadata"]["annotations"] = {
        **{"rollout.argoproj.io/revision": "3", "modelway.io/version": "1", "modelway.io/run": "run-1"}
    }
    rollout["spec"]["template"]["metadata"]["annotations"]["modelway.io/version"] = "1"
    strategy = TARGET.strategy(
        minimal_policy(deployment={"steps": [{"weight": 10}]}), "loans", obj=rollout, immediate=False
    )
    patched_obj = patched(rollout, TARGET.change(rollout, change(rollout["spec"]["template"], strategy)))
    assert image_of(patched_obj["spec"]["template"]) == NEXT
    assert patched_obj["spec"]["template"]["metadata"]["annotations"]["modelway.io/version"] == "2"
    assert patched_obj["spec"]["template"]["metadata"]["annotations"]["prometheus.io/scrape"] == "true"
    assert patched_obj["spec"]["strategy"]["canary"]["steps"][0] == {"setWeight": 10}
    assert (patched_obj["spec"]["progressDeadlineSeconds"], patched_obj["spec"]["progressDeadlineAbort"]) == (77, True)
    assert patched_obj["metadata"]["annotations"] == {
        "rollout.argoproj.io/revision": "3",
        "modelway.io/model": "loans",
        "modelway.io/version": "2",
        "modelway.io/run": "run-2",
        "modelway.io/previous-image": IMAGE,
        "modelway.io/previous-run": "run-1",
        **dict.fromkeys(("modelway.io/undone", "modelway.io/undone-version", "modelway.io/undone-run"), ""),
    }
    back = patched(patched_obj, TARGET.restore(patched_obj, rollout["spec"]["template"], reason="it was slow"))
    assert back["spec"]["template"] == rollout["spec"]["template"]
    undone = {
        "modelway.io/version": "1",
        "modelway.io/run": "run-1",
        "modelway.io/previous-image": "",
        "modelway.io/previous-run": "",
        "modelway.io/undone": "version 2 was undone: it was slow",
        "modelway.io/undone-version": "2",
        "modelway.io/undone-run": "run-2",
    }
    assert back["metadata"]["annotations"] == patched_obj["metadata"]["annotations"] | undone
    again = patched(back, TARGET.restore(back, rollout["spec"]["template"], reason="it crashed"))
    assert again["metadata"]["annotations"] == back["metadata"]["annotations"] | {
        "modelway.io/undone": "version 2 was undone: it crashed"
    }


def test_only_another_kind_of_strategy_has_to_come_first(rollout: dict[str, Any]) -> None:
    template = rollout["spec"]["template"]
    for strategy, first in (("canary", False), ("rolling", False), ("blue-green", True)):
        policy = minimal_policy(deployment={"strategy": strategy})
        section = TARGET.strategy(policy, "loans", obj=rollout, immediate=False)
        assert bool(TARGET.prepare(rollout, change(template, section))) is first
        assert TARGET.prepare(rollout, change(None, section)) == []


def test_going_back_in_a_hurry_keeps_the_kind_and_leaves_steps_and_analysis_out(rollout: dict[str, Any]) -> None:
    plain = TARGET.strategy(minimal_policy(), "loans", obj=rollout, immediate=True)
    assert plain == {"canary": {"maxSurge": 1, "maxUnavailable": 0}}
    rollout["spec"]["strategy"] = TARGET.strategy(
        minimal_policy(deployment={"strategy": "blue-green"}), "loans", obj=rollout, immediate=False
    )
    section = TARGET.strategy(minimal_policy(), "loans", obj=rollout, immediate=True)["blueGreen"]
    assert section["activeService"] == "loans"
    assert section["autoPromotionEnabled"] is True
    assert not {"prePromotionAnalysis", "postPromotionAnalysis"} & set(section)


def test_what_never_served_is_stopped_and_started_again_with_as_many_pods(rollout: dict[str, Any]) -> None:
    rollout["spec"]["replicas"] = 3
    stopped_rollout = patched(rollout, TARGET.restore(rollout, None, reason="it crashed"))
    assert stopped_rollout["spec"]["replicas"] == 0
    strategy = TARGET.strategy(minimal_policy(), "loans", obj=stopped_rollout, immediate=False)
    assert "steps" not in strategy["canary"]  # a stopped version is nothing to compare with, or to go back to
    assert patched(stopped_rollout, TARGET.change(stopped_rollout, change(None, strategy)))["spec"]["replicas"] == 3


def test_the_servers_container_is_the_one_that_is_changed(rollout: dict[str, Any]) -> None:
    containers = rollout["spec"]["template"]["spec"]["containers"]
    containers.insert(0, {"name": "proxy", "image": "proxy"})
    patched_obj = patched(rollout, TARGET.change(rollout, change(None, {})))
    assert [container["image"] for container in patched_obj["spec"]["template"]["spec"]["containers"]] == [
        "proxy",
        NEXT,
    ]
    containers[1]["name"] = "main"
    with pytest.raises(ModelwayError, match="which of the containers proxy, main is the server"):
        TARGET.change(rollout, change(None, {}))


def test_a_rollout_that_takes_its_pods_from_elsewhere_is_refused(rollout: dict[str, Any]) -> None:
    rollout["spec"] = {"workloadRef": {"kind": "Deployment", "name": "loans"}}
    with pytest.raises(ModelwayError, match="takes its pods from another object"):
        TARGET.template(rollout)


def test_clients_come_by_the_services_that_the_strategy_and_its_router_name(rollout: dict[str, Any]) -> None:
    strategy = rollout["spec"]["strategy"]
    assert TARGET.client_services(rollout) == ("loans",)
    strategy["canary"] |= {"trafficRouting": {"istio": {}}, "stableService": "loans", "canaryService": "loans-preview"}
    assert TARGET.client_services(rollout) == ("loans",)
    rollout["status"]["canary"] = {"weights": {"canary": {"weight": 20}, "stable": {"weight": 80}}}
    assert TARGET.client_services(rollout) == ("loans", "loans-preview")
    rollout["spec"]["strategy"] = {"blueGreen": {"activeService": "active", "previewService": "preview"}}
    assert TARGET.client_services(rollout) == ("active",)


@pytest.mark.parametrize(
    ("status", "undone"),
    [
        ({"abort": True, "stableRS": "old", "phase": "Degraded"}, True),
        ({"abort": True, "stableRS": "old", "observedGeneration": "3"}, False),
        ({"abort": True, "stableRS": "new"}, False),
        ({"abort": True, "stableRS": ""}, False),
        ({"stableRS": "old", "phase": "Degraded"}, False),
        ({}, False),
    ],
)
def test_a_rollout_that_argo_aborted_is_undone_by_the_cluster(
    rollout: dict[str, Any], status: dict[str, Any], undone: bool
) -> None:
    rollout["status"] |= status
    assert TARGET.is_undone_by_cluster(rollout) is undone


def test_the_analyses_of_the_last_change_are_told_from_those_of_an_earlier_trial_and_of_others(
    api: ApiServer, rollout: dict[str, Any]
) -> None:
    rollout["metadata"]["annotations"] = {"rollout.argoproj.io/revision": "5"}
    for name, revision, owner in (("step", "5", "u"), ("watch", "5", "u"), ("trial", "3", "u"), ("other", "5", "o")):
        metadata = {"name": name, "ownerReferences": [{"uid": owner}], "creationTimestamp": "2026-11-01T00:00:00Z"}
        metadata["annotations"] = {"rollout.argoproj.io/revision": revision}
        api.objects["analysisruns", name] = {"metadata": metadata}
    api.objects["analysisruns", "watch"]["metadata"]["creationTimestamp"] = "2026-10-31T23:59:59Z"
    runs = TARGET.analysis_runs(api.cluster(), rollout)
    assert [run["metadata"]["name"] for run in runs] == ["watch", "step"]
    del rollout["status"]
    assert TARGET.analysis_runs(api.cluster(), rollout) == []
