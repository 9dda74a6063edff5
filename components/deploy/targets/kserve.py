"""KServe's InferenceService: replaced as KServe does it, with readiness as the only evidence."""

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
    Change,
    State,
    annotate,
    image_of,
    is_observed,
    is_ready,
    remembered,
    running,
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


class InferenceServiceTarget:
    """KServe's InferenceService."""

    resource = "inferenceservices"
    judged = False

    def selector(self, name: str) -> str:
        """What selects an InferenceService's pods."""
        return f"{_PODS}={name}"

    def made(self, policy: Policy, name: str, *, image: str) -> list[tuple[str, Object]]:
        """The InferenceService, which makes its Services itself."""
        return [("inferenceservices", inference_service(policy, name, image=image))]

    def template(self, found: Object) -> Object:
        """What its predictor's pods are made from, as a pod template."""
        spec = {key: value for key, value in found["spec"]["predictor"].items() if key not in _ITS_OWN}
        metadata = {key: dict(found["metadata"].get(key) or {}) for key in ("labels", "annotations")}
        return {"metadata": metadata, "spec": spec}

    def served(self, cluster: Cluster, found: Object, *, changing: bool) -> Object | None:  # noqa: ARG002 - it says it all
        """The pods of a ready service; while it is changed, those that it says served before."""
        if changing:
            return remembered(found)
        return self.template(found) if _is_ready(found) else None

    def strategy(self, policy: Policy, name: str, *, found: Object, plain: bool) -> dict[str, Any]:  # noqa: ARG002 - see `Target`
        """What the service says itself, as its predictor's deploymentStrategy."""
        return {}

    def prepare(self, found: Object, change: Change) -> list[Operation]:  # noqa: ARG002 - see `Target`
        """Nothing."""
        return []

    def change(self, found: Object, change: Change) -> list[Operation]:
        """The image, and what was there before to go back to."""
        annotations = change.annotations() | {PREVIOUS: json.dumps(change.previous)}
        containers = found["spec"]["predictor"]["containers"]
        return [
            *set_image("/spec/predictor", containers, image=change.image),
            *annotate(found["metadata"].get("annotations"), "/metadata/annotations", annotations=annotations),
        ]

    def restore(self, found: Object, template: Object | None, *, reason: str) -> list[Operation]:
        """The predictor's pods as they were; where there were none, it stays as it is, which KServe sends nothing."""
        said = annotate(found["metadata"].get("annotations"), "/metadata/annotations", annotations={UNDONE: reason})
        if template is None:
            return said
        kept = {key: value for key, value in found["spec"]["predictor"].items() if key in _ITS_OWN}
        return [*said, {"op": "replace", "path": "/spec/predictor", "value": kept | template["spec"]}]

    def abort(self, cluster: Cluster, name: str) -> None:
        """Nothing: KServe sends traffic to ready pods only, and what is put back turns the traffic back."""

    def state(self, found: Object, pods: Sequence[Object]) -> State:
        """Where it is: ready, with no pod of another image any more; while pods are replaced it is called ready too."""
        image = image_of(self.template(found))
        mine, going = running(pods, image), [one for one in pods if "deletionTimestamp" not in one["metadata"]]
        progress = f"{sum(map(is_ready, mine))} of {len(mine)} new pods ready"
        if _is_ready(found) and mine and len(mine) == len(going) and all(map(is_ready, mine)):
            return State("healthy", progress, "", mine)
        model = (found.get("status") or {}).get("modelStatus") or {}
        if is_observed(found) and model.get("transitionStatus") in {"BlockedByFailedLoad", "InvalidSpec"}:
            said = (model.get("lastFailureInfo") or {}).get("message", "")
            return State("failed", progress, f"{model['transitionStatus']} {said}".strip(), mine)
        return State("progressing", progress, "", mine)


def _is_ready(found: Object) -> bool:
    conditions = {one["type"]: one["status"] for one in (found.get("status") or {}).get("conditions", ())}
    return is_observed(found) and conditions.get("Ready") == "True"
