"""A model's objects in a cluster, of an API server of a test's own."""

from __future__ import annotations

from typing import Any

from pod_proxy import ApiServer

IMAGES = {version: f"r.example/loans@sha256:{version * 64}" for version in ("4", "5")}
HASH, REVISION = "rollouts-pod-template-hash", "rollout.argoproj.io/revision"
ABORTED = "RolloutAborted: Rollout aborted update to revision 5"


def add_pod(api: ApiServer, name: str, version: str, *, ready: bool = True, named: bool = True) -> None:
    metadata = {"name": name, "labels": {"app.kubernetes.io/name": "loans", HASH: f"h{version}"}}
    if named:
        metadata["annotations"] = {"modelway.io/version": version}
    api.objects["pods", name] = {
        "metadata": metadata,
        "spec": {"containers": [{"name": "server", "image": IMAGES[version]}]},
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def add_service(api: ApiServer, name: str = "loans", **labels: str) -> None:
    selector = {"app.kubernetes.io/name": "loans"} | labels
    api.objects["services", name] = {"metadata": {"name": name}, "spec": {"selector": selector}}


def add_rollout(api: ApiServer, version: str, strategy: dict[str, Any] | None = None, **state: Any) -> None:
    annotations = {"modelway.io/version": version, "modelway.io/run": "run-5", REVISION: "5"}
    spec = {"containers": [{"name": "server", "image": IMAGES[version]}]}
    api.objects["rollouts", "loans"] = {
        "metadata": {"name": "loans", "uid": "u", "generation": 4, "annotations": annotations},
        "spec": {
            "replicas": 2,
            "strategy": strategy or {"canary": {}},
            "template": {"metadata": {"annotations": {"modelway.io/version": version}}, "spec": spec},
        },
        "status": {"observedGeneration": "4", "currentPodHash": f"h{version}", "stableRS": "h4", **state},
    }


def add_analysis(api: ApiServer, value: str = "[0.4]") -> None:
    metric = {"name": "error-rate", "successCondition": "len(result) > 0 && !isNaN(result[0]) && result[0] <= 0.02"}
    result = {"name": "error-rate", "phase": "Failed", "measurements": [{"phase": "Failed", "value": value}]}
    api.objects["analysisruns", "loans-h5-5"] = {
        "metadata": {"name": "loans-h5-5", "ownerReferences": [{"uid": "u"}], "annotations": {REVISION: "5"}},
        "spec": {"metrics": [metric]},
        "status": {"phase": "Failed", "metricResults": [result]},
    }


def add_aborted_rollout(api: ApiServer) -> None:
    """Argo has undone version 5, and two pods of version 4 serve."""
    add_rollout(api, "5", abort=True, phase="Degraded", message=ABORTED)
    add_service(api)
    for name in ("a", "b"):
        add_pod(api, name, "4")
