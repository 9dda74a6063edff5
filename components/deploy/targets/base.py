"""What a version is rolled out on: the three kinds of objects as one, read and changed as plain data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError
from modelway.components.deploy.cluster import Cluster, Object, Operation

PREFIX = "modelway.io/"
MODEL, VERSION, RUN = f"{PREFIX}model", f"{PREFIX}version", f"{PREFIX}run"
PREVIOUS_IMAGE, PREVIOUS, UNDONE, REPLICAS = (
    f"{PREFIX}previous-image",
    f"{PREFIX}previous",
    f"{PREFIX}undone",
    f"{PREFIX}replicas",
)
_CONTAINERS = ("server", "kserve-container")


@dataclass(frozen=True)
class State:
    """Where a rollout is.

    Attributes:
        phase: ``healthy``: what the object asks for is what serves, whole; ``failed``: it will not come to that.
        progress: How far it is, in a line.
        reason: Why it has failed, as its controller says it.
        pods: The pods of the version that the object asks for.
        analyses: The names of the AnalysisRuns that judge it.
    """

    phase: Literal["progressing", "healthy", "failed"]
    progress: str
    reason: str = ""
    pods: tuple[Object, ...] = ()
    analyses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """What an object is changed to.

    Attributes:
        model: The registered model's name.
        version: Its version.
        image: The version's image by digest.
        run: The run that does it.
        previous: The pod template that serves until then; None if none does.
        strategy: The Rollout's strategy.
        progress_deadline_seconds: Without progress for so long, it has failed.
    """

    model: str
    version: str
    image: str
    run: str
    previous: Object | None
    strategy: Mapping[str, Any]
    progress_deadline_seconds: int

    def annotations(self) -> dict[str, str]:
        """What the object says of the change."""
        before = "" if self.previous is None else image_of(self.previous)
        return {MODEL: self.model, VERSION: self.version, RUN: self.run, PREVIOUS_IMAGE: before, UNDONE: ""}


class Target(Protocol):
    """One kind of object that versions are rolled out on."""

    resource: str
    judged: bool  # whether something but the pods' readiness is looked at

    def selector(self, name: str) -> str:
        """What selects an object's pods."""

    def made(self, policy: Policy, name: str, *, image: str) -> list[tuple[str, Object]]:
        """All that is made where nothing is there yet, each by its resource."""

    def template(self, found: Object) -> Object:
        """The pod template that an object asks for."""

    def served(self, cluster: Cluster, found: Object, *, changing: bool) -> Object | None:
        """The pod template that serves, whole; None if none ever did.

        Args:
            cluster: Where it is.
            found: The object.
            changing: Whether a change of ours is under way, so that what serves is not what the object asks for.
        """

    def strategy(self, policy: Policy, name: str, *, found: Object, plain: bool) -> dict[str, Any]:
        """How pods are replaced: by the policy, or plainly, one by one and unwatched, to go back in a hurry."""

    def prepare(self, found: Object, change: Change) -> list[Operation]:
        """What has to be changed, and to have come to rest, before the change itself; often nothing."""

    def change(self, found: Object, change: Change) -> list[Operation]:
        """The patch that begins a change."""

    def restore(self, found: Object, template: Object | None, *, reason: str) -> list[Operation]:
        """The patch that undoes a change: back to a pod template; None: nothing is to serve."""

    def abort(self, cluster: Cluster, name: str) -> None:
        """Turns all traffic back to what is stable, where the kind knows that."""

    def state(self, found: Object, pods: Sequence[Object]) -> State:
        """Where it is."""


def container(containers: Sequence[Object]) -> int:
    """Which of some containers is the server.

    Raises:
        ModelwayError: it cannot be told.
    """
    named = [index for index, one in enumerate(containers) if one["name"] in _CONTAINERS]
    if len(named) == 1 or len(containers) == 1:
        return named[0] if named else 0
    names = ", ".join(str(one["name"]) for one in containers)
    raise ModelwayError(
        f"which container is the server cannot be told from {names}", value=names, remedy="name it `server`"
    )


def image_of(template: Object) -> str:
    """The image of a pod template's server."""
    containers = template["spec"]["containers"]
    return str(containers[container(containers)]["image"])


def version_of(template: Object) -> str:
    """The version that a pod template is of; empty if it does not say."""
    return str((template["metadata"].get("annotations") or {}).get(VERSION, ""))


def set_image(path: str, containers: Sequence[Object], *, image: str) -> list[Operation]:
    """Sets the server's image, in an object that still has its containers in this order."""
    index = container(containers)
    return [
        {"op": "test", "path": f"{path}/containers/{index}/name", "value": containers[index]["name"]},
        {"op": "replace", "path": f"{path}/containers/{index}/image", "value": image},
    ]


def annotate(present: Mapping[str, Any] | None, path: str, *, annotations: Mapping[str, str]) -> list[Operation]:
    """Adds annotations one by one, so that those that others write meanwhile stay.

    Args:
        present: The annotations that are there.
        path: Where they are, as JSON pointers name it.
        annotations: Those to add.
    """
    first = [] if present else [{"op": "add", "path": path, "value": {}}]
    keys = {key: key.replace("~", "~0").replace("/", "~1") for key in annotations}
    return first + [{"op": "add", "path": f"{path}/{keys[key]}", "value": annotations[key]} for key in annotations]


def annotation(found: Object, key: str) -> str:
    """An object's annotation; empty if it has none."""
    return str((found["metadata"].get("annotations") or {}).get(key, ""))


def is_stopped(found: Object) -> bool:
    """Whether an object asks for no pods at all."""
    return bool(found["spec"].get("replicas", 1) == 0)


def scale_down(found: Object) -> list[Operation]:
    """Stops all pods of an object, and keeps how many it asked for."""
    asked = found["spec"].get("replicas", 1)
    kept = annotate(found["metadata"].get("annotations"), "/metadata/annotations", annotations={REPLICAS: str(asked)})
    return [{"op": "add", "path": "/spec/replicas", "value": 0}, *kept] if asked else []


def scale_up(found: Object) -> list[Operation]:
    """Starts as many pods as an object asked for before it was stopped."""
    if not is_stopped(found):
        return []
    return [{"op": "add", "path": "/spec/replicas", "value": int(annotation(found, REPLICAS) or 1)}]


def new_version(found: Object, template: Object, *, change: Change, annotations: Mapping[str, str]) -> list[Operation]:
    """Sets a version's image in an object with a pod template, with the strategy to get there by, and starts its pods.

    Args:
        found: The object.
        template: Its pod template.
        change: What it is changed to.
        annotations: What the object says of it.
    """
    return [
        {"op": "add", "path": "/spec/strategy", "value": dict(change.strategy)},
        {"op": "add", "path": "/spec/progressDeadlineSeconds", "value": change.progress_deadline_seconds},
        *set_image("/spec/template/spec", template["spec"]["containers"], image=change.image),
        *annotate(
            template["metadata"].get("annotations"),
            "/spec/template/metadata/annotations",
            annotations={VERSION: change.version},
        ),
        *annotate(found["metadata"].get("annotations"), "/metadata/annotations", annotations=annotations),
        *scale_up(found),
    ]


def put_back(found: Object, template: Object | None, *, reason: str) -> list[Operation]:
    """Puts an object's pod template back, or stops its pods where there is none; and says why."""
    said = annotate(found["metadata"].get("annotations"), "/metadata/annotations", annotations={UNDONE: reason})
    if template is None:
        return [*said, *scale_down(found)]
    return [*said, {"op": "replace", "path": "/spec/template", "value": template}]


def is_observed(found: Object) -> bool:
    """Whether an object's status is of what it asks for now."""
    observed = (found.get("status") or {}).get("observedGeneration", 0)
    return bool(observed >= found["metadata"].get("generation", 1))


def remembered(found: Object) -> Object | None:
    """The pod template that an object says served before its last change."""
    kept: Object | None = json.loads(annotation(found, PREVIOUS) or "null")
    return kept


def is_ready(pod: Object) -> bool:
    """Whether a pod is ready and stays."""
    conditions = pod.get("status", {}).get("conditions", ())
    ready = any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def with_label(pods: Iterable[Object], label: str, *, value: str) -> tuple[Object, ...]:
    """The pods that carry a label, without those that are going."""
    return tuple(
        pod
        for pod in pods
        if (pod["metadata"].get("labels") or {}).get(label) == value and "deletionTimestamp" not in pod["metadata"]
    )


def running(pods: Iterable[Object], image: str) -> tuple[Object, ...]:
    """The pods whose server is of an image, without those that are going."""
    return tuple(pod for pod in pods if "deletionTimestamp" not in pod["metadata"] and image_of(pod) == image)
