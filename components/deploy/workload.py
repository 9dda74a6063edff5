"""A model's workload in a cluster: changes it, waits for it, and undoes changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelway.components.core.config.deploy_policy import EnvironmentName
from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError, UnavailableError
from modelway.components.deploy.analysis import SCALE_DOWN_SECONDS, analysis_templates, prometheus_address
from modelway.components.deploy.cluster import Cluster, Object
from modelway.components.deploy.restoration import Restoration, pods_to_miss
from modelway.components.deploy.room import no_room, refused_pods, shortage_of
from modelway.components.deploy.targets.annotations import MODEL, RUN, VERSION, annotate, annotation
from modelway.components.deploy.targets.base import DeployTarget, RolloutChange, RolloutState, image_of
from modelway.components.deploy.targets.deployment import DeploymentTarget
from modelway.components.deploy.targets.kserve import InferenceServiceTarget
from modelway.components.deploy.targets.rollout import RolloutTarget

UNDO_DEADLINES = 3  # an undo on a full cluster goes on pod by pod, each of which is progress
_POLL_SECONDS = 2.0
_TARGETS: dict[str, DeployTarget] = {
    "rollout": RolloutTarget(),
    "deployment": DeploymentTarget(),
    "kserve": InferenceServiceTarget(),
}


@dataclass(frozen=True)
class Workload:
    """A model's workload in a namespace of a cluster.

    Attributes:
        cluster: The namespace.
        name: The name of the model's objects.
        policy: Says how versions are rolled out and analysed.
        progress: Called with each line of progress.
    """

    cluster: Cluster
    name: str
    policy: Policy
    progress: Callable[[str], None]

    @property
    def target(self) -> DeployTarget:
        """The kind of object that versions are rolled out on."""
        return _TARGETS[self.policy.deployment.target]

    def get(self, model: str) -> Object | None:
        """The model's object; None if it does not exist yet.

        Raises:
            ModelwayError: it is another model's.
        """
        obj = self.cluster.get(self.target.resource, self.name)
        if obj is not None and annotation(obj, MODEL) not in {"", model}:
            raise ModelwayError(
                f"{self.name} in {self.cluster.namespace} serves another model, {annotation(obj, MODEL)}",
                value=model,
                remedy="name the models so that they differ in letters and digits, or use another namespace",
            )
        return obj

    def object(self) -> Object:
        """The object that has been created.

        Raises:
            ModelwayError: it was deleted meanwhile.
        """
        obj = self.cluster.get(self.target.resource, self.name)
        if obj is None:
            raise ModelwayError(
                f"{self.cluster.namespace}/{self.target.resource}/{self.name} was deleted",
                remedy="find out who deleted it, then run again",
            )
        return obj

    def pods(self) -> list[Object]:
        """All pods of the object, also those that are being deleted."""
        return self.cluster.find("pods", self.target.selector(self.name))

    def image(self, obj: Object) -> str:
        """The image that an object is set to."""
        return image_of(self.target.template(obj))

    def state(self, obj: Object) -> RolloutState:
        """The state of an object's rollout."""
        return self.target.state(obj, self.pods())

    def apply(self, obj: Object | None, change: RolloutChange) -> None:
        """Creates or changes the object, with its analysis.

        Raises:
            ModelwayError: the cluster rejects it; nothing that serves was changed.
        """
        if self.target.has_analysis:
            for body in analysis_templates(self.policy, self.name, prometheus=prometheus_address()):
                self._create_or_replace("analysistemplates", body)
        if obj is None:
            for resource, body in self.target.manifests(self.policy, self.name, image=change.image):
                if resource == self.target.resource:
                    self.cluster.create(resource, _annotated(body, change))
                elif self.cluster.get(resource, body["metadata"]["name"]) is None:
                    self.cluster.create(resource, body)
            return
        if operations := self.target.prepare(obj, change):
            self.cluster.patch(self.target.resource, self.name, operations=operations)
            if not self.wait_healthy(self.policy.deployment.progress_deadline_seconds):
                raise ModelwayError(
                    f"{self.name} did not become healthy with the strategy {self.policy.deployment.strategy}",
                    key="deployment.strategy",
                    remedy=f"see `kubectl argo rollouts get rollout {self.name} -n {self.cluster.namespace}`",
                )
        self.cluster.patch(self.target.resource, self.name, operations=self.target.change(obj, change))

    def take_up(self, obj: Object, run: str) -> None:
        """Notes on the object the run that follows its rollout from now on, where another began it."""
        if annotation(obj, RUN) != run:
            self.cluster.patch(self.target.resource, self.name, operations=annotate(obj, {RUN: run}))

    def wait_healthy(self, seconds: float) -> bool:
        """Waits until the object is healthy; returns False if it is not in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.state(self.object()).phase == "healthy":
                return True
            time.sleep(_POLL_SECONDS / 2)
        return False

    def wait_for_pods(self, obj: Object) -> None:
        """Waits until all pods of what serves are ready, as while the autoscaler adds some.

        Raises:
            NoRoomError: there is no room for them all.
        """
        if self.state(obj).phase == "healthy":
            return
        self.progress(f"waiting for all pods of {self.name}")
        if not self.wait_healthy(self.policy.deployment.progress_deadline_seconds):
            selector = self.target.selector(self.name)
            replica_sets = self.cluster.find("replicasets", selector)
            if (shortage := shortage_of(self.pods(), replica_sets)) is not None:
                raise no_room(self.cluster, shortage)

    def make_room(self, obj: Object, pods: Sequence[Object], *, image: str, most: int) -> None:
        """Lets pods of other images give way where those of an image find no room, so that at most so many miss."""
        refused = refused_pods(self.cluster.find("replicasets", self.target.selector(self.name)), image=image)
        missing = pods_to_miss(pods, image=image, desired=obj["spec"].get("replicas", 1), refused=refused)
        if 0 < missing <= most:
            self.tolerate(obj, missing)

    def tolerate(self, obj: Object, missing: int) -> None:
        """Lets so many pods be missing while pods are replaced."""
        if operations := self.target.tolerance(obj, missing):
            self.cluster.patch(self.target.resource, self.name, operations=operations)

    def undo(self, image: str, template: Object | None, *, reason: str) -> Restoration:
        """Restores what served before, unless something else has changed the object meanwhile.

        Args:
            image: The image that was rolled out.
            template: The pod template that served before; None: none did, and the pods are stopped.
            reason: Why.

        Returns:
            How far the undo came; it is complete unless it says what is missing.
        """
        obj = self.object()
        if self.image(obj) == image:
            if template is not None:
                self.target.abort(self.cluster, self.name)
            operations = self.target.restore(obj, template, reason=reason)
            self.cluster.patch(self.target.resource, self.name, operations=operations)
        return self.wait_restored(template)

    def restoration(self, template: Object | None) -> Restoration:
        """How far an undo is in favour of a pod template; None: nothing is to serve."""
        return self._restoration(self.object(), self.pods(), template)

    def wait_restored(self, template: Object | None) -> Restoration:
        """Waits until a pod template serves alone and whole, and makes room for it; None: until nothing serves.

        It gives up after the policy's progress deadline without progress, and at the latest after `UNDO_DEADLINES` of
        them.
        """
        # Blue-green and routers keep pods for a while to which they send nothing any more.
        limit = self.policy.deployment.progress_deadline_seconds + SCALE_DOWN_SECONDS
        deadline, last = time.monotonic() + limit, time.monotonic() + UNDO_DEADLINES * limit
        restoration, last_line = Restoration(undone=1), ""
        while True:
            try:
                obj, pods = self.object(), self.pods()
                before, restoration = restoration, self._restoration(obj, pods, template)
                if restoration.healthy:
                    self.tolerate(obj, 0)
                    return restoration
                if restoration.progress > before.progress:
                    deadline = min(last, time.monotonic() + limit)
                if template is not None:
                    self.make_room(obj, pods, image=image_of(template), most=len(pods))
                line = restoration.line()
            except UnavailableError as error:
                if time.monotonic() > deadline:
                    raise
                line = error.message
            if time.monotonic() > deadline:
                return restoration
            if line and line != last_line:
                self.progress(f"undoing: {line}")
            last_line = line
            time.sleep(_POLL_SECONDS / 2)

    def _restoration(self, obj: Object, pods: Sequence[Object], template: Object | None) -> Restoration:
        if template is None:
            return Restoration.of(pods, image="", desired=0, healthy=True)
        healthy = self.target.state(obj, pods).phase == "healthy"
        return Restoration.of(pods, image=image_of(template), desired=obj["spec"].get("replicas", 1), healthy=healthy)

    def _create_or_replace(self, resource: str, body: Object) -> None:
        name = body["metadata"]["name"]
        if self.cluster.get(resource, name) is None:
            self.cluster.create(resource, body)
        else:
            self.cluster.patch(resource, name, operations=[{"op": "replace", "path": "/spec", "value": body["spec"]}])


def namespace_of(policy: Policy, environment: EnvironmentName) -> str:
    """The namespace of an environment: the policy's, or else ``modelway-<environment>``."""
    namespace = policy.environments[environment].namespace if environment in policy.environments else None
    return namespace or f"modelway-{environment}"


def _annotated(body: Object, change: RolloutChange) -> Object:
    """An object with the annotations of the change that creates it."""
    metadata = body["metadata"]
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **change.annotations()}
    if "template" in body["spec"]:
        pods = body["spec"]["template"]["metadata"]
        pods["annotations"] = {**(pods.get("annotations") or {}), VERSION: change.version}
    return body
