"""The analysis of a rollout: the policy's bounds as Argo Rollouts' AnalysisTemplates and strategy.

There are two AnalysisTemplates. ``<model>-watch`` runs from the first pods on and can end a rollout early.
``<model>-analysis`` decides before the new version gets the last of the traffic. Both judge once the new version has
answered ``deployment.analysis.minimum_requests``. Before that a share or a percentile counts as 0, unless even so few
requests leave no doubt that it is above its bound, as where all of them are answered with errors. The decision also
counts the requests themselves, and fails where they are too few or unknown: no traffic is not health. It counts them
one interval before the last measurements, so that those judge at least as many.

The new version's counters are read as totals rather than as rates. Its pods exist for this rollout alone, so they count
exactly what it has answered since it began, including the first increments, which a rate over a new series misses, and
nothing of an earlier rollout. What is measured, and by which series, is in `objectives`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from modelway.components.core.addresses import has_secrets
from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError
from modelway.components.deploy.objectives import (
    Scope,
    enough_requests,
    error_rate,
    is_judged,
    latency,
    objectives,
    requests,
)

PROMETHEUS = "MODELWAY_PROMETHEUS"
_PROMETHEUS = "http://prometheus.monitoring:9090"
SO_FAR = "requests-so-far"  # the metric that says of how many requests the others are
_CANARY, _STABLE = "canary-hash", "stable-hash"
_ARGUMENTS = [
    {"name": _CANARY, "valueFrom": {"podTemplateHashValue": "Latest"}},
    {"name": _STABLE, "valueFrom": {"podTemplateHashValue": "Stable"}},
    {"name": "namespace", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
]
# Without a router a weight is a share of the pods: they are replaced one by one, none before another is ready.
ONE_BY_ONE: dict[str, Any] = {"maxSurge": 1, "maxUnavailable": 0}
_HALFWAY = 50
_VALUE = "len(result) > 0 && !isNaN(result[0]) && result[0]"
SCALE_DOWN_SECONDS = 30  # for routers to hear of the switch before the old pods go
_OF_A_ROUTER = ("stableService", "canaryService", "trafficRouting")


def prometheus_address() -> str:
    """The address where the Rollouts controller reaches Prometheus: ``MODELWAY_PROMETHEUS``, or its usual Service.

    Raises:
        ModelwayError: there is a password or a token in it.
    """
    address = os.environ.get(PROMETHEUS) or _PROMETHEUS
    if has_secrets(address):
        raise ModelwayError(
            "the address of Prometheus has a password or a token in it, and is written into AnalysisTemplates, which "
            "many may read",
            key=PROMETHEUS,
            value=address,
            remedy="name an address without, such as that of a proxy in the cluster that adds it",
        )
    return address


def analysis_templates(policy: Policy, model: str, *, prometheus: str) -> list[dict[str, Any]]:
    """The AnalysisTemplates of a model, compiled from the policy.

    Error rate and drift are bounded by `deployment.analysis`, latencies by `serving.sla`; what has no bound is not
    measured. A comparison with the stable version applies in addition to the policy's fixed bounds; to compare only,
    leave those out. It applies once the stable version has answered as many requests too. The drift score of a feature
    is not judged before the server has seen enough rows (100, and 10 for each bin).

    Args:
        policy: The policy.
        model: The Rollout's name, which is also its pods' label `app.kubernetes.io/name`.
        prometheus: The address of Prometheus, as the Rollouts controller reaches it.

    Returns:
        The objects: ``<model>-analysis``, and ``<model>-watch`` where the policy bounds anything but the traffic.
    """
    analysis = policy.deployment.analysis
    metrics = _metrics(policy, model, prometheus=prometheus)
    traffic = {
        "name": "requests",
        "initialDelay": f"{_seconds_to_count(policy)}s",
        "count": 1,
        "successCondition": f"{_VALUE} >= {analysis.minimum_requests}",
        "provider": _provider(prometheus, requests(_scope(model, _CANARY))),
    }
    watch = [{key: value for key, value in metric.items() if key != "count"} for metric in metrics]
    return [
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AnalysisTemplate",
            "metadata": {"name": name, "labels": {"app.kubernetes.io/name": model}},
            "spec": {"args": [{"name": argument["name"]} for argument in _ARGUMENTS], "metrics": template_metrics},
        }
        for name, template_metrics in ((f"{model}-analysis", [*metrics, traffic]), (f"{model}-watch", watch))
        if template_metrics
    ]


def _metrics(policy: Policy, model: str, *, prometheus: str) -> list[dict[str, Any]]:
    """The metrics of the policy's objectives and of its comparison with the stable version, and the requests so far."""
    analysis, canary = policy.deployment.analysis, _scope(model, _CANARY)
    bounds = [
        (objective.name, objective.value(canary), is_judged(objective, policy, scope=canary), objective.bound)
        for objective in objectives(policy)
    ]
    if comparison := analysis.compare_with_stable:
        stable = _scope(model, _STABLE, window=f"{_planned_seconds(policy)}s")
        both = f"{enough_requests(policy, canary)} and on() {enough_requests(policy, stable)}"
        more_errors = f"{error_rate(canary)} - {error_rate(stable)}"
        slower = f"{latency(0.95, canary)} / {latency(0.95, stable)}"
        bounds += [
            ("error-rate-above-stable", more_errors, both, comparison.error_rate),
            ("latency-p95-to-stable", slower, both, comparison.latency_ratio),
        ]
    when = {
        "initialDelay": f"{analysis.initial_delay_seconds}s",
        "interval": f"{analysis.interval_seconds}s",
        "count": analysis.count,
    }
    metrics: list[dict[str, Any]] = [
        {
            "name": name,
            **when,
            "failureLimit": analysis.failure_limit,
            "successCondition": f"{_VALUE} <= {bound:.10g}",
            "provider": _provider(prometheus, f"(({expression}) and on() ({condition})) or vector(0)"),
        }
        for name, expression, condition, bound in bounds
    ]
    so_far = {"name": SO_FAR, **when, "provider": _provider(prometheus, requests(canary))}
    return [*metrics, so_far] if metrics else []


def _provider(prometheus: str, query: str) -> dict[str, Any]:
    return {"prometheus": {"address": prometheus, "query": query}}


def _scope(model: str, hash_argument: str, *, window: str = "") -> Scope:
    """The pods of one version in the namespace of its rollout."""
    return Scope(
        f'namespace="{{{{args.namespace}}}}", app_kubernetes_io_name="{model}",'
        f' rollouts_pod_template_hash="{{{{args.{hash_argument}}}}}"',
        window,
    )


def strategy(policy: Policy, model: str, *, present: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The `strategy` of a model's Rollout, with the analysis in it.

    ``canary`` takes the policy's steps, watched throughout, and decides after the last one. ``rolling`` replaces the
    pods one by one, stops halfway for the decision, and then continues. ``blue-green`` decides twice: before the
    switch, on the requests to the preview Service, which the deployer sends unless smoke requests do, and after it, on
    the live traffic, while the old pods are still there to switch back to.

    Args:
        policy: The policy.
        model: The Rollout's name.
        present: The Rollout's current `strategy`, whose router is kept.
    """
    decide = _analysis(f"{model}-analysis")
    if policy.deployment.strategy == "blue-green":
        return {
            "blueGreen": {
                "activeService": model,
                "previewService": f"{model}-preview",
                "autoPromotionEnabled": True,
                "scaleDownDelaySeconds": SCALE_DOWN_SECONDS,
                "prePromotionAnalysis": decide,
                "postPromotionAnalysis": decide,
            }
        }
    steps: list[dict[str, Any]] = [{"setWeight": _HALFWAY}]
    if policy.deployment.strategy == "canary":
        steps = [
            operation
            for step in policy.deployment.steps
            for operation in ({"setWeight": step.weight}, {"pause": {"duration": f"{step.pause_seconds}s"}})
        ]
    canary: dict[str, Any] = {**ONE_BY_ONE}
    if objectives(policy) or policy.deployment.analysis.compare_with_stable:
        # From the first step's end on, when the first pods answer.
        canary["analysis"] = {**_analysis(f"{model}-watch"), "startingStep": 1}
    canary["steps"] = [*steps, {"analysis": decide}]
    routed = (present or {}).get("canary") or {}
    return {"canary": canary | {key: routed[key] for key in _OF_A_ROUTER if key in routed}}


def seconds_to_decision(policy: Policy) -> int:
    """The planned time from a new version's first pods until its requests are counted."""
    return _seconds_to_count(policy) + _paused_seconds(policy)


def _seconds_to_count(policy: Policy) -> int:
    """The time from a decision's start until its requests are counted: an interval before its last measurements."""
    analysis = policy.deployment.analysis
    return max(0, analysis.initial_delay_seconds + (analysis.count - 2) * analysis.interval_seconds)


def _planned_seconds(policy: Policy) -> int:
    """The planned time of a rollout, over which the stable version is measured too."""
    analysis = policy.deployment.analysis
    return analysis.initial_delay_seconds + analysis.count * analysis.interval_seconds + _paused_seconds(policy)


def _paused_seconds(policy: Policy) -> int:
    return sum(step.pause_seconds for step in policy.deployment.steps) if policy.deployment.strategy == "canary" else 0


def _analysis(template: str) -> dict[str, Any]:
    return {"templates": [{"templateName": template}], "args": _ARGUMENTS}
