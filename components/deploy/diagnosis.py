"""The diagnosis of a rollout: what its analysis measured, and what is wrong with its pods, in sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from modelway.components.deploy.cluster import Cluster, Object
from modelway.components.deploy.targets.base import RolloutState, is_ready

_BOUND = re.compile(r"result(?:\[0\])? *([<>]=?) *([-+.\de]+)$")
_BAD = {"Failed", "Error", "Inconclusive"}
_LOG_LINES = 5
_STARTING = {"", "ContainerCreating", "PodInitializing"}


def metric_values(run: Object) -> list[str]:
    """The latest value of each metric of an AnalysisRun, with its phase."""
    return [
        f"{result['name']} {_value(_latest(result))} ({result['phase']})"
        for result in (run.get("status") or {}).get("metricResults", ())
        if result.get("measurements")
    ]


def failed_metrics(run: Object) -> list[str]:
    """Why an AnalysisRun did not succeed: each failed metric with its value and bound."""
    metrics = {metric["name"]: metric for metric in run["spec"]["metrics"]}
    status = run.get("status") or {}
    failures = [
        _failure(result, metrics[result["name"]])
        for result in status.get("metricResults", ())
        if result.get("phase") in _BAD
    ]
    if not failures and status.get("phase") in _BAD:
        return [f"{run['metadata']['name']}: {status.get('message') or status['phase']}"]
    return failures


def _failure(result: Mapping[str, Any], metric: Mapping[str, Any]) -> str:
    condition, last = str(metric.get("successCondition", "")), _latest(result)
    name, value = result["name"], _value(last)
    if last.get("phase") == "Error" or not result.get("measurements"):
        return f"{name} could not be measured: {last.get('message') or result.get('message') or 'no reason was given'}"
    bound = _BOUND.search(condition)
    bound_text = f"{bound[1]} {float(bound[2]):g}" if bound else condition
    if value in {"nothing", "nan"}:
        return f"{name} has no value, as without requests; the analysis requires {bound_text}"
    return f"{name} is {value}; the analysis requires {bound_text}"


def _latest(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """The latest measurement, of the failed ones if there are any."""
    measurements = list(result.get("measurements") or ())
    if result.get("phase") in _BAD:
        measurements = [measurement for measurement in measurements if measurement.get("phase") in _BAD] or measurements
    return measurements[-1] if measurements else {}


def _value(measurement: Mapping[str, Any]) -> str:
    text = str(measurement.get("value", "")).strip().removeprefix("[").removesuffix("]")
    try:
        return f"{float(text):.4g}"
    except ValueError:
        return text or "nothing"


def pod_problems(pods: Iterable[Object]) -> dict[str, str]:
    """What keeps pods from being ready, by the pod's name, without those that are just starting or have no room."""
    return {
        pod["metadata"]["name"]: problem for pod in pods if not is_ready(pod) and (problem := _problem(pod)) is not None
    }


def _problem(pod: Object) -> str | None:
    status = pod.get("status") or {}
    for entry in status.get("containerStatuses") or ():
        waiting = (entry.get("state") or {}).get("waiting") or {}
        terminations = [(entry.get(key) or {}).get("terminated") for key in ("state", "lastState")]
        termination = next((_termination(state) for state in terminations if state), "")
        if waiting.get("reason", "") not in _STARTING:
            detail = termination or str(waiting.get("message", "")).strip()
            return f"{waiting['reason']}{f': {detail}' if detail else ''}"
        if termination:
            return termination
    for condition in status.get("conditions") or ():
        if (condition["type"], condition["status"]) == ("PodScheduled", "False") and (
            condition.get("reason") != "Unschedulable"
        ):
            return f"{condition.get('reason')}: {condition.get('message')}"
    return None


def _termination(state: Mapping[str, Any]) -> str:
    reason = str(state.get("reason") or "ended")
    return reason if reason == "OOMKilled" else f"{reason} with exit status {state.get('exitCode')}"


def pod_diagnosis(cluster: Cluster, pods: Iterable[Object]) -> list[str]:
    """What keeps pods from being ready, each problem once, with the last lines of the first such pod's log."""
    pod_list = list(pods)
    problems = pod_problems(pod_list)
    sentences = [f"a pod is not ready: {problem}" for problem in dict.fromkeys(problems.values())]
    for pod in pod_list:
        if pod["metadata"]["name"] in problems and (end := log_end(cluster, pod)):
            return [*sentences, end]
    return sentences


def log_end(cluster: Cluster, pod: Object) -> str:
    """The last lines of a pod's log as a sentence; empty if there are none."""
    for container in (pod.get("status") or {}).get("containerStatuses") or ():
        log = partial(cluster.log, pod["metadata"]["name"], container["name"], lines=_LOG_LINES)
        lines = log(previous=False) or (log(previous=True) if container.get("restartCount") else [])
        if lines:
            texts = [line[:300].strip() for line in lines if line.strip(" ^~")]  # without a traceback's underlines
            return f"its log ends: {' | '.join(texts)}" if texts else ""
    return ""


def failed_analyses(cluster: Cluster, state: RolloutState) -> list[str]:
    """The failed metrics of a rollout's analyses, each with its value and bound."""
    runs = (cluster.get("analysisruns", analysis) for analysis in state.analyses)
    return [failure for run in runs if run is not None for failure in failed_metrics(run)]


def rollout_diagnosis(cluster: Cluster, name: str, *, state: RolloutState, pods: Iterable[str]) -> tuple[str, ...]:
    """Why a rollout failed: its failed metrics and its pods' problems, else what its controller reports.

    The problems are those that were seen while the pods existed.
    """
    reasons = [*failed_analyses(cluster, state), *pods]
    if not reasons and not state.pods:  # because of a quota or an admission policy, say
        reasons = [f"no pod can be created: {warning}" for warning in cluster.warnings("ReplicaSet", name)[-1:]]
    return tuple(dict.fromkeys(reasons)) or (state.reason or "it did not become healthy",)
