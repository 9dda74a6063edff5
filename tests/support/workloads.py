"""Workloads in a namespace of the test's own API server, and pods of theirs."""

from __future__ import annotations

from typing import Any

from pod_proxy import ApiServer
from user_files import minimal_policy

from modelway.components.deploy.targets.base import RolloutChange
from modelway.components.deploy.workload import Workload

IMAGE, NEXT = f"r.example/loans@sha256:{'1' * 64}", f"r.example/loans@sha256:{'2' * 64}"
HEALTHY = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
LATE = {"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "it is late"}


def workload_of(api: ApiServer, **deployment: Any) -> Workload:
    policy = minimal_policy(deployment={"target": "deployment", **deployment})
    return Workload(api.cluster(), "loans", policy, progress=str)


def change(image: str, previous_template: dict[str, Any] | None = None) -> RolloutChange:
    return RolloutChange("loans", "2", image, "run-2", previous_template, {"type": "RollingUpdate"}, 60)


def crashing_pod(image: str, restarts: int = 1, *, ready_at: str = "14:36:55") -> dict[str, Any]:
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off"}
    statuses = [{"name": "server", "restartCount": restarts, "state": {"waiting": waiting}}]
    spec = {"containers": [{"name": "server", "image": image}]}
    conditions = [
        {"type": name, "status": status, "lastTransitionTime": f"2026-11-27T{since}Z"}
        for name, status, since in (("Initialized", "True", "14:36:55"), ("Ready", "False", ready_at))
    ]
    status = {"containerStatuses": statuses, "conditions": conditions}
    return {"metadata": {"name": "loans-1"}, "spec": spec, "status": status}


def pod_without_room(image: str) -> dict[str, Any]:
    pod = crashing_pod(image)
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1: full",
    }
    return pod | {"metadata": {"name": "loans-2"}, "status": {"conditions": [condition]}}
