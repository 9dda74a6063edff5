"""How a new version is judged while it rolls out: the policy's bounds as Argo Rollouts' templates and strategy.

There are two AnalysisTemplates. ``<model>-watch`` is measured all the while from the first pods on, and ends a rollout
early. ``<model>-analysis`` decides before the last of the traffic is given over. Both judge once the new version has
answered ``deployment.analysis.minimum_requests``; before that a share or a percentile says nothing, and counts as 0.
The decision also counts the requests themselves, and fails where they are too few or not to be had: no traffic is not
health. It counts them one interval before the last measurements, so that those judge as many.

The new version's counters are read as they are rather than as rates. Its pods exist for this rollout alone, so that
they count exactly what it has answered since it began, without the first increments that a rate over a new series
misses, and without those of an earlier attempt. What is measured, and by which series, is in `objectives`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from modelway.components.core.config.policy import Policy
from modelway.components.deploy.objectives import Scope, enough_requests, error_rate, latency, objectives, requests

PROMETHEUS = "MODELWAY_PROMETHEUS"
_PROMETHEUS = "http://prometheus.monitoring:9090"
_CANARY, _STABLE = "canary-hash", "stable-hash"
# Without a router a weight is a share of the pods: these go up one by one, none goes before another is there.
_ONE_BY_ONE: dict[str, Any] = {"maxSurge": 1, "maxUnavailable": 0}
_HALFWAY = 50
_SCALE_DOWN_SECONDS = 30  # for routers to hear of the switch before the old pods go
_OF_A_ROUTER = ("stableService", "canaryService", "trafficRouting")


def prometheus_address() -> str:
    """Where the Rollouts controller reaches Prometheus: ``MODELWAY_PROMETHEUS``, or its usual Service."""
    return os.environ.get(PROMETHEUS) or _PROMETHEUS


def analysis_templates(policy: Policy, model: str, *, prometheus: str) -> list[dict[str, Any]]:
    """The AnalysisTemplates of a model, compiled from the policy.

    Error rate and drift are bounded by `deployment.analysis`, latencies by `serving.sla`; what has no bound is not
    measured. A comparison with the stable version holds beside the fixed bounds that the policy has; a fixed bound is
    left out by giving none. What is compared is so once the stable version too has answered as many. The drift score of
    a feature that the server has seen too few rows of for one (100, and 10 for each bin) is not judged.

    Args:
        policy: The policy.
        model: The Rollout's name, which is also its pods' label `app.kubernetes.io/name`.
        prometheus: The address of Prometheus, as the Rollouts controller reaches it.

    Returns:
        The objects: ``<model>-analysis``, and ``<model>-watch`` where the policy bounds anything but the traffic.
    """
    asked = policy.deployment.analysis
    judged = _judged(policy, model)
    traffic = {
        "name": "requests",
        "initialDelay": f"{_before_the_last(policy)}s",
        "count": 1,
        "successCondition": _condition(f">= {asked.minimum_requests}"),
        "provider": {"prometheus": {"address": prometheus, "query": requests(_scope(model, _CANARY))}},
    }
    decided = [
        *(
            _metric(policy, name, query=query, bound=bound, prometheus=prometheus, count=asked.count)
            for name, query, bound in judged
        ),
        traffic,
    ]
    watched = [_metric(policy, name, query=query, bound=bound, prometheus=prometheus) for name, query, bound in judged]
    made = {f"{model}-analysis": decided, f"{model}-watch": watched}
    return [
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AnalysisTemplate",
            "metadata": {"name": name, "labels": {"app.kubernetes.io/name": model}},
            "spec": {"args": [{"name": one["name"]} for one in _arguments()], "metrics": metrics},
        }
        for name, metrics in made.items()
        if metrics
    ]


def strategy(policy: Policy, model: str, *, present: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The `strategy` of a model's Rollout, with the analysis in it.

    ``canary`` takes the policy's steps, watched throughout, and is decided after the last one. ``rolling`` replaces the
    pods one by one, stops halfway for the decision, and then goes on. ``blue-green`` decides twice: on what the preview
    Service was sent before the switch, which is for whoever deploys to send unless smoke requests are, and on the live
    traffic after it, when the old pods still stand by to be switched back to.

    Args:
        policy: The policy.
        model: The Rollout's name.
        present: The Rollout's `strategy` as it is, whose router is kept.
    """
    decide = _analysis(f"{model}-analysis")
    if policy.deployment.strategy == "blue-green":
        return {
            "blueGreen": {
                "activeService": model,
                "previewService": f"{model}-preview",
                "autoPromotionEnabled": True,
                "scaleDownDelaySeconds": _SCALE_DOWN_SECONDS,
                "prePromotionAnalysis": decide,
                "postPromotionAnalysis": decide,
            }
        }
    steps: list[dict[str, Any]] = [{"setWeight": _HALFWAY}]
    if policy.deployment.strategy == "canary":
        steps = [
            step
            for one in policy.deployment.steps
            for step in ({"setWeight": one.weight}, {"pause": {"duration": f"{one.pause_seconds}s"}})
        ]
    canary: dict[str, Any] = {**_ONE_BY_ONE}
    if _judged(policy, model):
        # From the first step's end on, when the first pods answer.
        canary["analysis"] = {**_analysis(f"{model}-watch"), "startingStep": 1}
    canary["steps"] = [*steps, {"analysis": decide}]
    routed = (present or {}).get("canary") or {}
    return {"canary": canary | {key: routed[key] for key in _OF_A_ROUTER if key in routed}}


def seconds_to_decision(policy: Policy) -> int:
    """How long after its first pods a new version's requests are counted, by plan."""
    paused = policy.deployment.steps if policy.deployment.strategy == "canary" else ()
    return _before_the_last(policy) + sum(step.pause_seconds for step in paused)


def _before_the_last(policy: Policy) -> int:
    """How long after a decision begins the requests are counted: an interval before its last measurements."""
    asked = policy.deployment.analysis
    return max(0, asked.initial_delay_seconds + (asked.count - 2) * asked.interval_seconds)


def _analysis(template: str) -> dict[str, Any]:
    return {"templates": [{"templateName": template}], "args": _arguments()}


def _arguments() -> list[dict[str, Any]]:
    return [
        {"name": _CANARY, "valueFrom": {"podTemplateHashValue": "Latest"}},
        {"name": _STABLE, "valueFrom": {"podTemplateHashValue": "Stable"}},
        {"name": "namespace", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
    ]


def _metric(
    policy: Policy, name: str, *, query: str, bound: float, prometheus: str, count: int | None = None
) -> dict[str, Any]:
    asked = policy.deployment.analysis
    return {
        "name": name,
        "initialDelay": f"{asked.initial_delay_seconds}s",
        "interval": f"{asked.interval_seconds}s",
        **({"count": count} if count is not None else {}),
        "failureLimit": asked.failure_limit,
        "successCondition": _condition(f"<= {bound:.10g}"),
        "provider": {"prometheus": {"address": prometheus, "query": query}},
    }


def _condition(bound: str) -> str:
    return f"len(result) > 0 && !isNaN(result[0]) && result[0] {bound}"


def _judged(policy: Policy, model: str) -> list[tuple[str, str, float]]:
    """What is judged: the metric's name, its query, and the greatest value."""
    canary = _scope(model, _CANARY)
    enough = enough_requests(policy, canary)

    def query(value: str, condition: str) -> str:
        return f"(({value}) and on() ({condition})) or vector(0)"

    judged = [
        (objective.name, query(objective.value(canary), enough), objective.bound) for objective in objectives(policy)
    ]
    bounds = policy.deployment.analysis.compare_with_stable
    if bounds is not None:
        stable = _scope(model, _STABLE, window=_window(policy))
        both = f"{enough} and on() {enough_requests(policy, stable)}"
        more = f"{error_rate(canary)} - {error_rate(stable)}"
        slower = f"{latency(0.95, canary)} / {latency(0.95, stable)}"
        judged += [
            ("error-rate-above-stable", query(more, both), bounds.error_rate),
            ("latency-p95-to-stable", query(slower, both), bounds.latency_ratio),
        ]
    return judged


def _scope(model: str, hash_argument: str, *, window: str = "") -> Scope:
    """The pods of one version in the namespace of its rollout."""
    return Scope(
        f'namespace="{{{{args.namespace}}}}", app_kubernetes_io_name="{model}",'
        f' rollouts_pod_template_hash="{{{{args.{hash_argument}}}}}"',
        window,
    )


def _window(policy: Policy) -> str:
    """As long as a rollout takes by plan, so that the stable version is looked at over the same time."""
    asked = policy.deployment.analysis
    planned = asked.initial_delay_seconds + asked.count * asked.interval_seconds
    if policy.deployment.strategy == "canary":
        planned += sum(step.pause_seconds for step in policy.deployment.steps)
    return f"{planned}s"
