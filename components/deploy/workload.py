"""One model's place in a cluster: changed, followed until it is whole or has failed, and put back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError, UnavailableError
from modelway.components.deploy.analysis import analysis_templates, prometheus_address
from modelway.components.deploy.cluster import Cluster, Object, Operation
from modelway.components.deploy.diagnosis import described, measured, pod_problems, reasons
from modelway.components.deploy.smoke import SmokeTraffic
from modelway.components.deploy.targets.base import MODEL, VERSION, Change, State, Target, annotation, image_of, running
from modelway.components.deploy.targets.deployment import DeploymentTarget
from modelway.components.deploy.targets.kserve import InferenceServiceTarget
from modelway.components.deploy.targets.rollout import RolloutTarget

_POLL_SECONDS = 2.0
_TARGETS: dict[str, Target] = {
    "rollout": RolloutTarget(),
    "deployment": DeploymentTarget(),
    "kserve": InferenceServiceTarget(),
}


@dataclass(frozen=True)
class Site:
    """One model's place in a cluster.

    Attributes:
        cluster: The namespace.
        name: The name of the model's objects.
        policy: How it is rolled out and judged.
        progress: Takes a line whenever there is something to tell.
    """

    cluster: Cluster
    name: str
    policy: Policy
    progress: Callable[[str], None]

    @property
    def target(self) -> Target:
        """The kind of object that is rolled out on."""
        return _TARGETS[self.policy.deployment.target]

    def found(self, model: str) -> Object | None:
        """The model's object; None if it is not there yet.

        Raises:
            ModelwayError: it is another model's.
        """
        found = self.cluster.get(self.target.resource, self.name)
        if found is not None and annotation(found, MODEL) not in {"", model}:
            raise ModelwayError(
                f"{self.name} in {self.cluster.namespace} serves another model, {annotation(found, MODEL)}",
                value=model,
                remedy="name the models so that they differ in letters and digits, or use another namespace",
            )
        return found

    def image(self, found: Object) -> str:
        """The image that an object asks for."""
        return image_of(self.target.template(found))

    def state(self, found: Object) -> State:
        """Where an object is."""
        return self.target.state(found, self.cluster.find("pods", self.target.selector(self.name)))

    def patch(self, operations: list[Operation]) -> None:
        """Changes the object, if there is something to change."""
        if operations:
            self.cluster.patch(self.target.resource, self.name, operations=operations)

    def begin(self, found: Object | None, change: Change) -> None:
        """Makes or changes the object, with what judges it.

        Raises:
            ModelwayError: the cluster refuses it; nothing that serves was changed.
        """
        if self.target.judged:
            for template in analysis_templates(self.policy, self.name, prometheus=prometheus_address()):
                self._apply("analysistemplates", template)
        if found is None:
            for resource, body in self.target.made(self.policy, self.name, image=change.image):
                if resource == self.target.resource:
                    self.cluster.create(resource, _marked(body, change))
                elif self.cluster.get(resource, body["metadata"]["name"]) is None:
                    self.cluster.create(resource, body)
            return
        if first := self.target.prepare(found, change):
            self.patch(first)
            if not self.settle(self.policy.deployment.progress_deadline_seconds):
                raise ModelwayError(
                    f"{self.name} did not come to rest with the strategy {self.policy.deployment.strategy}",
                    key="deployment.strategy",
                    remedy=f"see `kubectl argo rollouts get rollout {self.name} -n {self.cluster.namespace}`",
                )
        self.patch(self.target.change(found, change))

    def follow(self, image: str, seconds: float, *, smoke: SmokeTraffic | None = None) -> tuple[str, ...]:
        """Follows a change until it is whole or has failed.

        Args:
            image: The image that is rolled out.
            seconds: How long it may take.
            smoke: What sends requests to the new pods, and judges their answers; None: others do.

        Returns:
            Why it has failed; empty if all that serves is of the image.
        """
        deadline, said, failed = time.monotonic() + seconds, "", False
        problems: dict[str, str] = {}
        seen: list[str] = []
        analyses: dict[str, None] = {}  # an aborted Rollout does not say any more which they were
        while True:
            try:
                found = self._object()
                if self.image(found) != image:
                    return (f"{self.name} was changed by something else meanwhile, to {self.image(found)}",)
                state = self.state(found)
                analyses |= dict.fromkeys(state.analyses)
                line = ", ".join([state.progress, *self._measured(state)])
                if (now := pod_problems(state.pods)) and now != problems:
                    problems, seen = now, described(self.cluster, state.pods)
                if smoke is not None:
                    smoke.aim(running(state.pods, image) if state.phase != "failed" else ())
                    if failures := smoke.failures():
                        return (*failures, *seen)
                if state.phase == "healthy" and (smoke is None or smoke.enough):
                    self.progress(line)
                    return ()
                if state.phase == "failed" and failed:  # seen twice: a status may be of just before
                    why = reasons(self.cluster, self.name, state=replace(state, analyses=tuple(analyses)), pods=seen)
                    return (*why, *(smoke.notes() if smoke is not None else ()))
                failed = state.phase == "failed"
                if time.monotonic() > deadline:
                    return (f"it did not end within {seconds:,.0f} s, at {line}", *seen)
            except UnavailableError as error:
                if time.monotonic() > deadline:
                    raise
                line = error.message
            if line != said:
                self.progress(line)
            said = line
            time.sleep(_POLL_SECONDS)

    def undo(self, image: str, template: Object | None, *, reason: str) -> bool:
        """Puts back what served before, unless something else has changed the object meanwhile.

        Args:
            image: The image that was rolled out.
            template: The pod template that served before; None: none did, and the pods are stopped.
            reason: Why.

        Returns:
            Whether what served before is whole again.
        """
        found = self._object()
        if self.image(found) == image:
            if template is not None:
                self.target.abort(self.cluster, self.name)
            self.patch(self.target.restore(found, template, reason=reason))
        return template is None or self.settle(self.policy.deployment.progress_deadline_seconds)

    def settle(self, seconds: float) -> bool:
        """Waits until the object is whole; False if it is not in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.state(self._object()).phase == "healthy":
                return True
            time.sleep(_POLL_SECONDS / 2)
        return False

    def _object(self) -> Object:
        found = self.cluster.get(self.target.resource, self.name)
        if found is None:
            raise ModelwayError(
                f"{self.cluster.namespace}/{self.target.resource}/{self.name} is gone",
                remedy="see who removed it, and run again",
            )
        return found

    def _measured(self, state: State) -> list[str]:
        runs = (self.cluster.get("analysisruns", name) for name in state.analyses)
        return list(dict.fromkeys(line for run in runs if run is not None for line in measured(run)))

    def _apply(self, resource: str, body: Object) -> None:
        name = body["metadata"]["name"]
        if self.cluster.get(resource, name) is None:
            self.cluster.create(resource, body)
        else:
            self.cluster.patch(resource, name, operations=[{"op": "replace", "path": "/spec", "value": body["spec"]}])


def _marked(body: Object, change: Change) -> Object:
    """An object with what it says of the change that makes it."""
    metadata = body["metadata"]
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **change.annotations()}
    if "template" in body["spec"]:
        pods = body["spec"]["template"]["metadata"]
        pods["annotations"] = {**(pods.get("annotations") or {}), VERSION: change.version}
    return body
