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
from modelway.components.deploy.analysis import SO_FAR, analysis_templates
from modelway.components.deploy.objectives import certainly_above, is_certainly_above, objectives

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


def policy(factor: float = 1.0, *, minimum_requests: int = 20, **latencies: float) -> Policy:
    """A policy whose every bound is some multiple of the value that is measured, but for the given latencies."""
    bounds = {key: value * factor for key, value in VALUES.items()}
    sla = {key: bounds[key] for key in ("p50_ms", "p95_ms", "p99_ms")} | latencies
    analysis = {"error_rate": bounds["error_rate"], "drift": bounds["drift"], "minimum_requests": minimum_requests}
    return minimal_policy(serving={"sla": sla}, deployment={"analysis": analysis})


def series_of(expression: str) -> list[dict[str, Any]]:
    url, body = f"{os.environ['PROMETHEUS_URL']}/api/v1/query", urllib.parse.urlencode({"query": expression}).encode()
    with urllib.request.urlopen(url, body, timeout=20) as answer:  # noqa: S310
        series: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return series


def ask(expression: str) -> list[float]:
    return [float(series["value"][1]) for series in series_of(expression)]


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
        if metric["name"] == SO_FAR:
            continue
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


def test_few_requests_are_judged_where_they_leave_no_doubt(model: str) -> None:
    # 600, 100 and 40 of 1,000 answers take longer than these, which are edges of the histogram.
    bounds = policy(0.1, minimum_requests=1_000_000, p50_ms=10, p95_ms=50, p99_ms=100)
    measured = {name: ask(query) for name, query in analysed(model, bounds).items()}
    units = {objective.name: objective.bound for objective in objectives(policy())}
    assert measured.pop("drift") == [0]
    for name, values in measured.items():
        assert values == [pytest.approx(units[name], rel=1e-6)], name


def test_few_requests_are_not_judged_where_they_are_just_above_a_bound(model: str) -> None:
    bounds = policy(0.98, minimum_requests=1_000_000)
    assert {name: ask(query) for name, query in analysed(model, bounds).items()} == {
        objective.name: [0] for objective in objectives(bounds)
    }


COUNTS = [(bad, total) for total in (0, 1, 2, 3, 5, 14) for bad in range(total + 1)]
COUNTS += [(bad, 100) for bad in (0, 1, 2, 5, 6, 7, 14, 15, 50, 70, 71, 72, 90, 99, 100)]
COUNTS += [(bad, 100_000) for bad in (0, 1, 100, 150, 200, 1000, 1130, 5000, 5300, 50_000, 51_000, 90_900, 100_000)]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.05, 0.5, 0.9])
def test_prometheus_computes_what_is_certain_as_python_does(share: float) -> None:
    """Each count of bad and of all requests is a series of its own, so that one query is asked of all of them."""

    def vector(values: list[int]) -> str:
        labelled = (f'label_replace(vector({value}), "i", "{index}", "", "")' for index, value in enumerate(values))
        return f"({' or '.join(labelled)})"

    bad, total = vector([bad for bad, _ in COUNTS]), vector([total for _, total in COUNTS])
    good = vector([total - bad for bad, total in COUNTS])
    series = series_of(certainly_above(bad, good, total=total, share=share))
    certain = {COUNTS[int(entry["metric"]["i"])] for entry in series}
    assert certain == {count for count in COUNTS if is_certainly_above(*count, share=share)}
    assert 0 < len(certain) < len(COUNTS)


@pytest.mark.parametrize("missing", ["bad", "good", "total"])
def test_nothing_is_certain_of_series_that_are_missing(missing: str) -> None:
    terms = {"bad": "vector(9)", "good": "vector(0)", "total": "vector(9)"}
    assert ask(certainly_above(terms["bad"], terms["good"], total=terms["total"], share=0.01))
    terms[missing] = "no_such_series"
    assert ask(certainly_above(terms["bad"], terms["good"], total=terms["total"], share=0.01)) == []
