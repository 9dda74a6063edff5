"""The rehearsal of a rollback: the version that serves is pulled and started once more, beside the serving pods."""

from __future__ import annotations

import copy
import secrets
import time

from modelway.components.core.errors import ModelwayError, UnavailableError
from modelway.components.deploy.cluster import Cluster, Object
from modelway.components.deploy.diagnosis import pod_diagnosis, pod_problems, server_status
from modelway.components.deploy.room import no_room, refused_by_quota, shortage_of
from modelway.components.deploy.targets.base import is_ready, server_index

_POLL_SECONDS = 1.0
_PURPOSE = " for the rehearsal of the rollback"
_LABEL = "app.kubernetes.io/name"
_HOPELESS = ("ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError")


def rehearse_rollback(cluster: Cluster, name: str, *, template: Object, seconds: float) -> tuple[str, ...]:
    """Starts one more pod of the template that serves, and deletes it again.

    Its image is pulled even where a node has it. No Service sends it requests and nothing scrapes it; the rehearsal
    succeeds once its readiness probe does.

    Returns:
        Why the rollback would not work; empty if it would.

    Raises:
        NoRoomError: there is no room for one more pod, so that nothing is known.
    """
    label = f"{name}-rehearsal"
    for leftover in cluster.find("pods", f"{_LABEL}={label}"):
        cluster.delete("pods", leftover["metadata"]["name"])
    body = rehearsal_pod(template, label)
    try:
        pod = cluster.create("pods", body)["metadata"]["name"]
    except ModelwayError as error:
        if shortage := refused_by_quota(body, error.message):
            raise no_room(cluster, shortage, purpose=_PURPOSE) from error
        raise
    try:
        return _wait_ready(cluster, pod, deadline=time.monotonic() + seconds)
    finally:
        cluster.delete("pods", pod)


def rehearsal_pod(template: Object, label: str) -> Object:
    """The rehearsal pod of a template: it starts once, and gets no requests but its probe's.

    Its name label is another one than Services and monitoring select.
    """
    metadata, spec = copy.deepcopy(template["metadata"]), copy.deepcopy(template["spec"])
    annotations = metadata.get("annotations") or {}
    spec.pop("topologySpreadConstraints", None)
    spec["restartPolicy"] = "Never"
    spec["containers"][server_index(spec["containers"])]["imagePullPolicy"] = "Always"
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


def _wait_ready(cluster: Cluster, name: str, *, deadline: float) -> tuple[str, ...]:
    problem, shortage = "it was never observed", None
    while time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        try:
            pod = cluster.get("pods", name)
        except UnavailableError as error:
            problem = error.message
            continue
        if pod is None:
            return ("the pod was deleted by something else",)
        if is_ready(pod):
            return ()
        shortage = shortage_of([pod])
        problem = pod_problems([pod]).get(name, "it is not ready")
        if _has_ended(pod) or problem.startswith(_HOPELESS):
            return tuple(pod_diagnosis(cluster, [pod]) or [problem])
    if shortage is not None:
        raise no_room(cluster, shortage, purpose=_PURPOSE)
    return (f"it was not ready in time: {problem}",)


def _has_ended(pod: Object) -> bool:
    """Whether a pod's server has ended, which is not restarted; a sidecar may run on."""
    ended = "terminated" in (server_status(pod).get("state") or {})
    return ended or pod.get("status", {}).get("phase") in {"Failed", "Succeeded"}
