"""The part of the manifests that the policy decides, compiled from it: how versions roll out and what watches them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from modelway.components.core.policy import Policy
from modelway.components.deploy.analysis import analysis_templates, prometheus_address
from modelway.components.deploy.objects import deployment, inference_service, rollout, services

# (window, how long it must hold, severity): soon where it is plain, and patiently where requests are few.
_WINDOWS = (("5m", "2m", "critical"), ("1h", "15m", "warning"))


def alert_rules(policy: Policy, model: str) -> dict[str, Any]:
    """The Prometheus alert rules of a served model, as the Prometheus operator's PrometheusRule.

    Each bound is the policy's own: latencies of `serving.sla`, errors and drift of `deployment.analysis`; what has no
    bound there has no alert. Fewer requests than `deployment.analysis.minimum_requests` in a window tell nothing, so
    that every judged share is looked for in a short window and a long one. A bound is also an edge of the server's
    histogram, which makes the quantile exceed it exactly when too many answers do. Rules are for every namespace at
    once; the `namespace` label of an alert says which environment is meant.

    Args:
        policy: The policy.
        model: The model's name, which is its pods' label `app.kubernetes.io/name`.

    Returns:
        The object; what is under ``spec`` is a rules file of Prometheus.
    """
    rules = [*_errors(policy, model), *_latencies(policy, model), *_drift(policy, model), *_absence(model)]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": f"{model}-alerts", "labels": {"app.kubernetes.io/name": model}},
        "spec": {"groups": [{"name": f"modelway.{model}", "rules": rules}]},
    }


def compiled(policy: Policy, model: str) -> dict[str, str]:
    """The files below ``manifests/`` that are compiled from the policy, as text by their path there.

    Images are named by the model's name, which an overlay's `images` replaces by one with a digest.
    """
    rules = alert_rules(policy, model)
    files: dict[str, list[dict[str, Any]]] = {
        "base/analysis/templates.yaml": analysis_templates(policy, model, prometheus_address()),
        "base/monitoring/alerts.yaml": [rules["spec"]],
        "base/serving/rollout.yaml": [rollout(policy, model, model)],
        "base/serving/services.yaml": services(model),
        "components/deployment/deployment.yaml": [deployment(policy, model, model)],
        "components/kserve/inference-service.yaml": [inference_service(policy, model, model)],
        "components/prometheusrule/alerts.yaml": [rules],
    }
    return {path: _text(contents) for path, contents in files.items()}


def write(policy: Policy, model: str, folder: Path) -> list[Path]:
    """Writes what is compiled from the policy below `folder`, which holds the manifests; returns the files."""
    written = []
    for path, text in compiled(policy, model).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        written.append(target)
    return written


def _text(contents: list[dict[str, Any]]) -> str:
    plain = json.loads(json.dumps(contents))  # so that YAML repeats what objects share, rather than to refer to it
    return "# Compiled from the policy by `modelway manifests`: change the policy, not this.\n" + yaml.safe_dump_all(
        plain, sort_keys=False, width=10_000, allow_unicode=True
    )


def _errors(policy: Policy, model: str) -> list[dict[str, Any]]:
    bound = policy.deployment.analysis.error_rate
    if bound is None:
        return []
    all_, failed = _of(model), _of(model, 'code=~"5.."')
    return [
        _rule(
            "ModelFails",
            f"sum by (namespace) (rate(modelway_requests_total{{{failed}}}[{window}]))"
            f" / sum by (namespace) (rate(modelway_requests_total{{{all_}}}[{window}])) > {bound:g}"
            f" and {_enough(policy, model, window)}",
            holds=holds,
            severity=severity,
            model=model,
            summary=f"{model} answers requests with errors in {{{{ $labels.namespace }}}}.",
            description=f"{{{{ $value | humanizePercentage }}}} of the answers of the last {window} are 5xx; the policy"
            f" allows {bound:.2%} (deployment.analysis.error_rate).",
        )
        for window, holds, severity in _WINDOWS
    ]


def _latencies(policy: Policy, model: str) -> list[dict[str, Any]]:
    sla = policy.serving.sla
    bounds = {50: sla.p50_ms, 95: sla.p95_ms, 99: sla.p99_ms}
    return [
        _rule(
            f"ModelSlowP{percentile}",
            f"histogram_quantile({percentile / 100:g}, sum by (namespace, le)"
            f" (rate(modelway_request_seconds_bucket{{{_of(model)}}}[{window}]))) > {bound / 1000:g}"
            f" and {_enough(policy, model, window)}",
            holds=holds,
            severity=severity,
            model=model,
            summary=f"{model} answers slowly in {{{{ $labels.namespace }}}}.",
            description=f"The {percentile}th percentile of the answers' times of the last {window} is"
            f" {{{{ $value | humanizeDuration }}}}; the policy allows {bound:g} ms (serving.sla.p{percentile}_ms).",
        )
        for percentile, bound in bounds.items()
        if bound is not None
        for window, holds, severity in _WINDOWS
    ]


def _drift(policy: Policy, model: str) -> list[dict[str, Any]]:
    bound = policy.deployment.analysis.drift
    if bound is None:
        return []
    return [
        _rule(
            "ModelInputsDrift",
            f"max by (namespace, feature) (modelway_feature_drift{{{_of(model)}}}) > {bound:g}",
            holds="15m",
            severity="warning",
            model=model,
            summary=f"{{{{ $labels.feature }}}} drifts from {model}'s training data in {{{{ $labels.namespace }}}}.",
            description='Its population stability index over the server\'s window is {{ $value | printf "%.2f" }}; the'
            f" policy allows {bound:g} (deployment.analysis.drift).",
        )
    ]


def _absence(model: str) -> list[dict[str, Any]]:
    served = f"modelway_model_info{{{_of(model)}}}"
    failed = f'rollout_info{{name="{model}", phase=~"Degraded|Error|InvalidSpec|Timeout"}}'
    return [
        _rule(
            "ModelNotServed",
            f"count by (namespace) (last_over_time({served}[1h])) unless count by (namespace) ({served})",
            holds="1m",
            severity="critical",
            model=model,
            summary=f"{model} is not served in {{{{ $labels.namespace }}}}.",
            description="No server of it has been scraped, and there was one within the last hour.",
        ),
        _rule(
            "ModelRolloutFailed",
            f"max without (phase) ({failed}) > 0",
            holds="5m",
            severity="warning",
            model=model,
            summary=f"A rollout of {model} has failed.",
            description="The stable version serves on. `modelway history` says what was tried, and why it was undone.",
        ),
    ]


def _of(model: str, *more: str) -> str:
    return ", ".join([f'app_kubernetes_io_name="{model}"', *more])


def _enough(policy: Policy, model: str, window: str) -> str:
    asked = policy.deployment.analysis.minimum_requests
    return f"sum by (namespace) (increase(modelway_requests_total{{{_of(model)}}}[{window}])) >= {asked}"


def _rule(
    name: str, expression: str, *, holds: str, severity: str, model: str, summary: str, description: str
) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expression,
        "for": holds,
        "labels": {"severity": severity, "model": model},
        "annotations": {"summary": summary, "description": description},
    }
