"""Kubernetes' own Deployment: replaced pod by pod, with the pods' readiness as the only evidence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError
from modelway.components.deploy.cluster import Cluster, Object, Operation
from modelway.components.deploy.objects import deployment, services
from modelway.components.deploy.targets.base import (
    PREVIOUS,
    Change,
    State,
    image_of,
    is_observed,
    is_ready,
    is_stopped,
    new_version,
    put_back,
    remembered,
    running,
)


class DeploymentTarget:
    """Kubernetes' Deployment."""

    resource = "deployments"
    judged = False

    def selector(self, name: str) -> str:
        """What selects a Deployment's pods."""
        return f"app.kubernetes.io/name={name}"

    def made(self, policy: Policy, name: str, *, image: str) -> list[tuple[str, Object]]:
        """The Deployment with its Services."""
        return [*(("services", one) for one in services(name)), ("deployments", deployment(policy, name, image=image))]

    def template(self, found: Object) -> Object:
        """The pod template that the Deployment asks for."""
        return dict(found["spec"]["template"])

    def served(self, cluster: Cluster, found: Object, *, changing: bool) -> Object | None:  # noqa: ARG002 - it says it all
        """The template of a whole Deployment; while it is changed, the one that it says served before.

        Raises:
            ModelwayError: it is being changed by something else.
        """
        if changing:
            return remembered(found)
        if is_stopped(found) or not (found.get("status") or {}).get("availableReplicas"):
            return None
        if _is_whole(found):
            return self.template(found)
        raise ModelwayError(
            f"the Deployment {found['metadata']['name']} is being changed by something else",
            remedy="wait until it is whole (`kubectl rollout status`), then run again",
        )

    def strategy(self, policy: Policy, name: str, *, found: Object, plain: bool) -> dict[str, Any]:  # noqa: ARG002 - see `Target`
        """One by one, none before another is ready."""
        return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}

    def prepare(self, found: Object, change: Change) -> list[Operation]:  # noqa: ARG002 - see `Target`
        """Nothing."""
        return []

    def change(self, found: Object, change: Change) -> list[Operation]:
        """The image, and what was there before to go back to."""
        annotations = change.annotations() | {PREVIOUS: json.dumps(change.previous)}
        return new_version(found, self.template(found), change=change, annotations=annotations)

    def restore(self, found: Object, template: Object | None, *, reason: str) -> list[Operation]:
        """The template that served before."""
        return put_back(found, template, reason=reason)

    def abort(self, cluster: Cluster, name: str) -> None:
        """Nothing: the template that is put back turns the traffic back."""

    def state(self, found: Object, pods: Sequence[Object]) -> State:
        """Where it is, as `kubectl rollout status` reads it."""
        mine = running(pods, image_of(self.template(found)))
        progress = f"{sum(map(is_ready, mine))} of {found['spec'].get('replicas', 1)} new pods ready"
        if is_stopped(found):
            return State("failed", "it is scaled to zero", "it is scaled to zero")
        if _is_whole(found):
            return State("healthy", progress, "", mine)
        for one in (found.get("status") or {}).get("conditions", ()):
            if is_observed(found) and one.get("reason") == "ProgressDeadlineExceeded":
                return State("failed", progress, str(one.get("message", "")), mine)
        return State("progressing", progress, "", mine)


def _is_whole(found: Object) -> bool:
    """Whether all pods are of the present template, and ready."""
    status, asked = found.get("status") or {}, found["spec"].get("replicas", 1)
    counts = {status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")}
    return is_observed(found) and counts == {asked}
