"""What a policy holds a served model to, and the series that each bound is about."""

from __future__ import annotations

from typing import Any

import pytest
from user_files import minimal_policy

from modelway.components.core.config.policy import Policy
from modelway.components.deploy.objectives import (
    Scope,
    drift,
    enough_requests,
    error_rate,
    latency,
    objectives,
    requests,
)

PODS = Scope('app="claims"')
WINDOW = Scope('app="claims"', "5m", by=("namespace",))


def _policy(sla: dict[str, Any], **analysis: Any) -> Policy:
    return minimal_policy(serving={"sla": sla}, deployment={"analysis": analysis})


def test_each_bound_is_an_objective_with_its_key() -> None:
    policy = _policy({"p50_ms": 20, "p95_ms": 250, "p99_ms": 1000}, error_rate=0.003, drift=0.4)
    assert [(objective.name, objective.key, objective.bound) for objective in objectives(policy)] == [
        ("error-rate", "deployment.analysis.error_rate", 0.003),
        ("latency-p50-seconds", "serving.sla.p50_ms", 0.02),
        ("latency-p95-seconds", "serving.sla.p95_ms", 0.25),
        ("latency-p99-seconds", "serving.sla.p99_ms", 1.0),
        ("drift", "deployment.analysis.drift", 0.4),
    ]


def test_what_has_no_bound_is_none() -> None:
    assert objectives(_policy({}, error_rate=None, drift=None)) == []


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        (requests(PODS), 'sum(modelway_requests_total{app="claims", code!~"4.."})'),
        (
            requests(WINDOW),
            'sum by (namespace) (increase(modelway_requests_total{app="claims", code!~"4.."}[5m]))',
        ),
        (
            latency(0.95, WINDOW),
            "histogram_quantile(0.95, sum by (namespace, le) "
            '(increase(modelway_request_seconds_bucket{app="claims"}[5m])))',
        ),
        (drift(WINDOW), 'max by (namespace) (modelway_feature_drift{app="claims"})'),
        (
            enough_requests(_policy({}, minimum_requests=70), PODS),
            'sum(modelway_requests_total{app="claims", code!~"4.."}) >= 70',
        ),
    ],
)
def test_a_scope_says_whose_series_and_over_what_time(expression: str, says: str) -> None:
    assert expression == says


def test_errors_are_a_share_of_the_requests_that_count() -> None:
    expression = error_rate(PODS)
    assert expression.count(requests(PODS)) == 2
    assert expression.endswith(f" / {requests(PODS)}")
