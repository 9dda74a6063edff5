"""The alert rules of a served model: the policy's objectives as Prometheus' rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modelway.components.core.config.policy import Policy
from modelway.components.deploy.objectives import Scope, enough_requests, objectives

# (window, how long it must hold, severity): fast where the miss is clear, slow where requests are few.
_WINDOWS = (("5m", "2m", "critical"), ("1h", "15m", "warning"))
_SERVER_WINDOW = (("", "15m", "warning"),)  # the server measures over a window of its own


@dataclass(frozen=True)
class _Alert:
    """How a missed objective is reported."""

    name: str
    summary: str  # a template of the alert's labels
    value: str  # the sentence with the measured value
    bound: Callable[[float], str]  # formats the bound
    by: tuple[str, ...] = ()  # the labels to group by besides the namespace
    needs_requests: bool = True  # whether it is meaningful only with enough requests


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
        needs_requests=False,
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

    The bounds are the policy's: latencies of `serving.sla`, errors and drift of `deployment.analysis`; what has no
    bound has no alert. A window with fewer requests than `deployment.analysis.minimum_requests` is not judged, so each
    share is measured over a short window and a long one. A bound is also a bucket boundary of the server's histogram,
    so the quantile exceeds it exactly when too many answers do. The rules cover every namespace; the `namespace`
    label of an alert says which environment it is about.

    Args:
        policy: The policy.
        model: The model's name, which is its pods' label `app.kubernetes.io/name`.

    Returns:
        The object; what is under ``spec`` is a rules file of Prometheus.
    """
    rules = [*_objective_rules(policy, model), *_availability_rules(model)]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": f"{model}-alerts", "labels": {"app.kubernetes.io/name": model}},
        "spec": {"groups": [{"name": f"modelway.{model}", "rules": rules}]},
    }


def _objective_rules(policy: Policy, model: str) -> list[dict[str, Any]]:
    """The rules of the policy's objectives: a share or a percentile over a short window and over a long one."""
    rules = []
    for objective in objectives(policy):
        alert = _ALERTS[objective.name]
        for window, holds, severity in _WINDOWS if alert.needs_requests else _SERVER_WINDOW:
            scope = Scope(_selector(model), window, by=("namespace", *alert.by))
            condition = f" and {enough_requests(policy, scope)}" if alert.needs_requests else ""
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


def _availability_rules(model: str) -> list[dict[str, Any]]:
    info = f"modelway_model_info{{{_selector(model)}}}"
    failures = f'rollout_info{{name="{model}", phase=~"Degraded|Error|InvalidSpec|Timeout"}}'
    return [
        _rule(
            "ModelNotServed",
            f"count by (namespace) (last_over_time({info}[1h])) unless count by (namespace) ({info})",
            holds="1m",
            severity="critical",
            model=model,
            summary=f"{model} is not served in {{{{ $labels.namespace }}}}.",
            description="No server of it has been scraped, and there was one within the last hour.",
        ),
        _rule(
            "ModelRolloutFailed",
            f"max without (phase) ({failures}) > 0",
            holds="5m",
            severity="warning",
            model=model,
            summary=f"A rollout of {model} has failed.",
            description="The stable version serves on. `modelway history` says what was tried, and why it was undone.",
        ),
    ]


def _selector(model: str) -> str:
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
