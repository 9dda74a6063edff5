"""The diagnosis of a rollout: what its analysis measured, and what is wrong with its pods, in sentences."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from modelway.components.deploy.analysis import SO_FAR
from modelway.components.deploy.cluster import Cluster, Object
from modelway.components.deploy.objectives import MEASURES
from modelway.components.deploy.targets.base import RolloutState, is_ready, server_index

_BOUND = re.compile(r"result(?:\[0\])? *([<>]=?) *([-+.\de]+)$")
_BAD = {"Failed", "Error", "Inconclusive"}
_OF_REQUESTS = {name for name in MEASURES if name.startswith(("error-rate", "latency"))}
_DEATHS = 3
_LOG_LINES = 5
_STARTING = {"", "ContainerCreating", "PodInitializing"}


def metric_values(run: Object) -> list[str]:
    """The latest value of each metric of an AnalysisRun, with its phase, after the number of requests so far.

    A latency of 0 is left out: it was not judged yet.
    """
    results = [result for result in (run.get("status") or {}).get("metricResults", ()) if result.get("measurements")]
    requests = _requests(run)
    lines = [requests] if requests else []
    for result in results:
        name, value = result["name"], _number(_latest(result))
        if name != SO_FAR and not (name.startswith("latency") and value == 0):
            measure = MEASURES.get(name)
            lines.append(f"{measure.label if measure else name} {_text(name, value)} ({result['phase']})")
    return lines


def failed_metrics(run: Object) -> list[str]:
    """Why an AnalysisRun did not succeed: each failed metric with its value, the policy's bound and its key."""
    metrics = {metric["name"]: metric for metric in run["spec"]["metrics"]}
    status = run.get("status") or {}
    failures = [
        _failure(result, metrics[result["name"]], requests=_requests(run))
        for result in status.get("metricResults", ())
        if result.get("phase") in _BAD
    ]
    if not failures and status.get("phase") in _BAD:
        return [f"{run['metadata']['name']}: {status.get('message') or status['phase']}"]
    return failures


def _failure(result: Mapping[str, Any], metric: Mapping[str, Any], *, requests: str) -> str:
    last, name = _latest(result), result["name"]
    label = MEASURES[name].label if name in MEASURES else name
    if last.get("phase") == "Error" or not result.get("measurements"):
        return f"{label} could not be measured: {last.get('message') or result.get('message') or 'no reason was given'}"
    value, requirement = _number(last), _requirement(name, str(metric.get("successCondition", "")))
    if value is None:
        return f"{label} has no value, since Prometheus has no such series of the new pods; {requirement}"
    if math.isnan(value):
        return f"{label} has no value, as without requests; {requirement}"
    over = f" over {requests}" if requests and name in _OF_REQUESTS else ""
    return f"{label} is {_text(name, value)}{over}; {requirement}"


def _requirement(name: str, condition: str) -> str:
    """What a metric's condition requires, in the policy's words where it is compiled from the policy."""
    bound = _BOUND.search(condition)
    if bound is None or name not in MEASURES:
        return f"the analysis requires {f'{bound[1]} {float(bound[2]):g}' if bound else condition}"
    verb = "allows" if bound[1].startswith("<") else "requires"
    return f"the policy {verb} {_text(name, float(bound[2]))} ({MEASURES[name].key})"


def _text(name: str, value: float | None) -> str:
    """A metric's value with its unit."""
    if value is None or math.isnan(value):
        return "nothing" if value is None else "nan"
    return MEASURES[name].text(value) if name in MEASURES else f"{value:.4g}"


def _requests(run: Object) -> str:
    """How many requests an AnalysisRun has seen; empty if that is unknown."""
    results = (run.get("status") or {}).get("metricResults", ())
    values = [_number(_latest(result)) for result in results if result["name"] == SO_FAR]
    return f"{values[0]:.0f} requests" if values and values[0] is not None and math.isfinite(values[0]) else ""


def _latest(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """The latest measurement, of the failed ones if there are any."""
    measurements = list(result.get("measurements") or ())
    if result.get("phase") in _BAD:
        measurements = [measurement for measurement in measurements if measurement.get("phase") in _BAD] or measurements
    return measurements[-1] if measurements else {}


def _number(measurement: Mapping[str, Any]) -> float | None:
    """A measurement's value; None if nothing was there to measure."""
    try:
        return float(str(measurement.get("value", "")).strip().removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


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


def is_crash_looping(pod: Object) -> bool:
    """Whether a pod's server has died three times and never was ready; its sidecars may die as often as they like."""
    return _deaths(pod) >= _DEATHS and not _was_ready(pod)


def _was_ready(pod: Object) -> bool:
    """Whether a pod is or once was ready: of one that never was, the condition is as old as its initialization."""
    conditions = {condition["type"]: condition for condition in (pod.get("status") or {}).get("conditions") or ()}
    since, initialized = (
        str(conditions.get(name, {}).get("lastTransitionTime") or "") for name in ("Ready", "Initialized")
    )
    return is_ready(pod) or since > initialized


def _deaths(pod: Object) -> int:
    """How often a pod's server has died: once for each restart, and once where it waits for the next."""
    entry = server_status(pod)
    waiting = (entry.get("state") or {}).get("waiting") or {}
    return int(entry.get("restartCount") or 0) + (waiting.get("reason") == "CrashLoopBackOff")


def server_status(pod: Object) -> Mapping[str, Any]:
    """The status of a pod's server among its containers'; empty if it has none yet."""
    containers = pod["spec"]["containers"]
    name = containers[server_index(containers)]["name"]
    statuses: Iterable[Mapping[str, Any]] = (pod.get("status") or {}).get("containerStatuses") or ()
    return next((entry for entry in statuses if entry["name"] == name), {})


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
    """The last lines of a pod's log as a sentence, of its server's if it has any; empty if there are none."""
    server = server_status(pod)
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    for container in sorted(statuses, key=lambda entry: entry is not server):
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
