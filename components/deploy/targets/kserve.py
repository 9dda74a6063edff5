"""The deploy target InferenceService of KServe: replaced as KServe does it, judged by readiness alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from modelway.components.core.config.policy import Policy
from modelway.components.deploy.cluster import Cluster, Object, Operation
from modelway.components.deploy.objects import inference_service
from modelway.components.deploy.targets.base import (
    PREVIOUS,
    UNDONE,
    DeployTarget,
    RolloutChange,
    RolloutState,
    annotate_object,
    has_condition,
    image_of,
    is_ready,
    is_status_current,
    pods_of_image,
    previous_template,
    set_image,
)

_PODS = "serving.kserve.io/inferenceservice"
# What KServe adds to a pod's spec in a predictor
_ITS_OWN = {
    "minReplicas",
    "maxReplicas",
    "scaleMetric",
    "scaleMetricType",
    "scaleTarget",
    "autoScaling",
    "deploymentStrategy",
    "canaryTrafficPercent",
    "containerConcurrency",
    "timeout",
    "logger",
    "batcher",
    "labels",
    "annotations",
    "model",
    "workerSpec",
}


class InferenceServiceTarget(DeployTarget):
    """KServe's InferenceService."""

    resource = "inferenceservices"
    has_analysis = False

    def selector(self, name: str) -> str:
        """The label selector of an InferenceService's pods."""
        return f"{_PODS}={name}"

    def manifests(self, policy: Policy, name: str, *, image: str) -> list[tuple[str, Object]]:
        """The InferenceService, whose Services KServe creates."""
        return [("inferenceservices", inference_service(policy, name, image=image))]

    def template(self, obj: Object) -> Object:
        """The predictor as a pod template."""
        spec = {key: value for key, value in obj["spec"]["predictor"].items() if key not in _ITS_OWN}
        metadata = {key: dict(obj["metadata"].get(key) or {}) for key in ("labels", "annotations")}
        return {"metadata": metadata, "spec": spec}

    def serving_template(self, cluster: Cluster, obj: Object, *, changing: bool) -> Object | None:  # noqa: ARG002 - see `DeployTarget`
        """The template of a ready service; while it is changed, the one that its annotation says served before."""
        if changing:
            return previous_template(obj)
        return self.template(obj) if _is_ready(obj) else None

    def strategy(self, policy: Policy, name: str, *, obj: Object, immediate: bool) -> dict[str, Any]:  # noqa: ARG002 - see `DeployTarget`
        """Nothing: the predictor's deploymentStrategy applies."""
        return {}

    def change(self, obj: Object, change: RolloutChange) -> list[Operation]:
        """The patch to the image, which also records the previous template."""
        annotations = change.annotations() | {PREVIOUS: json.dumps(change.previous_template)}
        containers = obj["spec"]["predictor"]["containers"]
        return [
            *set_image("/spec/predictor", containers, image=change.image),
            *annotate_object(obj, annotations),
        ]

    def restore(self, obj: Object, template: Object | None, *, reason: str) -> list[Operation]:
        """The patch back to the previous predictor; without one it stays as it is, and KServe sends it no traffic."""
        message = annotate_object(obj, {UNDONE: reason})
        if template is None:
            return message
        settings = {key: value for key, value in obj["spec"]["predictor"].items() if key in _ITS_OWN}
        return [*message, {"op": "replace", "path": "/spec/predictor", "value": settings | template["spec"]}]

    def state(self, obj: Object, pods: Sequence[Object]) -> RolloutState:
        """The state of the rollout: healthy once it is ready without pods of another image."""
        image = image_of(self.template(obj))
        mine, going = (
            pods_of_image(pods, image),
            [condition for condition in pods if "deletionTimestamp" not in condition["metadata"]],
        )
        progress = f"{sum(map(is_ready, mine))} of {len(mine)} new pods ready"
        if _is_ready(obj) and mine and len(mine) == len(going) and all(map(is_ready, mine)):
            return RolloutState("healthy", progress, "", mine)
        model = (obj.get("status") or {}).get("modelStatus") or {}
        if is_status_current(obj) and model.get("transitionStatus") in {"BlockedByFailedLoad", "InvalidSpec"}:
            message = (model.get("lastFailureInfo") or {}).get("message", "")
            return RolloutState("failed", progress, f"{model['transitionStatus']} {message}".strip(), mine)
        return RolloutState("progressing", progress, "", mine)


def _is_ready(obj: Object) -> bool:
    return is_status_current(obj) and has_condition(obj, "Ready")
