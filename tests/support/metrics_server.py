"""The cluster's resource metrics: its own, or else the real metrics-server's beside it while a block runs."""

from __future__ import annotations

import os
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from go_commands import go_command
from kube import eventually, kubectl, kubectl_json, run_kubectl

MODULE = "sigs.k8s.io/metrics-server/cmd/metrics-server@v0.8.0"
API = "v1beta1.metrics.k8s.io"
_NAMESPACE, _NAME, _PORT = "kube-system", "modelway-tests-metrics", 14443
_FLAGS = (
    "--kubelet-insecure-tls",
    "--kubelet-use-node-status-port",
    "--kubelet-preferred-address-types=InternalIP",
    "--metric-resolution=10s",
    "--kubelet-request-timeout=5s",
    "--authentication-tolerate-lookup-failure",
    "--authorization-always-allow-paths=/readyz,/livez,/openapi/*,/apis/metrics.k8s.io,/apis/metrics.k8s.io/*",
)


@contextmanager
def metrics_api(folder: Path) -> Iterator[None]:
    """Resource metrics of nodes and pods, until the end of the block.

    Where the cluster has none, metrics-server runs as a process of this machine, which must be the node, as in the
    development cluster: it reads the kubelet's figures as it does anywhere. It is found on the PATH, or built by Go.
    """
    if _has_metrics():
        yield
        return
    program = go_command("metrics-server", MODULE)
    address = _node_address()
    objects = _objects(address)
    kubeconfig = os.environ["KUBECONFIG"]
    credentials = [f"--{kind}kubeconfig={kubeconfig}" for kind in ("", "authentication-", "authorization-")]
    listening = (f"--bind-address={address}", f"--secure-port={_PORT}", f"--cert-dir={folder}")
    with (folder / "metrics-server.log").open("wb") as log:
        process = subprocess.Popen(
            [program, *credentials, *listening, *_FLAGS], stdout=log, stderr=log, start_new_session=True
        )
    try:
        *ways, api = objects
        kubectl("apply", "-f", "-", content={"apiVersion": "v1", "kind": "List", "items": ways})
        # The API server keeps the connection that it gets, so the way must lead to the right place before it is asked.
        eventually(lambda: _is_ready() or process.poll() is not None, "metrics-server has figures", 90)
        assert process.poll() is None, (folder / "metrics-server.log").read_text("utf-8")[-2000:]
        kubectl("apply", "-f", "-", content=api)
        eventually(_has_metrics, "the API server has the figures", 60)
        yield
    finally:
        # The API goes first: one that nothing serves would keep namespaces from being deleted.
        for obj in reversed(objects):
            name, namespace = obj["metadata"]["name"], obj["metadata"].get("namespace", "default")
            kubectl("-n", namespace, "delete", obj["kind"], name, "--ignore-not-found", check=False)
        process.terminate()
        process.wait(timeout=30)


def _has_metrics() -> bool:
    """Whether there are figures of the nodes."""
    answer = run_kubectl("get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes", check=False)
    return answer.returncode == 0 and '"usage"' in answer.stdout


def _is_ready() -> bool:
    """Whether metrics-server answers where its Service leads."""
    address = kubectl_json("-n", _NAMESPACE, "get", "service", _NAME)["spec"]["clusterIP"]
    with suppress(OSError):
        context = ssl._create_unverified_context()  # noqa: S323 - its certificate is its own
        with urllib.request.urlopen(f"https://{address}/readyz", timeout=2, context=context) as answer:
            return bool(answer.read() == b"ok")
    return False


def _node_address() -> str:
    (node, *_) = kubectl_json("get", "nodes")["items"]
    addresses = node["status"]["addresses"]
    return str(next(address["address"] for address in addresses if address["type"] == "InternalIP"))


def _objects(address: str) -> list[dict[str, Any]]:
    """What leads the API server to the process, which does not know it by a certificate, and answers anybody."""
    place = {"name": _NAME, "namespace": _NAMESPACE}
    reads = {"apiGroups": ["metrics.k8s.io"], "resources": ["nodes", "pods"], "verbs": ["get", "list"]}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": _NAME}
    anonymous = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "system:anonymous"}
    api = {
        **{"group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100},
        **{"insecureSkipTLSVerify": True, "service": place},
    }
    return [
        {
            **{"apiVersion": "v1", "kind": "Service", "metadata": place},
            "spec": {"ports": [{"name": "https", "port": 443, "targetPort": _PORT}]},
        },
        {
            **{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4"},
            "metadata": {**place, "labels": {"kubernetes.io/service-name": _NAME}},
            "ports": [{"name": "https", "port": _PORT, "protocol": "TCP"}],
            "endpoints": [{"addresses": [address]}],
        },
        {
            **{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": _NAME}},
            "rules": [reads],
        },
        {
            **{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding"},
            **{"metadata": {"name": _NAME}, "roleRef": role, "subjects": [anonymous]},
        },
        {
            **{"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": API}},
            "spec": api,
        },
    ]
