"""The policy as Argo Rollouts reads it: what is measured, when it passes, and in what steps versions take over."""

from __future__ import annotations

import re
from typing import Any

import pytest
from kubernetes.client import ApiClient
from user_files import minimal_policy

from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.deploy.analysis import (
    PROMETHEUS,
    analysis_templates,
    prometheus_address,
    seconds_to_decision,
    strategy,
)
from modelway.components.deploy.cluster import Cluster
from modelway.components.deploy.stage import workload_of

ADDRESS = "http://prometheus.example:9090"


def _policy(sla: dict[str, Any] | None = None, analysis: dict[str, Any] | None = None, **deployment: Any) -> Policy:
    return minimal_policy(serving={"sla": sla or {}}, deployment={**deployment, "analysis": analysis or {}})


def _metrics(policy: Policy) -> dict[str, dict[str, dict[str, Any]]]:
    """The metrics by name, of each template by what comes after the model in its name."""
    return {
        template["metadata"]["name"].removeprefix("claims-"): {
            reference["name"]: reference for reference in template["spec"]["metrics"]
        }
        for template in analysis_templates(policy, "claims", prometheus=ADDRESS)
    }


def _query(metric: dict[str, Any]) -> str:
    return str(metric["provider"]["prometheus"]["query"])


ALL = _policy(
    {"p50_ms": 20, "p95_ms": 250, "p99_ms": 1000},
    {"error_rate": 0.003, "drift": 0.4, "compare_with_stable": {"error_rate": 0.02, "latency_ratio": 1.5}},
)
BOUNDS = {
    "error-rate": "<= 0.003",
    "latency-p50-seconds": "<= 0.02",
    "latency-p95-seconds": "<= 0.25",
    "latency-p99-seconds": "<= 1",
    "drift": "<= 0.4",
    "error-rate-above-stable": "<= 0.02",
    "latency-p95-to-stable": "<= 1.5",
}


@pytest.mark.parametrize("template", ["analysis", "watch"])
def test_each_bound_of_the_policy_is_a_metric(template: str) -> None:
    metrics = _metrics(ALL)[template]
    metrics.pop("requests", None)
    assert metrics.pop("requests-so-far")["provider"]
    bounds = {name: reference["successCondition"].rpartition("result[0] ")[2] for name, reference in metrics.items()}
    assert bounds == BOUNDS


def test_what_is_not_bounded_is_not_measured_but_the_traffic_is() -> None:
    no_bounds = _policy(analysis={"error_rate": None, "drift": None})
    assert {template: list(metrics) for template, metrics in _metrics(no_bounds).items()} == {"analysis": ["requests"]}
    assert "analysis" not in strategy(no_bounds, "claims")["canary"]


def test_nothing_passes_on_missing_data_or_stays_undecided() -> None:
    for metrics in _metrics(ALL).values():
        for name, metric in metrics.items():
            if name == "requests-so-far":  # it judges nothing
                assert "successCondition" not in metric
            else:
                assert metric["successCondition"].startswith("len(result) > 0 && !isNaN(result[0]) && result[0] ")
            assert not {"failureCondition", "inconclusiveLimit"} & set(metric)
            assert metric["provider"]["prometheus"]["address"] == ADDRESS


def test_a_value_counts_once_there_are_requests_enough_and_too_few_are_never_health() -> None:
    for metrics in _metrics(ALL).values():
        for name, metric in metrics.items():
            query = _query(metric)
            if name in {"requests", "requests-so-far"}:
                assert "vector(" not in query
            else:
                assert query.count(" >= 50") == (2 if "stable" in name else 1)
                assert query.endswith(") or vector(0)")
                assert ("> ln((" in query) == (name == "error-rate" or name.endswith("-seconds"))


def test_the_decision_is_measured_as_often_as_the_policy_says_and_the_watch_all_the_while() -> None:
    settings = {"initial_delay_seconds": 7, "interval_seconds": 3, "count": 4, "failure_limit": 2}
    metrics = _metrics(_policy(analysis=settings))
    when = {"initialDelay": "7s", "interval": "3s", "failureLimit": 2}
    assert metrics["analysis"]["error-rate"].items() >= (when | {"count": 4}).items()
    assert metrics["watch"]["error-rate"].items() >= when.items()
    assert "count" not in metrics["watch"]["error-rate"]


@pytest.mark.parametrize(
    ("count", "seconds"), [(4, 13), (2, 7), (1, 4)], ids=["four measurements", "two measurements", "one measurement"]
)
def test_too_few_requests_fail_before_the_last_measurements_which_judge_as_many(count: int, seconds: int) -> None:
    settings = {"initial_delay_seconds": 7, "interval_seconds": 3, "count": count, "minimum_requests": 70}
    metrics = _metrics(_policy(analysis=settings | {"failure_limit": min(2, count - 1)}))["analysis"]
    requests = metrics["requests"]
    assert (requests["initialDelay"], requests["count"]) == (f"{seconds}s", 1)
    assert requests["successCondition"].endswith(" >= 70")
    assert "failureLimit" not in requests
    assert seconds < 7 + (count - 1) * 3


def test_every_series_is_of_one_versions_pods_in_one_namespace() -> None:
    for metrics in _metrics(ALL).values():
        for name, metric in metrics.items():
            selectors = re.findall(r"modelway_\w+\{(.*?)\}(?!\})", _query(metric).replace("}}", "##"))
            assert len(selectors) == len(re.findall("modelway_", _query(metric))), name
            hashes = set()
            for selector in selectors:
                assert 'namespace="{{args.namespace##"' in selector
                assert 'app_kubernetes_io_name="claims"' in selector
                hashes |= set(re.findall(r'rollouts_pod_template_hash="\{\{args\.([\w-]+)##"', selector))
            assert hashes == ({"canary-hash", "stable-hash"} if "stable" in name else {"canary-hash"}), name


def test_the_stable_version_is_looked_at_over_as_long_as_a_rollout_takes() -> None:
    settings = {
        "initial_delay_seconds": 7,
        "interval_seconds": 3,
        "count": 4,
        "compare_with_stable": {"error_rate": 0.1, "latency_ratio": 2},
    }
    steps = [{"weight": 10, "pause_seconds": 60}, {"weight": 50, "pause_seconds": 21}]
    for policy, seconds in (
        (_policy(analysis=settings, steps=steps), 100),
        (_policy(analysis=settings, strategy="rolling"), 19),
    ):
        query = _query(_metrics(policy)["analysis"]["error-rate-above-stable"])
        assert set(re.findall(r"increase\(.*?\[(\w+)\]\)", query)) == {f"{seconds}s"}


def test_a_canary_takes_the_policys_steps_and_is_decided_after_the_last() -> None:
    steps = [{"weight": 10, "pause_seconds": 60}, {"weight": 50, "pause_seconds": 21}]
    canary = strategy(_policy(steps=steps), "claims")["canary"]
    *before, last = canary["steps"]
    assert before == [
        {"setWeight": 10},
        {"pause": {"duration": "60s"}},
        {"setWeight": 50},
        {"pause": {"duration": "21s"}},
    ]
    assert last["analysis"]["templates"] == [{"templateName": "claims-analysis"}]
    assert canary["analysis"]["templates"] == [{"templateName": "claims-watch"}]
    assert canary["analysis"]["startingStep"] == 1
    assert (canary["maxSurge"], canary["maxUnavailable"]) == (1, 0)


def test_a_rolling_update_is_decided_halfway() -> None:
    weight, decision = strategy(_policy(strategy="rolling"), "claims")["canary"]["steps"]
    assert weight == {"setWeight": 50}
    assert decision["analysis"]["templates"] == [{"templateName": "claims-analysis"}]


def test_blue_green_is_decided_before_and_after_the_switch() -> None:
    metrics = strategy(_policy(strategy="blue-green"), "claims")["blueGreen"]
    assert (metrics["activeService"], metrics["previewService"]) == ("claims", "claims-preview")
    assert metrics["autoPromotionEnabled"] is True
    for when in ("prePromotionAnalysis", "postPromotionAnalysis"):
        assert metrics[when]["templates"] == [{"templateName": "claims-analysis"}]


@pytest.mark.parametrize("kind", ["canary", "rolling", "blue-green"])
def test_every_template_that_a_strategy_names_is_compiled_with_the_same_arguments(kind: str) -> None:
    policy = _policy(strategy=kind)
    templates = {
        reference["metadata"]["name"]: [argument["name"] for argument in reference["spec"]["args"]]
        for reference in analysis_templates(policy, "claims", prometheus=ADDRESS)
    }

    def analyses(metrics: Any) -> list[dict[str, Any]]:
        inside = metrics.values() if isinstance(metrics, dict) else metrics if isinstance(metrics, list) else ()
        here = [metrics] if isinstance(metrics, dict) and "templates" in metrics else []
        return here + [reference for part in inside for reference in analyses(part)]

    references = analyses(strategy(policy, "claims"))
    assert references
    for reference in references:
        for template in reference["templates"]:
            assert templates[template["templateName"]] == [argument["name"] for argument in reference["args"]]


def test_a_router_stays_and_what_else_the_strategy_was_goes() -> None:
    routed = {"stableService": "claims", "canaryService": "claims-preview", "trafficRouting": {"traefik": {"a": "b"}}}
    present = {"canary": {**routed, "steps": [{"setWeight": 1}], "maxSurge": "10%"}}
    canary = strategy(_policy(), "claims", present=present)["canary"]
    assert routed.items() <= canary.items()
    assert canary["maxSurge"] == 1
    assert {key: value for key, value in canary.items() if key not in routed} == strategy(_policy(), "claims")["canary"]
    assert set(strategy(_policy(strategy="blue-green"), "claims", present=present)) == {"blueGreen"}
    assert set(strategy(_policy(), "claims", present={"blueGreen": {"activeService": "claims"}})) == {"canary"}


def test_prometheus_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PROMETHEUS, raising=False)
    assert prometheus_address() == "http://prometheus.monitoring:9090"
    monkeypatch.setenv(PROMETHEUS, ADDRESS)
    assert prometheus_address() == ADDRESS


@pytest.mark.parametrize("address", ["http://ada:pw@prometheus.example:9090", f"{ADDRESS}?access_token=pw"])
def test_an_address_of_prometheus_with_a_secret_is_not_written_into_templates(
    address: str, monkeypatch: pytest.MonkeyPatch, tracking: Tracking
) -> None:
    monkeypatch.setenv(PROMETHEUS, address)
    with pytest.raises(ModelwayError, match="has a password or a token in it") as error:
        prometheus_address()
    assert "pw" not in str(error.value)
    version = RegisteredModel("claims", "", tracking).version("1")
    cluster = Cluster(ApiClient(), "modelway-staging")
    with pytest.raises(ModelwayError, match="has a password or a token in it"):
        workload_of(version, "staging", policy=_policy(), cluster=cluster, progress=print)


@pytest.mark.parametrize(
    ("strategy", "analysis", "seconds"),
    [
        ("canary", {"initial_delay_seconds": 20, "count": 6, "interval_seconds": 10}, 5 + 7 + 60),
        ("rolling", {"initial_delay_seconds": 20, "count": 6, "interval_seconds": 10}, 60),
        ("blue-green", {"initial_delay_seconds": 0, "count": 1, "interval_seconds": 10}, 0),
    ],
)
def test_the_requests_are_counted_when_the_steps_and_all_but_the_last_interval_are_over(
    strategy: str, analysis: dict[str, Any], seconds: int
) -> None:
    steps = [{"weight": 20, "pause_seconds": 5}, {"weight": 50, "pause_seconds": 7}]
    policy = _policy(analysis=analysis, strategy=strategy, steps=steps)
    assert seconds_to_decision(policy) == seconds
    delay = int(_metrics(policy)["analysis"]["requests"]["initialDelay"].removesuffix("s"))
    assert delay == seconds - (12 if strategy == "canary" else 0)
