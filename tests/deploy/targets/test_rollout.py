"""A Rollout is read as its controller means it, and changed and put back by patches that touch nothing else."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from user_files import minimal_policy

from modelway.components.core.errors import ModelwayError
from modelway.components.deploy.targets.base import RolloutChange, image_of
from modelway.components.deploy.targets.rollout import RolloutTarget

IMAGE, NEXT = f"r.example/loans@sha256:{'1' * 64}", f"r.example/loans@sha256:{'2' * 64}"
TARGET = RolloutTarget()


def patched(found: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    """An object after a JSON patch, by RFC 6902."""
    made = copy.deepcopy(found)
    for one in operations:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in one["path"].split("/")[1:]]
        place: Any = made
        for part in parents:
            place = place[int(part) if isinstance(place, list) else part]
        if one["op"] == "test":
            assert place[last] == one["value"]
            continue
        assert one["op"] == "add" or last in place, one["path"]
        place[last] = one["value"]
    return made


@pytest.fixture
def found() -> dict[str, Any]:
    made = dict(TARGET.manifests(minimal_policy(), "loans", image=IMAGE))["rollouts"]
    status = {
        "observedGeneration": "4",
        "phase": "Healthy",
        "currentPodHash": "new",
        "stableRS": "new",
        "currentStepIndex": 5,
    }
    return {**made, "metadata": {**made["metadata"], "generation": 4, "uid": "u"}, "status": status}


def pod(template: str, *, ready: bool = True, going: bool = False) -> dict[str, Any]:
    metadata = {"name": "p", "labels": {"rollouts-pod-template-hash": template}}
    if going:
        metadata["deletionTimestamp"] = "now"  # type: ignore[assignment]
    return {"metadata": metadata, "status": {"conditions": [{"type": "Ready", "status": str(ready)}]}}


def test_a_whole_rollout_is_healthy_and_counts_its_new_pods(found: dict[str, Any]) -> None:
    pods = [pod("new"), pod("new", ready=False), pod("new", going=True), pod("old")]
    state = TARGET.state(found, pods)
    assert (state.phase, state.progress) == ("healthy", "step 5/5, weight 100 %, 1 of 2 new pods ready")
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
    found: dict[str, Any], status: dict[str, Any], phase: str, reason: str
) -> None:
    found["status"] |= status
    state = TARGET.state(found, [])
    assert (state.phase, state.reason) == (phase, reason)


def test_a_rollout_that_was_never_seen_or_is_stopped_serves_nothing(found: dict[str, Any]) -> None:
    del found["status"]
    assert TARGET.state(found, []).phase == "progressing"
    found |= {"status": {"observedGeneration": "4", "phase": "Healthy", "currentPodHash": "a", "stableRS": "a"}}
    found["spec"]["replicas"] = 0
    assert TARGET.state(found, []).phase == "failed"


@pytest.mark.parametrize(
    ("index", "place"),
    [
        (0, "step 1/5, weight 20 %"),
        (1, "step 2/5, weight 20 %"),
        (2, "step 3/5, weight 50 %"),
        (5, "step 5/5, weight 100"),
    ],
)
def test_the_place_in_the_steps_is_said_with_the_weight(found: dict[str, Any], index: int, place: str) -> None:
    found["status"]["currentStepIndex"] = index
    assert TARGET.state(found, []).progress.startswith(place)


def test_all_analysis_runs_of_a_rollout_are_read(found: dict[str, Any]) -> None:
    found["status"] |= {
        "canary": {
            "currentBackgroundAnalysisRunStatus": {"name": "a", "status": "Running"},
            "currentStepAnalysisRunStatus": {"name": "b", "status": "Running"},
        },
        "blueGreen": {"prePromotionAnalysisRunStatus": {"name": "c"}, "postPromotionAnalysisRunStatus": {"name": ""}},
    }
    assert TARGET.state(found, []).analyses == ("a", "b", "c")


def change(previous: dict[str, Any] | None, strategy: dict[str, Any]) -> RolloutChange:
    return RolloutChange("loans", "2", NEXT, "run-2", previous, strategy, 77)


def test_a_change_sets_the_image_and_says_what_it_is_of(found: dict[str, Any]) -> None:
    found["metadata"]["annotations"] = {"rollout.argoproj.io/revision": "3"}
    strategy = TARGET.strategy(
        minimal_policy(deployment={"steps": [{"weight": 10}]}), "loans", obj=found, immediate=False
    )
    made = patched(found, TARGET.change(found, change(found["spec"]["template"], strategy)))
    assert image_of(made["spec"]["template"]) == NEXT
    assert made["spec"]["template"]["metadata"]["annotations"]["modelway.io/version"] == "2"
    assert made["spec"]["template"]["metadata"]["annotations"]["prometheus.io/scrape"] == "true"
    assert made["spec"]["strategy"]["canary"]["steps"][0] == {"setWeight": 10}
    assert (made["spec"]["progressDeadlineSeconds"], made["spec"]["progressDeadlineAbort"]) == (77, True)
    assert made["metadata"]["annotations"] == {
        "rollout.argoproj.io/revision": "3",
        "modelway.io/model": "loans",
        "modelway.io/version": "2",
        "modelway.io/run": "run-2",
        "modelway.io/previous-image": IMAGE,
        "modelway.io/undone": "",
    }
    back = patched(made, TARGET.restore(made, found["spec"]["template"], reason="it was slow"))
    assert back["spec"]["template"] == found["spec"]["template"]
    assert back["metadata"]["annotations"]["modelway.io/undone"] == "it was slow"


def test_only_another_kind_of_strategy_has_to_come_first(found: dict[str, Any]) -> None:
    template = found["spec"]["template"]
    for strategy, first in (("canary", False), ("rolling", False), ("blue-green", True)):
        wanted = TARGET.strategy(minimal_policy(deployment={"strategy": strategy}), "loans", obj=found, immediate=False)
        assert bool(TARGET.prepare(found, change(template, wanted))) is first
        assert TARGET.prepare(found, change(None, wanted)) == []


def test_going_back_in_a_hurry_keeps_the_kind_and_leaves_steps_and_analysis_out(found: dict[str, Any]) -> None:
    plain = TARGET.strategy(minimal_policy(), "loans", obj=found, immediate=True)
    assert plain == {"canary": {"maxSurge": 1, "maxUnavailable": 0}}
    found["spec"]["strategy"] = TARGET.strategy(
        minimal_policy(deployment={"strategy": "blue-green"}), "loans", obj=found, immediate=False
    )
    section = TARGET.strategy(minimal_policy(), "loans", obj=found, immediate=True)["blueGreen"]
    assert section["activeService"] == "loans"
    assert section["autoPromotionEnabled"] is True
    assert not {"prePromotionAnalysis", "postPromotionAnalysis"} & set(section)


def test_what_never_served_is_stopped_and_started_again_with_as_many_pods(found: dict[str, Any]) -> None:
    found["spec"]["replicas"] = 3
    stopped = patched(found, TARGET.restore(found, None, reason="it crashed"))
    assert stopped["spec"]["replicas"] == 0
    strategy = TARGET.strategy(minimal_policy(), "loans", obj=stopped, immediate=False)
    assert "steps" not in strategy["canary"]  # a stopped version is nothing to compare with, or to go back to
    assert patched(stopped, TARGET.change(stopped, change(None, strategy)))["spec"]["replicas"] == 3


def test_the_servers_container_is_the_one_that_is_changed(found: dict[str, Any]) -> None:
    containers = found["spec"]["template"]["spec"]["containers"]
    containers.insert(0, {"name": "proxy", "image": "proxy"})
    made = patched(found, TARGET.change(found, change(None, {})))
    assert [one["image"] for one in made["spec"]["template"]["spec"]["containers"]] == ["proxy", NEXT]
    containers[1]["name"] = "main"
    with pytest.raises(ModelwayError, match="which of the containers proxy, main is the server"):
        TARGET.change(found, change(None, {}))


def test_a_rollout_that_takes_its_pods_from_elsewhere_is_refused(found: dict[str, Any]) -> None:
    found["spec"] = {"workloadRef": {"kind": "Deployment", "name": "loans"}}
    with pytest.raises(ModelwayError, match="takes its pods from another object"):
        TARGET.template(found)
