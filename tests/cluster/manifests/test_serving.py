"""The Rollout as it is written, with a stand-in for the server: its pods run restricted and are reached."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kube import eventually, run_kubectl

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]

MODEL = "insurance-high-use"
# Not ready before it could write to /tmp alone, has read the key, and has found no token.
SERVER = """
import os, pathlib
from http.server import BaseHTTPRequestHandler, HTTPServer
pathlib.Path('/tmp/scratch').write_text('is writable')
assert pathlib.Path(os.environ['MODELWAY_VERIFYING_KEY']).read_text() == 'a key'
assert not pathlib.Path('/var/run/secrets/kubernetes.io/serviceaccount').exists()
assert os.getuid() == 10001
try:
    pathlib.Path('/etc/scratch').write_text('')
except OSError as error:
    assert error.errno == 30, error
class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path in ('/v2/health/live', '/v2/health/ready') else 404)
        self.end_headers()
    def log_message(self, *arguments): pass
HTTPServer(('', 8080), Health).serve_forever()
"""


@pytest.fixture(scope="module")
def serving_namespace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, namespace = tmp_path_factory.mktemp("served"), f"mw{uuid.uuid4().hex[:8]}-served"
    base = Path(__file__).resolve().parents[3] / "manifests" / "base"
    stand_in = [
        {"op": "add", "path": "/spec/template/spec/containers/0/command", "value": ["python3", "-c", SERVER]},
        {"op": "add", "path": "/spec/template/spec/securityContext/runAsUser", "value": 10001},
    ]
    content = {
        "namespace": namespace,
        "resources": [os.path.relpath(base, folder.resolve())],
        "images": [{"name": MODEL, "newName": "localhost/pause", "newTag": "1"}],
        "configMapGenerator": [{"name": "modelway-verifying-key", "literals": ["verifying.pem=a key"]}],
        "patches": [{"target": {"kind": "Rollout"}, "patch": yaml.safe_dump(stand_in)}],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    try:
        run_kubectl("apply", "-k", str(folder))
        yield namespace
    finally:
        run_kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false", check=False)


def test_the_rollout_becomes_healthy(serving_namespace: str, api: Any) -> None:
    path = f"/apis/argoproj.io/v1alpha1/namespaces/{serving_namespace}/rollouts/{MODEL}"

    def healthy() -> bool:
        status = api("GET", path).body.get("status", {})
        assert status.get("phase") not in {"InvalidSpec", "Degraded"}, status
        return bool(status.get("phase") == "Healthy")

    eventually(healthy, "the Rollout is healthy", 120)


@pytest.mark.parametrize("service", [MODEL, f"{MODEL}-preview"])
def test_its_services_reach_it(serving_namespace: str, api: Any, service: str) -> None:
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{serving_namespace}/endpointslices"

    def ports() -> list[Any]:
        return [
            port
            for obj in api("GET", slices).body["items"]
            if obj["metadata"]["labels"]["kubernetes.io/service-name"] == service
            if any(endpoint["conditions"]["ready"] for endpoint in obj["endpoints"] or [])
            for port in obj["ports"]
        ]

    assert {port["port"] for port in eventually(ports, f"{service} has a ready pod", 60)} == {8080}


def test_the_autoscaler_and_the_disruption_budget_are_its_own(serving_namespace: str, api: Any) -> None:
    scaler = f"/apis/autoscaling/v2/namespaces/{serving_namespace}/horizontalpodautoscalers/{MODEL}"

    def scalable() -> list[Any]:
        conditions = api("GET", scaler).body.get("status", {}).get("conditions") or []
        return [obj for obj in conditions if obj["type"] == "AbleToScale" and obj["status"] == "True"]

    eventually(scalable, "the autoscaler finds the Rollout", 90)
    budget = f"/apis/policy/v1/namespaces/{serving_namespace}/poddisruptionbudgets/{MODEL}"
    eventually(lambda: api("GET", budget).body["status"].get("expectedPods", 0) >= 1, "the budget counts its pods", 60)
