"""The way back, tried before it is needed: the version that serves is pulled, started and asked once more, aside."""

from __future__ import annotations

import copy
import secrets
import time

from modelway.components.core.errors import UnavailableError
from modelway.components.deploy.cluster import Cluster, Object
from modelway.components.deploy.diagnosis import described, pod_problems
from modelway.components.deploy.targets.base import container, is_ready

_POLL_SECONDS = 1.0
_LABEL = "app.kubernetes.io/name"
_HOPELESS = ("ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError")


def rehearse(cluster: Cluster, name: str, *, template: Object, seconds: float) -> tuple[str, ...]:
    """Starts one pod of what serves now, beside what serves, and removes it again.

    Its image is pulled even where a node has it. No Service sends it anything and nothing scrapes it; its readiness
    probe is the question that it has to answer.

    Args:
        cluster: Where it serves.
        name: The name of the model's objects.
        template: The pod template that serves.
        seconds: How long it may take to get ready.

    Returns:
        Why the way back does not work; empty if it does.
    """
    label = f"{name}-rehearsal"
    for left in cluster.find("pods", f"{_LABEL}={label}"):
        cluster.delete("pods", left["metadata"]["name"])
    body = rehearsal_pod(template, label)
    pod = cluster.create("pods", body)["metadata"]["name"]
    try:
        return _waited(cluster, pod, deadline=time.monotonic() + seconds)
    finally:
        cluster.delete("pods", pod)


def rehearsal_pod(template: Object, label: str) -> Object:
    """A pod as a template makes it, by another name: it starts once, and answers nobody but its probe.

    Args:
        template: The pod template.
        label: The name that it is labelled with, in place of the one that Services and monitoring look for.
    """
    metadata, spec = copy.deepcopy(template["metadata"]), copy.deepcopy(template["spec"])
    annotations = metadata.get("annotations") or {}
    spec.pop("topologySpreadConstraints", None)
    spec["restartPolicy"] = "Never"
    spec["containers"][container(spec["containers"])]["imagePullPolicy"] = "Always"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{label}-{secrets.token_hex(3)}",
            "labels": {**(metadata.get("labels") or {}), _LABEL: label},
            "annotations": {key: text for key, text in annotations.items() if not key.startswith("prometheus.io/")},
        },
        "spec": spec,
    }


def _waited(cluster: Cluster, name: str, *, deadline: float) -> tuple[str, ...]:
    problem = "it was never seen"
    while time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        try:
            pod = cluster.get("pods", name)
        except UnavailableError as error:
            problem = error.message
            continue
        if pod is None:
            return ("the pod was removed by something else",)
        if is_ready(pod):
            return ()
        problem = pod_problems([pod]).get(name, "it is not ready")
        if pod.get("status", {}).get("phase") in {"Failed", "Succeeded"} or problem.startswith(_HOPELESS):
            return tuple(described(cluster, [pod]) or [problem])
    return (f"it was not ready in time: {problem}",)
