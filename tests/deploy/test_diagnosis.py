"""Why a rollout failed is said with the metric, its value and the bound, or with what became of the pods."""

from __future__ import annotations

from typing import Any

import pytest

from modelway.components.deploy.diagnosis import failed_metrics, is_crash_looping, metric_values, pod_problems

GUARDED = "len(result) > 0 && !isNaN(result[0]) && result[0] {}"


def analysis_run(
    condition: str,
    phase: str,
    *measurements: dict[str, str],
    name: str = "error-rate",
    requests: str = "",
    **result: str,
) -> dict[str, Any]:
    results = [{"name": name, "phase": phase, "measurements": list(measurements), **result}]
    if requests:
        so_far = [{"phase": "Successful", "value": value} for value in ("[3]", requests)]
        results.append({"name": "requests-so-far", "phase": "Successful", "measurements": so_far})
    return {
        "metadata": {"name": "loans-7d9"},
        "spec": {
            "metrics": [{"name": name, "successCondition": GUARDED.format(condition)}, {"name": "requests-so-far"}]
        },
        "status": {"phase": phase, "metricResults": results},
    }


def failed(value: str) -> dict[str, str]:
    return {"phase": "Failed", "value": value}


ERRORS, SLOW = "(deployment.analysis.error_rate)", "(serving.sla.p95_ms)"
TRAFFIC = "(deployment.analysis.minimum_requests)"


@pytest.mark.parametrize(
    ("run", "says"),
    [
        (
            analysis_run("<= 0.01", "Failed", failed("[0.31251]")),
            f"error-rate is 31.25 %; the policy allows 1 % {ERRORS}",
        ),
        (
            analysis_run("<= 0.01", "Failed", failed("[1]"), requests="[31]"),
            f"error-rate is 100 % over 31 requests; the policy allows 1 % {ERRORS}",
        ),
        (
            analysis_run("<= 0.01", "Failed", failed("[0.5]"), {"phase": "Successful", "value": "[0]"}, requests="[]"),
            f"error-rate is 50 %; the policy allows 1 % {ERRORS}",
        ),
        (
            analysis_run("<= 0.25", "Failed", failed("[0.512]"), name="latency-p95-seconds", requests="[70]"),
            f"p95 latency is 512 ms over 70 requests; the policy allows 250 ms {SLOW}",
        ),
        (
            analysis_run("<= 0.25", "Failed", failed("[0.612]"), name="drift", requests="[70]"),
            "drift is 0.612; the policy allows 0.25 (deployment.analysis.drift)",
        ),
        (
            analysis_run("<= 1.5", "Failed", failed("[2.1]"), name="latency-p95-to-stable"),
            "p95 latency is 2.1 times the stable version's; the policy allows 1.5 times the stable version's "
            "(deployment.analysis.compare_with_stable.latency_ratio)",
        ),
        (
            analysis_run(">= 50", "Failed", failed("[3]"), name="requests", requests="[9]"),
            f"traffic is 3 requests; the policy requires 50 requests {TRAFFIC}",
        ),
        (
            analysis_run(">= 50", "Failed", failed("[]"), name="requests"),
            "traffic has no value, since Prometheus has no such series of the new pods; the policy requires 50 "
            f"requests {TRAFFIC}",
        ),
        (
            analysis_run("<= 0.01", "Failed", failed("[NaN]")),
            f"error-rate has no value, as without requests; the policy allows 1 % {ERRORS}",
        ),
        (
            analysis_run("<= 7", "Failed", failed("[8.12345]"), name="their-own"),
            "their-own is 8.123; the analysis requires <= 7",
        ),
        (
            analysis_run("<= 0.01", "Error", {"phase": "Error", "message": "connection refused"}),
            "error-rate could not be measured: connection refused",
        ),
        (analysis_run("<= 0.01", "Error", message="no such host"), "error-rate could not be measured: no such host"),
    ],
)
def test_a_failed_metric_is_named_with_its_value_and_the_policys_bound(run: dict[str, Any], says: str) -> None:
    assert failed_metrics(run) == [says]


def test_metrics_that_hold_are_no_reason() -> None:
    run = analysis_run("<= 0.01", "Successful", {"phase": "Successful", "value": "[0.001]"}, requests="[64]")
    assert failed_metrics(run) == []
    assert metric_values(run) == ["64 requests", "error-rate 0.1 % (Successful)"]
    assert metric_values({"metadata": {}, "spec": {"metrics": []}}) == []


@pytest.mark.parametrize(("value", "lines"), [("[0]", []), ("[0.0872]", ["p95 latency 87.2 ms (Running)"])])
def test_a_latency_that_was_not_judged_yet_is_not_shown_as_0(value: str, lines: list[str]) -> None:
    measurement = {"phase": "Successful", "value": value}
    assert metric_values(analysis_run("<= 0.25", "Running", measurement, name="latency-p95-seconds")) == lines


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


BACKING_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting"}}
RUNNING: dict[str, Any] = {"running": {}}
INITIALIZED = {"type": "Initialized", "status": "True", "lastTransitionTime": "2026-11-27T14:36:55Z"}


def readiness(status: str, since: str) -> list[dict[str, str]]:
    return [{"type": "Ready", "status": status, "lastTransitionTime": f"2026-11-27T{since}Z"}, INITIALIZED]


NEVER, ONCE = readiness("False", "14:36:55"), readiness("False", "14:37:01")


@pytest.mark.parametrize(
    ("server", "sidecar", "conditions", "loops"),
    [
        ({"restartCount": 2, "state": BACKING_OFF}, {}, [], True),
        ({"restartCount": 3, "state": RUNNING}, {}, [], True),
        ({"restartCount": 1, "state": BACKING_OFF}, {}, [], False),
        ({"restartCount": 2, "state": RUNNING}, {}, [], False),
        ({"restartCount": 1, "state": RUNNING}, {}, [], False),
        ({"restartCount": 2, "state": BACKING_OFF}, {}, NEVER, True),
        ({"restartCount": 2, "state": BACKING_OFF}, {}, readiness("False", "14:36:50"), True),
        ({"restartCount": 2, "state": BACKING_OFF}, {}, ONCE, False),
        ({"restartCount": 3, "state": RUNNING}, {}, readiness("True", "14:37:01"), False),
        ({"restartCount": 0, "state": RUNNING}, {"restartCount": 9, "state": BACKING_OFF}, [], False),
        ({"restartCount": 2, "state": BACKING_OFF}, {"restartCount": 0, "state": RUNNING}, [], True),
        ({"restartCount": 0, "state": {"waiting": {"reason": "ImagePullBackOff"}}}, {}, [], False),
        ({}, {}, [], False),
    ],
)
def test_a_server_that_died_three_times_before_it_was_ready_is_crash_looping_and_no_sidecar_is(
    server: dict[str, Any], sidecar: dict[str, Any], conditions: list[dict[str, str]], loops: bool
) -> None:
    entries = [("proxy", sidecar), ("server", server)]
    statuses = [{"name": name, **entry} for name, entry in entries if entry]
    spec = {"containers": [{"name": name, "image": name} for name, _ in entries]}
    status = {"conditions": conditions, "containerStatuses": statuses}
    assert is_crash_looping({"metadata": {"name": "loans-1"}, "spec": spec, "status": status}) is loops
