"""An installation of the manifests of its own, in namespaces that nothing else uses, and calls as its accounts."""

from __future__ import annotations

import base64
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml
from kube import eventually, kubectl, run_kubectl

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "manifests"
_KINDS = ("admissions.modelway.io", "releasedimages.modelway.io")
_POLICY = "ValidatingAdmissionPolicy"
IMAGE = f"registry.example.com/models/insurance-high-use@sha256:{'0' * 64}"


@dataclass(frozen=True)
class Answer:
    """What the API server said."""

    status: int
    body: dict[str, Any]

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))

    @property
    def unauthorized(self) -> bool:
        """Whether the account may not do it: an answer of the roles, not of an admission."""
        return self.status == 403 and " cannot " in self.message


@dataclass(frozen=True)
class Api:
    """The API server, asked as the administrator or with the token of a service account."""

    host: str
    token: str = field(repr=False)
    pool: urllib3.PoolManager = field(repr=False)

    def as_account(self, namespace: str, name: str) -> Api:
        """The same server, asked as a service account."""
        token = kubectl("-n", namespace, "create", "token", name, "--duration", "20m")
        return Api(self.host, token.strip(), self.pool)

    def __call__(self, method: str, path: str, body: dict[str, Any] | None = None, *, real: bool = False) -> Answer:
        """Asks; what would change something is only tried, unless it is `real`."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        answer = self.pool.request(
            method,
            f"{self.host}{path}{'' if real or method == 'GET' else '?dryRun=All'}",
            body=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": kind},
            timeout=30,
            retries=2,
        )
        return Answer(answer.status, json.loads(answer.data) if answer.data.startswith(b"{") else {})


def api_server() -> Api:
    """The API server, asked as the administrator."""
    config = json.loads(kubectl("config", "view", "--minify", "--flatten", "--raw", "-o", "json"))
    user, cluster = config["users"][0]["user"], config["clusters"][0]["cluster"]
    if "token" not in user:
        pytest.fail("these tests need a kubeconfig whose user has a token")
    trust: dict[str, Any] = {"cert_reqs": "CERT_NONE"}
    if not cluster.get("insecure-skip-tls-verify"):
        trust = {"ca_cert_data": base64.b64decode(cluster["certificate-authority-data"]).decode()}
    return Api(cluster["server"], user["token"], urllib3.PoolManager(**trust))


@dataclass(frozen=True)
class Installation:
    """All that the root's and the overlays' kustomizations make, under other names."""

    prefix: str
    objects: list[dict[str, Any]]

    @property
    def pipelines(self) -> str:
        return f"{self.prefix}-pipelines"

    @property
    def staging(self) -> str:
        return f"{self.prefix}-staging"

    @property
    def production(self) -> str:
        return f"{self.prefix}-production"


def small_pod(name: str = "tried", image: str = IMAGE, **more: Any) -> dict[str, Any]:
    """A pod that keeps to Pod Security's `restricted` and is admitted, changed at will; no node takes it."""
    container = {
        "name": "server",
        "image": image,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        **more,
    }
    spec = {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "nodeSelector": {"modelway.io/none": "true"},
        "serviceAccountName": "modelway-server",
        "automountServiceAccountToken": False,
        "containers": [container],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def release(namespace: str, *images: str) -> None:
    """Lists images as released in an environment, and waits until they are admitted."""
    digests = {f"insurance-high-use.{number}": image.partition("@")[2] for number, image in enumerate(images, 1)}
    change = json.dumps({"spec": {"digests": digests}})
    kubectl("-n", namespace, "patch", "releasedimages", "modelway", "--type", "merge", "-p", change)
    command = ("-n", namespace, "create", "--dry-run=server", "-f", "-")
    for image in images:
        trial = small_pod("released", image)
        eventually(
            lambda trial=trial: run_kubectl(*command, content=trial, check=False).returncode == 0,
            "the API server has read the list",
            120,
        )


def install_kinds() -> None:
    """Installs the kinds of the policies' parameters, which stay: they are other installations' too."""
    kubectl("apply", "-k", str(MANIFESTS / "base" / "kinds"))
    kubectl("wait", "--for", "condition=established", "--timeout", "60s", *(f"crd/{kind}" for kind in _KINDS))


def own_objects(text: str, prefix: str) -> list[dict[str, Any]]:
    """What Kustomize has made, with admission policies of names and for namespaces of their own."""
    objects = [obj for obj in yaml.safe_load_all(text) if obj]
    for obj in objects:
        if obj["kind"].startswith(_POLICY):
            obj["metadata"]["name"] = obj["metadata"]["name"].replace("modelway", prefix)
        if obj["kind"] == f"{_POLICY}Binding":
            spec = obj["spec"]
            spec["policyName"] = spec["policyName"].replace("modelway", prefix)
            selector = spec["matchResources"]["namespaceSelector"]
            spec["matchResources"]["namespaceSelector"] = json.loads(
                json.dumps(selector)
                .replace('"digests"', f'"{prefix}-digests"')
                .replace('"releases"', f'"{prefix}-releases"')
            )
        if obj["kind"] == "Namespace" and "modelway.io/images" in obj["metadata"]["labels"]:
            obj["metadata"]["labels"]["modelway.io/images"] = f"{prefix}-releases"
    return objects


def delete_policies(objects: list[dict[str, Any]]) -> None:
    """Deletes the admission policies among objects, and their bindings."""
    for obj in objects:
        if obj["kind"].startswith(_POLICY):
            kubectl("delete", obj["kind"], obj["metadata"]["name"], "--ignore-not-found", check=False)


@contextmanager
def installed(folder: Path) -> Iterator[Installation]:
    """The whole, applied for real: both overlays with their Rollouts, the pipelines' part, and the admission policy."""
    prefix = f"mw{uuid.uuid4().hex[:8]}"
    parts = ("base/pipelines", "overlays/staging", "overlays/production")
    content = {
        "resources": [os.path.relpath(MANIFESTS / part, folder.resolve()) for part in parts],
        "components": [os.path.relpath(MANIFESTS / "components" / "admission", folder.resolve())],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    text = kubectl("kustomize", str(folder))
    for ours, theirs in {
        "modelway-staging": f"{prefix}-staging",
        "modelway-production": f"{prefix}-production",
        "namespace: kubeflow": f"namespace: {prefix}-pipelines",
        "cpu: 250m": "cpu: 5m",  # its pods never start, and are to leave the node to those that do
    }.items():
        assert ours in text
        text = text.replace(ours, theirs)
    environment = Installation(prefix, own_objects(text, prefix))
    kubectl("create", "namespace", environment.pipelines)
    try:
        install_kinds()
        kubectl("apply", "-f", "-", content=yaml.safe_dump_all(environment.objects))
        for namespace in (environment.staging, environment.production):
            release(namespace, IMAGE)
        yield environment
    finally:
        namespaces = (environment.pipelines, environment.staging, environment.production)
        kubectl("delete", "namespace", *namespaces, "--ignore-not-found", "--wait=false", check=False)
        delete_policies(environment.objects)
