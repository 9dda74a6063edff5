"""The part of the manifests that the policy decides, compiled from it: how versions roll out and what watches them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from modelway.components.core.config.policy import Policy
from modelway.components.deploy.analysis import analysis_templates, prometheus_address
from modelway.components.deploy.objectives import Scope, enough_requests, objectives
from modelway.components.deploy.objects import deployment, inference_service, rollout, services

# (window, how long it must hold, severity): soon where it is plain, and patiently where requests are few.
_WINDOWS = (("5m", "2m", "critical"), ("1h", "15m", "warning"))
_PATIENTLY = (("", "15m", "warning"),)  # what the server measures over a window of its own


@dataclass(frozen=True)
class _Alert:
    """How it is told that an objective is missed.

    Attributes:
        name: The alert's name.
        summary: What is wrong, with the alert's labels.
        value: What was measured.
        bound: Writes the bound for people.
        by: The labels, besides the namespace, that are told apart.
        by_requests: Whether it says something only where there are requests enough.
    """

    name: str
    summary: str
    value: str
    bound: Callable[[float], str]
    by: tuple[str, ...] = ()
    by_requests: bool = True


_ALERTS = {
    "error-rate": _Alert(
        "ModelFails",
        "{model} answers requests with errors in {{{{ $labels.namespace }}}}.",
        "{{{{ $value | humanizePercentage }}}} of the answers of the last {window} are 5xx",
        "{:.2%}".format,
    ),
    "drift": _Alert(
        "ModelInputsDrift",
        "{{{{ $labels.feature }}}} drifts from {model}'s training data in {{{{ $labels.namespace }}}}.",
        'Its population stability index over the server\'s window is {{{{ $value | printf "%.2f" }}}}',
        "{:g}".format,
        by=("feature",),
        by_requests=False,
    ),
    **{
        f"latency-p{percentile}-seconds": _Alert(
            f"ModelSlowP{percentile}",
            "{model} answers slowly in {{{{ $labels.namespace }}}}.",
            f"The {percentile}th percentile of the answers' times of the last {{window}} is"
            " {{{{ $value | humanizeDuration }}}}",
            lambda seconds: f"{seconds * 1000:g} ms",
        )
        for percentile in (50, 95, 99)
    },
}


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
    rules = [*_judged(policy, model), *_absence(model)]
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
        "base/analysis/templates.yaml": analysis_templates(policy, model, prometheus=prometheus_address()),
        "base/monitoring/alerts.yaml": [rules["spec"]],
        "base/serving/rollout.yaml": [rollout(policy, model, image=model)],
        "base/serving/services.yaml": services(model),
        "components/deployment/deployment.yaml": [deployment(policy, model, image=model)],
        "components/kserve/inference-service.yaml": [inference_service(policy, model, image=model)],
        "components/prometheusrule/alerts.yaml": [rules],
    }
    return {path: _text(contents) for path, contents in files.items()}


def write(policy: Policy, model: str, *, folder: Path) -> list[Path]:
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


def _judged(policy: Policy, model: str) -> list[dict[str, Any]]:
    """The rules of what the policy holds the model to: a share or a percentile in a short window and in a long one."""
    rules = []
    for objective in objectives(policy):
        alert = _ALERTS[objective.name]
        for window, holds, severity in _WINDOWS if alert.by_requests else _PATIENTLY:
            scope = Scope(_of(model), window, by=("namespace", *alert.by))
            condition = f" and {enough_requests(policy, scope)}" if alert.by_requests else ""
            rules.append(
                _rule(
                    alert.name,
                    f"{objective.value(scope)} > {objective.bound:.10g}{condition}",
                    holds=holds,
                    severity=severity,
                    model=model,
                    summary=alert.summary.format(model=model),
                    description=f"{alert.value.format(window=window)}; the policy allows"
                    f" {alert.bound(objective.bound)} ({objective.key}).",
                )
            )
    return rules


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


def _of(model: str) -> str:
    return f'app_kubernetes_io_name="{model}"'


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
