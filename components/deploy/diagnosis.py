"""Why a rollout failed, in sentences: what its analysis measured, and what its pods came to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from modelway.components.deploy.cluster import Cluster, Object
from modelway.components.deploy.targets.base import State, is_ready

_BOUND = re.compile(r"result(?:\[0\])? *([<>]=?) *([-+.\de]+)$")
_BAD = {"Failed", "Error", "Inconclusive"}
_LOG_LINES = 5
_STARTING = {"", "ContainerCreating", "PodInitializing"}


def measured(run: Object) -> list[str]:
    """The latest value of each metric of an AnalysisRun, with its phase."""
    return [
        f"{one['name']} {_value(_latest(one))} ({one['phase']})"
        for one in (run.get("status") or {}).get("metricResults", ())
        if one.get("measurements")
    ]


def failed_metrics(run: Object) -> list[str]:
    """Why an AnalysisRun did not succeed: each metric that did not, what was measured, and the bound."""
    metrics = {one["name"]: one for one in run["spec"]["metrics"]}
    found = [
        _failure(one, metrics[one["name"]])
        for one in (run.get("status") or {}).get("metricResults", ())
        if one.get("phase") in _BAD
    ]
    status = run.get("status") or {}
    if not found and status.get("phase") in _BAD:
        return [f"{run['metadata']['name']}: {status.get('message') or status['phase']}"]
    return found


def _failure(result: Mapping[str, Any], metric: Mapping[str, Any]) -> str:
    condition, last = str(metric.get("successCondition", "")), _latest(result)
    name, value = result["name"], _value(last)
    if last.get("phase") == "Error" or not result.get("measurements"):
        return f"{name} could not be measured: {last.get('message') or result.get('message') or 'no reason was given'}"
    bound = _BOUND.search(condition)
    asked = f"{bound[1]} {float(bound[2]):g}" if bound else condition
    if value in {"nothing", "nan"}:
        return f"{name} has no value, as where no requests are answered, and the analysis asks for {asked}"
    return f"{name} is {value}, and the analysis asks for {asked}"


def _latest(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """The latest measurement that tells most: a failed one before a good one."""
    measurements = list(result.get("measurements") or ())
    if result.get("phase") in _BAD:
        measurements = [one for one in measurements if one.get("phase") in _BAD] or measurements
    return measurements[-1] if measurements else {}


def _value(measurement: Mapping[str, Any]) -> str:
    text = str(measurement.get("value", "")).strip().removeprefix("[").removesuffix("]")
    try:
        return f"{float(text):.4g}"
    except ValueError:
        return text or "nothing"


def pod_problems(pods: Iterable[Object]) -> dict[str, str]:
    """What keeps pods from being ready, by the pod's name; a sentence each, without those that are merely starting."""
    return {
        pod["metadata"]["name"]: problem for pod in pods if not is_ready(pod) and (problem := _problem(pod)) is not None
    }


def _problem(pod: Object) -> str | None:
    status = pod.get("status") or {}
    for one in status.get("containerStatuses") or ():
        waiting = (one.get("state") or {}).get("waiting") or {}
        ended = (one.get("state") or {}).get("terminated") or (one.get("lastState") or {}).get("terminated") or {}
        why = _ended(ended) if ended else ""
        if waiting.get("reason", "") not in _STARTING:
            said = why or str(waiting.get("message", "")).strip()
            return f"{waiting['reason']}{f': {said}' if said else ''}"
        if ended:
            return why
    for one in status.get("conditions") or ():
        if (one["type"], one["status"]) == ("PodScheduled", "False"):
            return f"{one.get('reason')}: {one.get('message')}"
    return None


def _ended(ended: Mapping[str, Any]) -> str:
    reason = str(ended.get("reason") or "ended")
    return reason if reason == "OOMKilled" else f"{reason} with exit status {ended.get('exitCode')}"


def described(cluster: Cluster, pods: Iterable[Object]) -> list[str]:
    """What keeps pods from being ready, with the last lines of the first one's log; the same of several once."""
    found = list(pods)
    problems = pod_problems(found)
    sentences = [f"a pod is not ready: {problem}" for problem in dict.fromkeys(problems.values())]
    for pod in found:
        if pod["metadata"]["name"] in problems and (end := log_end(cluster, pod)):
            return [*sentences, end]
    return sentences


def log_end(cluster: Cluster, pod: Object) -> str:
    """The last lines of a pod's log in a sentence; empty where there are none."""
    lines = [line.strip() for line in _log(cluster, pod) if line.strip(" ^~")]  # not what a traceback underlines
    return f"its log ends: {' | '.join(lines)}" if lines else ""


def _log(cluster: Cluster, pod: Object) -> list[str]:
    for one in (pod.get("status") or {}).get("containerStatuses") or ():
        log = partial(cluster.log, pod["metadata"]["name"], one["name"], lines=_LOG_LINES)
        lines = log(previous=False) or (log(previous=True) if one.get("restartCount") else [])
        if lines:
            return [line[:300] for line in lines]
    return []


def reasons(cluster: Cluster, name: str, *, state: State, pods: Iterable[str]) -> tuple[str, ...]:
    """Why a rollout failed: the metrics that did and what its pods came to, else what its controller says.

    Args:
        cluster: Where it is.
        name: The object's name.
        state: Where it was last.
        pods: What kept its pods from being ready, as it was seen while they were there.
    """
    found: list[str] = []
    for analysis in state.analyses:
        run = cluster.get("analysisruns", analysis)
        found += [one for one in failed_metrics(run) if one not in found] if run is not None else []
    found += pods
    if not found and not state.pods:  # a quota, say, or a policy that admits no such pod
        found = [f"no pod is made: {one}" for one in cluster.warnings("ReplicaSet", name)[-1:]]
    return tuple(found or [state.reason or "it did not come to be whole"])
