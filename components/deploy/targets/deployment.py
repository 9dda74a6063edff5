"""The deploy target Deployment of Kubernetes: replaced pod by pod, judged by the pods' readiness alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError
from modelway.components.deploy.cluster import Cluster, Object
from modelway.components.deploy.objects import ROLLING_UPDATE, deployment, services
from modelway.components.deploy.targets.annotations import previous_template
from modelway.components.deploy.targets.base import (
    DeployTarget,
    RolloutState,
    image_of,
    is_ready,
    is_status_current,
    is_stopped,
    pods_of_image,
)


class DeploymentTarget(DeployTarget):
    """Kubernetes' Deployment."""

    resource = "deployments"

    def manifests(self, policy: Policy, name: str, *, image: str) -> list[tuple[str, Object]]:
        """The Deployment with its Services."""
        objects = [("services", service) for service in services(name)]
        return [*objects, ("deployments", deployment(policy, name, image=image))]

    def template(self, obj: Object) -> Object:
        """The pod template that the Deployment is set to."""
        return dict(obj["spec"]["template"])

    def serving_template(self, cluster: Cluster, obj: Object, *, changing: bool) -> Object | None:  # noqa: ARG002 - see `DeployTarget`
        """The template of all pods; while it is changed, the one that its annotation says served before.

        The autoscaler may be adding pods, of the same template, or taking some away.

        Raises:
            ModelwayError: it is being changed by something else.
        """
        if changing:
            return previous_template(obj)
        status = obj.get("status") or {}
        if is_stopped(obj) or not status.get("availableReplicas"):
            return None
        if is_status_current(obj) and status.get("replicas") == status.get("updatedReplicas"):
            return self.template(obj)
        raise ModelwayError(
            f"the Deployment {obj['metadata']['name']} is being changed by something else",
            remedy="wait until it is healthy (`kubectl rollout status`), then run again",
        )

    def strategy(self, policy: Policy, name: str, *, obj: Object, immediate: bool) -> dict[str, Any]:  # noqa: ARG002 - see `DeployTarget`
        """One pod at a time, none before another is ready."""
        return ROLLING_UPDATE

    def state(self, obj: Object, pods: Sequence[Object]) -> RolloutState:
        """The state of the rollout, as `kubectl rollout status` reads it."""
        pods_of_version = pods_of_image(pods, image_of(self.template(obj)))
        progress = f"{sum(map(is_ready, pods_of_version))} of {obj['spec'].get('replicas', 1)} new pods ready"
        if is_stopped(obj):
            return RolloutState("failed", "it is scaled to zero", "it is scaled to zero")
        if _is_healthy(obj):
            return RolloutState("healthy", progress, "", pods_of_version)
        for condition in (obj.get("status") or {}).get("conditions", ()):
            if is_status_current(obj) and condition.get("reason") == "ProgressDeadlineExceeded":
                return RolloutState("failed", progress, str(condition.get("message", "")), pods_of_version)
        return RolloutState("progressing", progress, "", pods_of_version)


def _is_healthy(obj: Object) -> bool:
    """Whether all pods are of the current template, and ready."""
    status, replicas = obj.get("status") or {}, obj["spec"].get("replicas", 1)
    counts = {status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")}
    return is_status_current(obj) and counts == {replicas}
