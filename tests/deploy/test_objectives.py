"""What a policy holds a served model to, and the series that each bound is about."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

import numpy as np
import pytest
from user_files import minimal_policy

from modelway.components.core.config.policy import Policy
from modelway.components.deploy.objectives import (
    ERROR_LEVEL,
    MEASURES,
    Scope,
    drift,
    enough_requests,
    error_rate,
    is_certainly_above,
    is_judged,
    latency,
    objectives,
    requests,
)
from modelway.components.serve.metrics import Metrics

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


@pytest.mark.parametrize(
    ("bad", "total", "share", "certain"),
    [
        (0, 1000, 0.01, False),
        (1, 1, 0.01, False),
        (2, 2, 0.01, True),
        (1, 10, 0.01, False),
        (4, 10, 0.01, True),
        (3, 3, 0.05, True),
        (10, 1000, 0.01, False),
        (11, 1000, 0.01, False),
        (40, 1000, 0.01, True),
        (13, 13, 0.5, False),
        (14, 14, 0.5, True),
        (0, 10, 0.0, False),
        (1, 10, 0.0, True),
        (0, 0, 0.01, False),
    ],
)
def test_few_requests_leave_no_doubt_where_nearly_all_are_bad(
    bad: int, total: int, share: float, certain: bool
) -> None:
    assert is_certainly_above(bad, total, share=share) is certain


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
def test_a_version_at_its_bound_is_almost_never_ended_however_often_it_is_looked_at(share: float) -> None:
    requests, rollouts = 1000, 20_000
    least = np.array(
        [
            bisect_left(range(total + 1), True, key=lambda bad: is_certainly_above(bad, total, share=share))
            for total in range(1, requests + 1)
        ]
    )
    generator, ended = np.random.default_rng(15), 0
    for _ in range(rollouts // 1000):
        bad = (generator.random((1000, requests), dtype=np.float32) < share).cumsum(axis=1, dtype=np.int32)
        ended += int((bad >= least).any(axis=1).sum())
    assert ended / rollouts <= ERROR_LEVEL
    worse = (generator.random((1000, requests), dtype=np.float32) < 10 * share).cumsum(axis=1, dtype=np.int32)
    assert (worse >= least).any(axis=1).mean() > 0.9


def test_errors_and_latencies_are_judged_of_few_requests_too_and_drift_is_not() -> None:
    policy = _policy({"p50_ms": 20, "p95_ms": 250, "p99_ms": 1000}, error_rate=0.003, drift=0.4)
    enough = enough_requests(policy, PODS)
    conditions = {objective.name: is_judged(objective, policy, scope=PODS) for objective in objectives(policy)}
    assert conditions.pop("drift") == enough
    assert all(condition.startswith(f"({enough}) or (") for condition in conditions.values())


@pytest.mark.parametrize("milliseconds", [0.01, 0.3, 1 / 3, 20, 250, 999.5, 1000, 12_000])
def test_the_server_counts_what_is_within_a_bound_under_the_name_by_which_it_is_asked_for(milliseconds: float) -> None:
    policy = _policy({"p95_ms": milliseconds}, error_rate=None, drift=None)
    (objective,) = objectives(policy)
    assert objective.certain is not None
    exposition, _ = Metrics({"model": "claims"}, [milliseconds / 1000]).exposition()
    series = f'modelway_request_seconds_bucket{{app="claims", le="{objective.bound}"}}'
    assert series in objective.certain(PODS)
    assert series.replace('app="claims", ', "").encode() in exposition


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("error-rate", 0.0, "0 %"),
        ("error-rate", 0.003, "0.3 %"),
        ("error-rate", 31 / 32, "96.88 %"),
        ("latency-p95-seconds", 0.00025, "0.25 ms"),
        ("latency-p95-seconds", 0.25, "250 ms"),
        ("latency-p95-seconds", 0.51234, "512.3 ms"),
        ("latency-p99-seconds", 12.3456, "12,346 ms"),
        ("drift", 0.61234, "0.6123"),
        ("error-rate-above-stable", 0.05, "5 percentage points above the stable version's"),
        ("latency-p95-to-stable", 2.104, "2.104 times the stable version's"),
        ("requests", 3.0, "3 requests"),
    ],
)
def test_a_value_has_the_unit_of_its_bound(name: str, value: float, text: str) -> None:
    assert MEASURES[name].text(value) == text
