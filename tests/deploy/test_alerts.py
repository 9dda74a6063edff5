"""The alert rules of a served model."""

from __future__ import annotations

import re
from typing import Any

import pytest
from user_files import minimal_policy

from modelway.components.core.config.policy import Policy
from modelway.components.deploy.alerts import alert_rules


def _alerts(policy: Policy, name: str, model: str = "claims") -> list[dict[str, Any]]:
    (group,) = alert_rules(policy, model)["spec"]["groups"]
    return [rule for rule in group["rules"] if rule["alert"] == name]


@pytest.mark.parametrize(
    ("percentile", "bound", "seconds"), [("p50_ms", 20, "0.02"), ("p95_ms", 250, "0.25"), ("p99_ms", 1000, "1")]
)
def test_a_latency_of_the_policy_is_an_alert_in_seconds(percentile: str, bound: int, seconds: str) -> None:
    policy = minimal_policy(serving={"sla": {percentile: bound}})
    alerts = _alerts(policy, f"ModelSlowP{percentile[1:3]}")
    assert len(alerts) == 2
    for alert in alerts:
        assert f"histogram_quantile(0.{percentile[1:3].rstrip('0')}, " in alert["expr"]
        assert f") > {seconds} and " in alert["expr"]
        assert f"allows {bound} ms" in alert["annotations"]["description"]


def test_what_the_policy_does_not_bound_has_no_alert() -> None:
    policy = minimal_policy(deployment={"analysis": {"error_rate": None, "drift": None}})
    (group,) = alert_rules(policy, "claims")["spec"]["groups"]
    assert {rule["alert"] for rule in group["rules"]} == {"ModelNotServed", "ModelRolloutFailed"}


def test_errors_and_drift_are_judged_by_the_policys_bounds() -> None:
    policy = minimal_policy(deployment={"analysis": {"error_rate": 0.003, "drift": 0.4, "minimum_requests": 70}})
    soon, patient = _alerts(policy, "ModelFails")
    assert (soon["labels"]["severity"], patient["labels"]["severity"]) == ("critical", "warning")
    for alert in (soon, patient):
        assert " > 0.003 and " in alert["expr"]
        assert alert["expr"].endswith(" >= 70")
    (drift,) = _alerts(policy, "ModelInputsDrift")
    assert drift["expr"].endswith(" > 0.4")


def test_every_series_is_the_models_own() -> None:
    policy = minimal_policy(serving={"sla": {"p50_ms": 10, "p95_ms": 20, "p99_ms": 30}})
    (group,) = alert_rules(policy, "claims")["spec"]["groups"]
    for rule in group["rules"]:
        selectors = re.findall(r"(?:modelway_\w+|rollout_info)(\{[^}]*\})?", rule["expr"])
        assert selectors
        assert all('="claims"' in selector for selector in selectors), rule["expr"]
        assert rule["labels"]["model"] == "claims"
        assert "claims" in rule["annotations"]["summary"]
