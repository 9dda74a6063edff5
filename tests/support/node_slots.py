"""A node that is full for one workload alone: an extended resource, of which each of its pods needs one."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kube import eventually, kubectl, kubectl_json

_RESOURCES = "/spec/template/spec/containers/0/resources"


@dataclass(frozen=True)
class Slots:
    """The extended resource of the cluster's one node; other pods need none, so that nobody else is disturbed."""

    name: str = field(default_factory=lambda: f"modelway.io/slots-{uuid.uuid4().hex[:6]}")

    def set(self, count: int) -> None:
        """Gives the node so many; pods that have one keep it."""
        self._patch({"op": "add", "path": self._path, "value": str(count)})
        eventually(lambda: self._allocatable() == str(count), "the node has them")

    def remove(self) -> None:
        """Takes the resource off the node."""
        self._patch({"op": "remove", "path": self._path})

    def _allocatable(self) -> str:
        (node,) = kubectl_json("get", "nodes")["items"]
        return str(node["status"]["allocatable"].get(self.name, ""))

    @property
    def _path(self) -> str:
        return f"/status/capacity/{self.name.replace('/', '~1')}"

    def _patch(self, operation: dict[str, Any]) -> None:
        (node,) = kubectl("get", "nodes", "-o", "name").split()
        kubectl("patch", node, "--subresource=status", "--type=json", "-p", json.dumps([operation]))


@contextmanager
def pods_that_need(slots: Slots, namespace: str, rollout: str) -> Iterator[None]:
    """Makes each pod of a Rollout need a slot, until the end of the block, when there must be enough of them."""
    name = ("-n", namespace, "get", "rollout", rollout)
    (container,) = kubectl_json(*name)["spec"]["template"]["spec"]["containers"]
    resources = container["resources"]
    change_pods_at_once(
        namespace, rollout, {kind: {**resources[kind], slots.name: "1"} for kind in ("requests", "limits")}
    )
    try:
        yield
    finally:
        change_pods_at_once(namespace, rollout, resources)


def change_pods_at_once(namespace: str, rollout: str, resources: dict[str, Any]) -> None:
    """Changes what a Rollout's pods need without its steps and analysis, as an administrator does."""

    def patch(path: str, value: Any, *options: str) -> None:
        operations = json.dumps([{"op": "add", "path": path, "value": value}])
        kubectl("-n", namespace, "patch", "rollout", rollout, "--type=json", "-p", operations, *options)

    def status() -> dict[str, Any]:
        return dict(kubectl_json("-n", namespace, "get", "rollout", rollout)["status"])

    def is_done() -> bool:
        label = f"app.kubernetes.io/name={rollout}"
        pods = kubectl_json("-n", namespace, "get", "pods", "-l", label)["items"]  # those that leave have their room
        return status()["phase"] == "Healthy" and all(pod["metadata"].get("deletionTimestamp") is None for pod in pods)

    patch(_RESOURCES, resources)
    eventually(lambda: status()["currentPodHash"] != status()["stableRS"], "the change is under way")
    patch("/status/promoteFull", True, "--subresource=status")
    eventually(is_done, "the change is rolled out", 120)
