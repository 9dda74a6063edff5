"""A model's workload in a cluster: changes it, follows it until it is healthy or has failed, and undoes changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from modelway.components.core.config.deploy_policy import EnvironmentName
from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import CredentialsError, ModelwayError, UnavailableError
from modelway.components.deploy.analysis import analysis_templates, prometheus_address
from modelway.components.deploy.cluster import Cluster, Object
from modelway.components.deploy.diagnosis import metric_values, pod_diagnosis, pod_problems, rollout_diagnosis
from modelway.components.deploy.smoke import SmokeTraffic
from modelway.components.deploy.targets.base import (
    MODEL,
    RUN,
    VERSION,
    DeployTarget,
    RolloutChange,
    RolloutState,
    annotate,
    annotation,
    image_of,
    pods_of_image,
)
from modelway.components.deploy.targets.deployment import DeploymentTarget
from modelway.components.deploy.targets.kserve import InferenceServiceTarget
from modelway.components.deploy.targets.rollout import RolloutTarget

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

    def image(self, obj: Object) -> str:
        """The image that an object is set to."""
        return image_of(self.target.template(obj))

    def state(self, obj: Object) -> RolloutState:
        """The state of an object's rollout."""
        return self.target.state(obj, self.cluster.find("pods", self.target.selector(self.name)))

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

    def follow(self, image: str, seconds: float, *, smoke: SmokeTraffic | None = None) -> tuple[str, ...]:
        """Follows a rollout until it is healthy or has failed.

        Args:
            image: The image that is rolled out.
            seconds: How long it may take.
            smoke: Sends requests to the new pods and checks their answers; None: they have other traffic.

        Returns:
            Why it failed; empty if everything that serves is of the image.
        """
        deadline, last_line, has_failed = time.monotonic() + seconds, "", False
        problems: dict[str, str] = {}
        diagnosis: list[str] = []
        analyses: dict[str, None] = {}  # an aborted Rollout no longer names them
        while True:
            try:
                obj = self._object()
                if self.image(obj) != image:
                    return (f"{self.name} was changed by something else meanwhile, to {self.image(obj)}",)
                state = self.state(obj)
                analyses |= dict.fromkeys(state.analyses)
                line = ", ".join([state.progress, *self._metric_values(state)])
                if (current := pod_problems(state.pods)) and current != problems:
                    problems, diagnosis = current, pod_diagnosis(self.cluster, state.pods)
                if smoke is not None:
                    smoke.aim(pods_of_image(state.pods, image) if state.phase != "failed" else ())
                    if failures := smoke.failures():
                        return (*failures, *diagnosis)
                if state.phase == "healthy" and (smoke is None or smoke.enough):
                    self.progress(line)
                    return ()
                if state.phase == "failed" and has_failed:  # twice in a row: a status may be slightly out of date
                    state = replace(state, analyses=tuple(analyses) or self._past_analyses(obj))
                    reasons = rollout_diagnosis(self.cluster, self.name, state=state, pods=diagnosis)
                    return (*reasons, *(smoke.notes() if smoke is not None else ()))
                has_failed = state.phase == "failed"
                if time.monotonic() > deadline:
                    return (f"it did not finish within {seconds:,.0f} s: {line}", *diagnosis)
            except UnavailableError as error:
                if time.monotonic() > deadline:
                    raise
                line = error.message
            if line != last_line:
                self.progress(line)
            last_line = line
            time.sleep(_POLL_SECONDS)

    def undo(self, image: str, template: Object | None, *, reason: str) -> bool:
        """Restores what served before, unless something else has changed the object meanwhile.

        Args:
            image: The image that was rolled out.
            template: The pod template that served before; None: none did, and the pods are stopped.
            reason: Why.

        Returns:
            Whether what served before is healthy again.
        """
        obj = self._object()
        if self.image(obj) == image:
            if template is not None:
                self.target.abort(self.cluster, self.name)
            operations = self.target.restore(obj, template, reason=reason)
            self.cluster.patch(self.target.resource, self.name, operations=operations)
        return template is None or self.wait_healthy(self.policy.deployment.progress_deadline_seconds)

    def wait_healthy(self, seconds: float) -> bool:
        """Waits until the object is healthy; returns False if it is not in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.state(self._object()).phase == "healthy":
                return True
            time.sleep(_POLL_SECONDS / 2)
        return False

    def _object(self) -> Object:
        obj = self.cluster.get(self.target.resource, self.name)
        if obj is None:
            raise ModelwayError(
                f"{self.cluster.namespace}/{self.target.resource}/{self.name} was deleted",
                remedy="find out who deleted it, then run again",
            )
        return obj

    def _metric_values(self, state: RolloutState) -> list[str]:
        runs = (self.cluster.get("analysisruns", name) for name in state.analyses)
        return list(dict.fromkeys(line for run in runs if run is not None for line in metric_values(run)))

    def _past_analyses(self, obj: Object) -> tuple[str, ...]:
        """The names of the last change's AnalysisRuns, where the rollout had failed before it was followed."""
        with suppress(CredentialsError):  # of an account whose Role is an older one
            return tuple(run["metadata"]["name"] for run in self.target.analysis_runs(self.cluster, obj))
        return ()

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
