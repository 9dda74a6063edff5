"""A key of the policy means the same in a rollout's analysis and in an alert: both are asked of a real Prometheus."""

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

from modelway.components.core.config.policy import Policy
from modelway.components.deploy.alerts import alert_rules
from modelway.components.deploy.analysis import analysis_templates
from modelway.components.deploy.objectives import objectives

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]

HASH = "5d4c9"
# Of a thousand requests 500 are the client's fault, 494 are answered and 6 fail: 0.012 of those that count.
CODES = {200: 494, 422: 500, 500: 6}
BUCKETS = {"0.01": 400, "0.05": 900, "0.1": 960, "0.5": 990, "+Inf": 1000}
DRIFT = {"age": 0.1, "income": 0.3}
VALUES = {"error_rate": 0.012, "p50_ms": 18.0, "p95_ms": 91.666667, "p99_ms": 500.0, "drift": 0.3}

# Every scrape finds the same thousand requests once more, so that each share is the same over any time.
SERVER = f"""
from http.server import BaseHTTPRequestHandler, HTTPServer
scrapes = 0
class Metrics(BaseHTTPRequestHandler):
    def do_GET(self):
        global scrapes
        scrapes += 1
        lines = ['# TYPE modelway_requests_total counter', '# TYPE modelway_request_seconds histogram']
        lines += ['modelway_requests_total{{code="%s"}} %d' % (code, n * scrapes) for code, n in {CODES}.items()]
        lines += ['modelway_request_seconds_bucket{{le="%s"}} %d' % (le, n * scrapes) for le, n in {BUCKETS}.items()]
        lines += ['modelway_request_seconds_count %d' % (1000 * scrapes), 'modelway_request_seconds_sum 1']
        lines += ['modelway_feature_drift{{feature="%s"}} %s' % entry for entry in {DRIFT}.items()]
        self.send_response(200)
        self.send_header('Content-Type', 'text/plain; version=0.0.4')
        self.end_headers()
        self.wfile.write(('\\n'.join(lines) + '\\n').encode())
    def log_message(self, *arguments): pass
HTTPServer(('', 8080), Metrics).serve_forever()
"""


def policy(factor: float = 1.0) -> Policy:
    """A policy whose every bound is some multiple of the value that is measured."""
    bounds = {key: value * factor for key, value in VALUES.items()}
    latencies = {key: bounds[key] for key in ("p50_ms", "p95_ms", "p99_ms")}
    analysis = {"minimum_requests": 20, "error_rate": bounds["error_rate"], "drift": bounds["drift"]}
    return minimal_policy(serving={"sla": latencies}, deployment={"analysis": analysis})


def ask(expression: str) -> list[float]:
    url = f"{os.environ['PROMETHEUS_URL']}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310
        return [float(series["value"][1]) for series in json.load(answer)["data"]["result"]]


@pytest.fixture(scope="module")
def model(api: Any) -> Iterator[str]:
    """A served model's name, which is its namespace's too, once a minute of it has been scraped."""
    name = f"mw{uuid.uuid4().hex[:8]}-objectives"
    run_kubectl("create", "namespace", name)
    try:
        labels = {"app.kubernetes.io/name": name, "rollouts-pod-template-hash": HASH}
        annotations = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}
        container = {
            "name": "server",
            "image": "localhost/pause:1",
            "imagePullPolicy": "IfNotPresent",
            "command": ["python3", "-c", SERVER],
        }
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "server", "labels": labels, "annotations": annotations},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
        }
        answer = api("POST", f"/api/v1/namespaces/{name}/pods", pod, real=True)
        assert answer.status == 201, answer.message
        increase = f'increase(modelway_requests_total{{app_kubernetes_io_name="{name}", code="500"}}[5m])'
        eventually(lambda: ask(f"{increase} > 20"), "requests are seen", 120)
        yield name
    finally:
        run_kubectl("delete", "namespace", name, "--wait=false", check=False)


def analysed(model: str, policy: Policy) -> dict[str, str]:
    """The queries of the analysis by metric, for the pods of the model's one version."""
    (template,) = [
        entry
        for entry in analysis_templates(policy, model, prometheus="")
        if entry["metadata"]["name"].endswith("-watch")
    ]
    arguments = {"{{args.namespace}}": model, "{{args.canary-hash}}": HASH}
    queries = {}
    for metric in template["spec"]["metrics"]:
        query = metric["provider"]["prometheus"]["query"]
        for argument, value in arguments.items():
            query = query.replace(argument, value)
        queries[metric["name"]] = query
    return queries


def alerting(model: str, policy: Policy) -> set[str]:
    """The keys of which an alert fires."""
    (group,) = alert_rules(policy, model)["spec"]["groups"]
    return {
        objective.key
        for objective in objectives(policy)
        for rule in group["rules"]
        if f"({objective.key})" in rule["annotations"]["description"] and ask(rule["expr"])
    }


def test_an_analysis_measures_what_is_there(model: str) -> None:
    units = {objective.name: objective.bound for objective in objectives(policy())}
    measured = {name: ask(query) for name, query in analysed(model, policy()).items()}
    assert set(measured) == set(units)
    for name, values in measured.items():
        assert values == [pytest.approx(units[name], rel=1e-6)], name


@pytest.mark.parametrize("factor", [0.98, 1.02])
def test_what_undoes_a_rollout_is_what_an_alert_fires_on(model: str, factor: float) -> None:
    bounds = policy(factor)
    queries = analysed(model, bounds)
    exceeded = {objective.key for objective in objectives(bounds) if ask(queries[objective.name])[0] > objective.bound}
    assert alerting(model, bounds) == exceeded
    assert exceeded == ({objective.key for objective in objectives(bounds)} if factor < 1 else set())
