"""The alert rules, evaluated by a real Prometheus over pods that it scrapes: a bad model's fire, a good one's not."""

from __future__ import annotations

import json
import os
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from kube import eventually, run_kubectl
from user_files import minimal_policy

from modelway.components.deploy.alerts import alert_rules

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]

POLICY = minimal_policy(
    serving={"sla": {"p50_ms": 10, "p95_ms": 50, "p99_ms": 100}},
    deployment={"analysis": {"error_rate": 0.01, "drift": 0.25, "minimum_requests": 20}},
)
NAMES = {"ModelFails", "ModelSlowP50", "ModelSlowP95", "ModelSlowP99", "ModelInputsDrift"}

# Every scrape finds more requests, {most} at most; {errors} and {slow} of them in a hundred were so.
SERVER = """
from http.server import BaseHTTPRequestHandler, HTTPServer
total = 0
class Metrics(BaseHTTPRequestHandler):
    def do_GET(self):
        global total
        total = min(total + {each}, {most})
        quick = total * (100 - {slow}) // 100
        lines = ['# TYPE modelway_requests_total counter', '# TYPE modelway_request_seconds histogram']
        lines += ['modelway_requests_total{{code="200"}} %d' % (total * (100 - {errors}) // 100)]
        lines += ['modelway_requests_total{{code="500"}} %d' % (total * {errors} // 100)] if {errors} else []
        for edge in ('0.005', '0.01', '0.05', '0.1'):
            lines += ['modelway_request_seconds_bucket{{le="%s"}} %d' % (edge, quick)]
        for edge in ('0.5', '+Inf'):
            lines += ['modelway_request_seconds_bucket{{le="%s"}} %d' % (edge, total)]
        lines += ['modelway_request_seconds_count %d' % total, 'modelway_request_seconds_sum %d' % total]
        lines += ['modelway_feature_drift{{feature="health"}} {drift}', 'modelway_model_info{{version="1"}} 1']
        self.send_response(200)
        self.send_header('Content-Type', 'text/plain; version=0.0.4')
        self.end_headers()
        self.wfile.write(('\\n'.join(lines) + '\\n').encode())
    def log_message(self, *arguments): pass
HTTPServer(('', 8080), Metrics).serve_forever()
"""


def _query(expression: str) -> list[dict[str, Any]]:
    url = f"{os.environ['PROMETHEUS_URL']}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310
        alerts: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return alerts


def _firing(model: str) -> set[str]:
    (group,) = alert_rules(POLICY, model)["spec"]["groups"]
    return {rule["alert"] for rule in group["rules"] if _query(rule["expr"])}


@pytest.fixture(scope="module")
def models_served(api: Any) -> Iterator[dict[str, str]]:
    """Models by how they are: pods that Prometheus scrapes, each with a name of its own."""
    namespace = f"mw{uuid.uuid4().hex[:8]}-alerts"
    kinds = {
        "good": {"each": 50, "most": 10**9, "errors": 0, "slow": 0, "drift": 0.25},
        "quiet": {"each": 1, "most": 8, "errors": 50, "slow": 60, "drift": 0.05},
        "bad": {"each": 50, "most": 10**9, "errors": 8, "slow": 60, "drift": 0.9},
    }
    models = {kind: f"{namespace}-{number}" for number, kind in enumerate(kinds)}
    run_kubectl("create", "namespace", namespace)
    try:
        for kind, model in models.items():
            pod = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": model,
                    "labels": {"app.kubernetes.io/name": model},
                    "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"},
                },
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [
                        {
                            "name": "server",
                            "image": "localhost/pause:1",
                            "imagePullPolicy": "IfNotPresent",
                            "command": ["python3", "-c", SERVER.format(**kinds[kind])],
                        }
                    ],
                },
            }
            answer = api("POST", f"/api/v1/namespaces/{namespace}/pods", pod, real=True)
            assert answer.status == 201, answer.message
        for kind, model in models.items():
            query = f'increase(modelway_requests_total{{app_kubernetes_io_name="{model}", code="200"}}[5m]) > %d'
            enough = query % (2 if kind == "quiet" else 100)
            eventually(lambda enough=enough: _query(enough), f"{model} is scraped", 120)
        yield {**models, "namespace": namespace}
    finally:
        run_kubectl("delete", "namespace", namespace, "--wait=false", check=False)


def test_nothing_fires_for_a_good_model(models_served: dict[str, str]) -> None:
    assert _firing(models_served["good"]) == set()


def test_too_few_requests_tell_nothing(models_served: dict[str, str]) -> None:
    assert _firing(models_served["quiet"]) == set()


def test_everything_fires_for_a_bad_model_and_says_where(models_served: dict[str, str]) -> None:
    assert _firing(models_served["bad"]) == NAMES
    (group,) = alert_rules(POLICY, models_served["bad"])["spec"]["groups"]
    for rule in group["rules"]:
        for series in _query(rule["expr"]):
            assert series["metric"]["namespace"] == models_served["namespace"]


def test_a_model_that_is_gone_is_missed(models_served: dict[str, str], api: Any) -> None:
    model = models_served["good"]
    assert "ModelNotServed" not in _firing(model)
    api("DELETE", f"/api/v1/namespaces/{models_served['namespace']}/pods/{model}", real=True)
    eventually(lambda: _firing(model) == {"ModelNotServed"}, "it is missed", 60)
