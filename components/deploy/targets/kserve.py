"""The deploy target InferenceService of KServe: replaced as KServe does it, judged by readiness alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelway.components.core.config.policy import Policy
from modelway.components.deploy.cluster import Cluster, Object, Operation
from modelway.components.deploy.objects import inference_service
from modelway.components.deploy.targets.annotations import (
    PREVIOUS,
    PREVIOUS_RUN,
    annotate,
    previous_template,
    run_in_service,
    undone_annotations,
)
from modelway.components.deploy.targets.base import (
    DeployTarget,
    RolloutChange,
    RolloutState,
    has_condition,
    image_of,
    is_ready,
    is_status_current,
    pods_of_image,
    remaining_pods,
    set_image,
)


class InferenceServiceTarget(DeployTarget):
    """KServe's InferenceService."""

    resource = "inferenceservices"

    def selector(self, name: str) -> str:
        """The label selector of an InferenceService's pods."""
        return f"serving.kserve.io/inferenceservice={name}"

    def manifests(self, policy: Policy, name: str, *, image: str) -> list[tuple[str, Object]]:
        """The InferenceService, whose Services KServe creates."""
        return [("inferenceservices", inference_service(policy, name, image=image))]

    def template(self, obj: Object) -> Object:
        """The predictor as a pod template."""
        fields = _pod_fields()
        spec = {key: value for key, value in obj["spec"]["predictor"].items() if key in fields}
        metadata = {key: dict(obj["metadata"].get(key) or {}) for key in ("labels", "annotations")}
        metadata["annotations"].pop(PREVIOUS, None)  # or each template would hold all before it
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
        image = set_image("/spec/predictor", obj["spec"]["predictor"]["containers"], image=change.image)
        return [
            *image,
            *annotate(obj, self.annotations(change) | {PREVIOUS_RUN: run_in_service(obj, change.previous_template)}),
        ]

    def restore(self, obj: Object, template: Object | None, *, reason: str) -> list[Operation]:
        """The patch back to the previous predictor; without one it stays as it is, and KServe sends it no traffic."""
        message = annotate(obj, undone_annotations(obj, template, reason=reason))
        if template is None:
            return message
        fields = _pod_fields()
        settings = {key: value for key, value in obj["spec"]["predictor"].items() if key not in fields}
        return [*message, {"op": "replace", "path": "/spec/predictor", "value": settings | template["spec"]}]

    def deadline(self, seconds: int, *, instead_of: int = 0) -> list[Operation]:  # noqa: ARG002 - see `DeployTarget`
        """Nothing: KServe gives no rollout up."""
        return []

    def tolerance(self, obj: Object, missing: int) -> list[Operation]:
        """The patch by which so many pods may be missing: the whole strategy, which the predictor may not have yet."""
        present = obj["spec"]["predictor"].get("deploymentStrategy") or {}
        update = present.get("rollingUpdate") or {}
        if update.get("maxUnavailable", 0) == missing:
            return []
        value = {"type": "RollingUpdate", "rollingUpdate": {**update, "maxUnavailable": missing}}
        return [{"op": "add", "path": "/spec/predictor/deploymentStrategy", "value": value}]

    def state(self, obj: Object, pods: Sequence[Object]) -> RolloutState:
        """The state of the rollout: healthy once it is ready without pods of another image."""
        mine = pods_of_image(pods, image_of(self.template(obj)))
        progress = f"{sum(map(is_ready, mine))} of {len(mine)} new pods ready"
        if _is_ready(obj) and mine and len(mine) == len(remaining_pods(pods)) and all(map(is_ready, mine)):
            return RolloutState("healthy", progress, "", mine)
        model = (obj.get("status") or {}).get("modelStatus") or {}
        if is_status_current(obj) and model.get("transitionStatus") in {"BlockedByFailedLoad", "InvalidSpec"}:
            message = (model.get("lastFailureInfo") or {}).get("message", "")
            return RolloutState("failed", progress, f"{model['transitionStatus']} {message}".strip(), mine)
        return RolloutState("progressing", progress, "", mine)

    def client_services(self, obj: Object) -> tuple[str, ...]:  # noqa: ARG002 - see `DeployTarget`
        """None that is known: KServe makes the Services, and routes by itself."""
        return ()


def _is_ready(obj: Object) -> bool:
    return is_status_current(obj) and has_condition(obj, "Ready")


def _pod_fields() -> set[str]:
    """The fields of a pod's spec; a predictor has them, and settings of KServe beside them."""
    from kubernetes.client import V1PodSpec  # type: ignore[import-untyped]

    return set(V1PodSpec.attribute_map.values())
