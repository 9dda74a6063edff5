"""Why a rollout failed is said with the metric, its value and the bound, or with what became of the pods."""

from __future__ import annotations

from typing import Any

import pytest

from modelway.components.deploy.diagnosis import failed_metrics, metric_values, pod_problems

GUARDED = "len(result) > 0 && !isNaN(result[0]) && result[0] {}"


def analysis_run(condition: str, phase: str, *measurements: dict[str, str], **result: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "loans-7d9"},
        "spec": {"metrics": [{"name": "error-rate", "successCondition": GUARDED.format(condition)}]},
        "status": {
            "phase": phase,
            "metricResults": [
                {"name": "error-rate", "phase": phase, "measurements": list(measurements), **result},
            ],
        },
    }


@pytest.mark.parametrize(
    ("run", "says"),
    [
        (
            analysis_run("<= 0.01", "Failed", {"phase": "Failed", "value": "[0.31251]"}),
            "error-rate is 0.3125; the analysis requires <= 0.01",
        ),
        (
            analysis_run(
                "<= 0.01", "Failed", {"phase": "Failed", "value": "[0.5]"}, {"phase": "Successful", "value": "[0]"}
            ),
            "error-rate is 0.5; the analysis requires <= 0.01",
        ),
        (
            analysis_run(">= 50", "Failed", {"phase": "Failed", "value": "[]"}),
            "error-rate has no value, as without requests; the analysis requires >= 50",
        ),
        (
            analysis_run("<= 0.01", "Failed", {"phase": "Failed", "value": "[NaN]"}),
            "error-rate has no value, as without requests; the analysis requires <= 0.01",
        ),
        (
            analysis_run("<= 0.01", "Error", {"phase": "Error", "message": "connection refused"}),
            "error-rate could not be measured: connection refused",
        ),
        (analysis_run("<= 0.01", "Error", message="no such host"), "error-rate could not be measured: no such host"),
    ],
)
def test_a_failed_metric_is_named_with_its_value_and_bound(run: dict[str, Any], says: str) -> None:
    assert failed_metrics(run) == [says]


def test_metrics_that_hold_are_no_reason() -> None:
    run = analysis_run("<= 0.01", "Successful", {"phase": "Successful", "value": "[0.001]"})
    assert failed_metrics(run) == []
    assert metric_values(run) == ["error-rate 0.001 (Successful)"]
    assert metric_values({"metadata": {}, "spec": {"metrics": []}}) == []


def test_a_run_that_fails_without_a_metric_says_what_it_says() -> None:
    run = {
        "metadata": {"name": "loans-7d9"},
        "spec": {"metrics": []},
        "status": {"phase": "Error", "message": "template not found"},
    }
    assert failed_metrics(run) == ["loans-7d9: template not found"]


def pod(name: str = "loans-1", conditions: Any = (), **container: Any) -> dict[str, Any]:
    statuses = [{"name": "server", **container}] if container else []
    return {"metadata": {"name": name}, "status": {"conditions": list(conditions), "containerStatuses": statuses}}


@pytest.mark.parametrize(
    ("broken_pod", "says"),
    [
        (
            pod(
                state={"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting"}},
                lastState={"terminated": {"reason": "Error", "exitCode": 3}},
            ),
            "CrashLoopBackOff: Error with exit status 3",
        ),
        (
            pod(
                state={"waiting": {"reason": "CrashLoopBackOff"}},
                lastState={"terminated": {"reason": "OOMKilled", "exitCode": 137}},
            ),
            "CrashLoopBackOff: OOMKilled",
        ),
        (
            pod(state={"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}),
            "ImagePullBackOff: not found",
        ),
        (pod(state={"terminated": {"reason": "Error", "exitCode": 132}}), "Error with exit status 132"),
        (
            pod(conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulerError", "message": "0/1"}]),
            "SchedulerError: 0/1",
        ),
    ],
)
def test_what_keeps_a_pod_from_being_ready_is_said(broken_pod: dict[str, Any], says: str) -> None:
    no_room = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1"}
    assert pod_problems([broken_pod, pod(conditions=[no_room])]) == {"loans-1": says}


@pytest.mark.parametrize(
    "broken_pod",
    [
        pod(state={"waiting": {"reason": "ContainerCreating"}}),
        pod(state={"running": {}}),
        pod(),
        pod(
            conditions=[{"type": "Ready", "status": "True"}],
            state={"running": {}},
            lastState={"terminated": {"reason": "Error", "exitCode": 1}},
        ),
    ],
)
def test_a_pod_that_is_starting_or_ready_is_no_problem(broken_pod: dict[str, Any]) -> None:
    assert pod_problems([broken_pod]) == {}
