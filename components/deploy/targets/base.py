"""The interface of deploy targets, and what the three kinds share: objects read and patched as plain data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError
from modelway.components.deploy.cluster import Cluster, Object, Operation
from modelway.components.deploy.targets.annotations import (
    MODEL,
    PREVIOUS,
    PREVIOUS_IMAGE,
    PREVIOUS_RUN,
    REPLICAS,
    RUN,
    UNDONE,
    UNDONE_RUN,
    UNDONE_VERSION,
    VERSION,
    annotate,
    annotation,
    run_in_service,
    undone_annotations,
)

_CONTAINERS = ("server", "kserve-container")


@dataclass(frozen=True)
class RolloutState:
    """The state of a rollout.

    Attributes:
        phase: ``healthy``: the object's version serves on all its pods; ``failed``: it will not get there.
        progress: Its progress in one line.
        reason: Why it failed, as its controller reports it.
        pods: The pods of the version that the object is set to.
        analyses: The names of its AnalysisRuns.
        is_waiting: Whether it waits on purpose, for a pause or an analysis, so that missing pods do not hold it up.
        is_alone: Whether the version has passed all and no other has pods, though pods of its own may be missing.
    """

    phase: Literal["progressing", "healthy", "failed"]
    progress: str
    reason: str = ""
    pods: tuple[Object, ...] = ()
    analyses: tuple[str, ...] = ()
    is_waiting: bool = False
    is_alone: bool = False


@dataclass(frozen=True)
class RolloutChange:
    """A change of an object to a version.

    Attributes:
        model: The registered model's name.
        version: Its version.
        image: The version's image by digest.
        run: The run that changes it.
        previous_template: The pod template that serves until then; None if none does.
        strategy: The Rollout's strategy.
        progress_deadline_seconds: A rollout without progress for so long has failed.
    """

    model: str
    version: str
    image: str
    run: str
    previous_template: Object | None
    strategy: Mapping[str, Any]
    progress_deadline_seconds: int

    def annotations(self) -> dict[str, str]:
        """The object's annotations about the change."""
        previous_image = "" if self.previous_template is None else image_of(self.previous_template)
        about = {MODEL: self.model, VERSION: self.version, RUN: self.run, PREVIOUS_IMAGE: previous_image}
        return about | dict.fromkeys((UNDONE, UNDONE_VERSION, UNDONE_RUN), "")


class DeployTarget(Protocol):
    """A kind of object that versions are rolled out on, with defaults for what most of them share."""

    resource: str
    has_analysis: bool = False  # whether it is judged by more than the pods' readiness

    def selector(self, name: str) -> str:
        """The label selector of an object's pods."""
        return f"app.kubernetes.io/name={name}"

    def manifests(self, policy: Policy, name: str, *, image: str) -> list[tuple[str, Object]]:
        """The objects to create where there are none yet, each with its resource."""

    def template(self, obj: Object) -> Object:
        """The pod template that an object is set to."""

    def serving_template(self, cluster: Cluster, obj: Object, *, changing: bool) -> Object | None:
        """The pod template that serves on all pods; None if none ever did.

        Args:
            cluster: The object's namespace.
            obj: The object.
            changing: Whether a change of ours is in progress, so that what serves is not what the object is set to.
        """

    def strategy(self, policy: Policy, name: str, *, obj: Object, immediate: bool) -> dict[str, Any]:
        """How pods are replaced: by the policy, or immediately, without steps and analysis, as a rollback needs."""

    def annotations(self, change: RolloutChange) -> dict[str, str]:
        """The object's annotations about a change, with the template that serves until then."""
        return change.annotations() | {PREVIOUS: json.dumps(change.previous_template)}

    def prepare(self, obj: Object, change: RolloutChange) -> list[Operation]:  # noqa: ARG002 - a default
        """The patch that has to be healthy before the change itself; often empty."""
        return []

    def change(self, obj: Object, change: RolloutChange) -> list[Operation]:
        """The patch that starts a change: the version's image and strategy, with as many replicas as there were."""
        template = self.template(obj)
        operations: list[Operation] = [
            {"op": "add", "path": "/spec/strategy", "value": dict(change.strategy)},
            {"op": "add", "path": "/spec/progressDeadlineSeconds", "value": change.progress_deadline_seconds},
            *set_image("/spec/template/spec", template["spec"]["containers"], image=change.image),
            *annotate(template, {VERSION: change.version}, path="/spec/template"),
            *annotate(obj, self.annotations(change) | {PREVIOUS_RUN: run_in_service(obj, change.previous_template)}),
        ]
        if is_stopped(obj):
            replicas = int(annotation(obj, REPLICAS) or 1)
            operations.append({"op": "add", "path": "/spec/replicas", "value": replicas})
        return operations

    def restore(self, obj: Object, template: Object | None, *, reason: str) -> list[Operation]:
        """The patch that undoes a change, and records why: back to a pod template; None: the pods are stopped."""
        annotations = undone_annotations(obj, template, reason=reason)
        if template is not None:
            return [*annotate(obj, annotations), {"op": "replace", "path": "/spec/template", "value": template}]
        if is_stopped(obj):
            return annotate(obj, annotations)
        replicas = str(obj["spec"].get("replicas", 1))
        scale_down: Operation = {"op": "add", "path": "/spec/replicas", "value": 0}
        return [*annotate(obj, annotations | {REPLICAS: replicas}), scale_down]

    def deadline(self, seconds: int, *, instead_of: int = 0) -> list[Operation]:
        """The patch to another progress deadline of the object's controller.

        Args:
            seconds: The deadline.
            instead_of: The patch applies only while the deadline is this one; 0: whatever it is.
        """
        path = "/spec/progressDeadlineSeconds"
        test: list[Operation] = [{"op": "test", "path": path, "value": instead_of}] if instead_of else []
        return [*test, {"op": "add", "path": path, "value": seconds}]

    def tolerance(self, obj: Object, missing: int) -> list[Operation]:
        """The patch by which so many pods may be missing while pods are replaced, for those that wait for room.

        Nothing where it is so already, or where the object's strategy has no such number.

        Args:
            obj: The object.
            missing: The number; 0: none may be missing, as always but in an undo on a full cluster.
        """
        update = (obj["spec"].get("strategy") or {}).get("rollingUpdate") or {}
        if update.get("maxUnavailable", 0) == missing:
            return []
        return [{"op": "add", "path": "/spec/strategy/rollingUpdate/maxUnavailable", "value": missing}]

    def abort(self, cluster: Cluster, name: str) -> None:  # noqa: ARG002 - a default
        """Sends all traffic to the stable version, where restoring the template alone does not."""
        return

    def state(self, obj: Object, pods: Sequence[Object]) -> RolloutState:
        """The state of the rollout."""

    def client_services(self, obj: Object) -> tuple[str, ...]:
        """The Services by which clients reach the pods; none: those are its controller's, and reach all ready pods."""
        return (str(obj["metadata"]["name"]),)

    def is_undone_by_cluster(self, obj: Object) -> bool:  # noqa: ARG002 - a default
        """Whether the cluster itself has undone the last change, while the object is still set to its version."""
        return False

    def analysis_runs(self, cluster: Cluster, obj: Object) -> list[Object]:  # noqa: ARG002 - a default
        """The AnalysisRuns of the last change, whether the object's status still names them or not."""
        return []


def server_index(containers: Sequence[Object]) -> int:
    """The index of the server among a pod's containers.

    Raises:
        ModelwayError: it is ambiguous.
    """
    indexes = [index for index, container in enumerate(containers) if container["name"] in _CONTAINERS]
    if len(indexes) == 1 or len(containers) == 1:
        return indexes[0] if indexes else 0
    names = ", ".join(str(container["name"]) for container in containers)
    raise ModelwayError(
        f"it is ambiguous which of the containers {names} is the server",
        value=names,
        remedy="name the server's container `server`",
    )


def image_of(template: Object) -> str:
    """The image of a pod template's server."""
    containers = template["spec"]["containers"]
    return str(containers[server_index(containers)]["image"])


def set_image(path: str, containers: Sequence[Object], *, image: str) -> list[Operation]:
    """The patch that sets the server's image; it applies only while the containers keep their order."""
    index = server_index(containers)
    return [
        {"op": "test", "path": f"{path}/containers/{index}/name", "value": containers[index]["name"]},
        {"op": "replace", "path": f"{path}/containers/{index}/image", "value": image},
    ]


def is_stopped(obj: Object) -> bool:
    """Whether an object is scaled to zero."""
    return bool(obj["spec"].get("replicas", 1) == 0)


def is_status_current(obj: Object) -> bool:
    """Whether an object's status is about its current spec."""
    generation = (obj.get("status") or {}).get("observedGeneration", 0)
    return bool(generation >= obj["metadata"].get("generation", 1))


def is_ready(pod: Object) -> bool:
    """Whether a pod is ready and not being deleted."""
    return has_condition(pod, "Ready") and "deletionTimestamp" not in pod["metadata"]


def has_condition(obj: Object, name: str) -> bool:
    """Whether a condition of an object's status is true."""
    conditions = (obj.get("status") or {}).get("conditions", ())
    return any((condition["type"], condition["status"]) == (name, "True") for condition in conditions)


def remaining_pods(pods: Iterable[Object]) -> list[Object]:
    """The pods that are not being deleted."""
    return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]


def pods_of_image(pods: Iterable[Object], image: str) -> tuple[Object, ...]:
    """The pods of an image that are not being deleted."""
    return tuple(pod for pod in remaining_pods(pods) if image_of(pod) == image)


def ready_by_version(pods: Iterable[Object]) -> dict[str, int]:
    """How many pods of each version are ready, by the version that their template names; empty: it names none."""
    return dict(Counter(annotation(pod, VERSION) for pod in pods if is_ready(pod)))


def unschedulable(pods: Iterable[Object]) -> dict[str, str]:
    """Why the scheduler finds no node for pods, in its words, by the pod's name; pods that have a node are left out."""
    unscheduled = ("PodScheduled", "False", "Unschedulable")
    return {
        pod["metadata"]["name"]: str(condition.get("message") or "no node has room for it")
        for pod in remaining_pods(pods)
        for condition in (pod.get("status") or {}).get("conditions") or ()
        if (condition["type"], condition["status"], condition.get("reason")) == unscheduled
    }
