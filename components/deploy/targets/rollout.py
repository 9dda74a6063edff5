"""Argo Rollouts: canary, blue-green and rolling, judged by the policy's analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError
from modelway.components.deploy.analysis import strategy as policy_strategy
from modelway.components.deploy.cluster import Cluster, Object, Operation
from modelway.components.deploy.objects import rollout, services
from modelway.components.deploy.targets.base import (
    Change,
    State,
    is_ready,
    is_stopped,
    new_version,
    put_back,
    with_label,
)

_HASH = "rollouts-pod-template-hash"
_JUDGING = ("analysis", "prePromotionAnalysis", "postPromotionAnalysis", "steps")


class RolloutTarget:
    """Argo Rollouts' Rollout."""

    resource = "rollouts"
    judged = True

    def selector(self, name: str) -> str:
        """What selects a Rollout's pods."""
        return f"app.kubernetes.io/name={name}"

    def made(self, policy: Policy, name: str, *, image: str) -> list[tuple[str, Object]]:
        """The Rollout with its Services."""
        return [*(("services", one) for one in services(name)), ("rollouts", rollout(policy, name, image=image))]

    def template(self, found: Object) -> Object:
        """The pod template that the Rollout asks for.

        Raises:
            ModelwayError: it is kept in another object.
        """
        template = found["spec"].get("template")
        if template is None:
            raise ModelwayError(
                f"the Rollout {found['metadata']['name']} takes its pods from another object (workloadRef)",
                remedy="give it a template of its own, as in manifests/base/serving",
            )
        return dict(template)

    def served(self, cluster: Cluster, found: Object, *, changing: bool) -> Object | None:  # noqa: ARG002 - see `Target`
        """The template of the stable ReplicaSet, which stays what it was whatever the Rollout asks for."""
        stable = (found.get("status") or {}).get("stableRS")
        if not stable or is_stopped(found):
            return None
        sets = cluster.find("replicasets", f"{_HASH}={stable}")
        mine = [one for one in sets if _owner(one) == found["metadata"]["uid"]]
        if not mine:
            raise ModelwayError(
                f"the stable ReplicaSet {stable} of {found['metadata']['name']} is gone",
                value=stable,
                remedy="wait until the Rollout is healthy, then run again",
            )
        template = mine[0]["spec"]["template"]
        labels = {key: value for key, value in template["metadata"]["labels"].items() if key != _HASH}
        return {**template, "metadata": {**template["metadata"], "labels": labels}}

    def strategy(self, policy: Policy, name: str, *, found: Object, plain: bool) -> dict[str, Any]:
        """The policy's strategy; plainly: without steps and analysis, yet no pod goes before another is ready."""
        present = found["spec"].get("strategy") or {}
        if not plain and not is_stopped(found):
            return policy_strategy(policy, name, present=present)
        kind, section = _kind(present), present.get(_kind(present)) or {}
        kept = {key: value for key, value in section.items() if key not in _JUDGING}
        return {kind: kept | ({"autoPromotionEnabled": True} if kind == "blueGreen" else {})}

    def prepare(self, found: Object, change: Change) -> list[Operation]:
        """Another kind of strategy comes first: Argo judges no version that comes with the change to blue-green."""
        if change.previous is None or _kind(found["spec"].get("strategy") or {}) == _kind(change.strategy):
            return []
        return [{"op": "add", "path": "/spec/strategy", "value": dict(change.strategy)}]

    def change(self, found: Object, change: Change) -> list[Operation]:
        """The image, with the strategy to get there by."""
        abort: Operation = {"op": "add", "path": "/spec/progressDeadlineAbort", "value": True}
        return [abort, *new_version(found, self.template(found), change=change, annotations=change.annotations())]

    def restore(self, found: Object, template: Object | None, *, reason: str) -> list[Operation]:
        """The stable template put back: an abort alone leaves the bad version in the spec."""
        return put_back(found, template, reason=reason)

    def abort(self, cluster: Cluster, name: str) -> None:
        """Turns all traffic back to the stable version."""
        cluster.patch(
            "rollouts", name, operations=[{"op": "add", "path": "/status/abort", "value": True}], subresource="status"
        )

    def state(self, found: Object, pods: Sequence[Object]) -> State:
        """Where it is, by its status if that is of what the Rollout asks for now."""
        status, asked = found.get("status") or {}, str(found["metadata"].get("generation", ""))
        phase, current = str(status.get("phase", "")), str(status.get("currentPodHash", ""))
        mine = with_label(pods, _HASH, value=current)
        if str(status.get("observedGeneration", "")) != asked:
            return State("progressing", "the controller has not seen the change yet")
        if is_stopped(found):
            return State("failed", "it is scaled to zero", "it is scaled to zero")
        analyses = _analyses(status)
        progress = f"{_place(found)}{sum(map(is_ready, mine))} of {len(mine)} new pods ready"
        reason = _failure(status, phase)
        if reason:
            return State("failed", progress, reason, mine, analyses)
        whole = phase == "Healthy" and bool(current) and current == status.get("stableRS")
        return State("healthy" if whole else "progressing", progress, "", mine, analyses)


def _owner(found: Object) -> str:
    return next((str(one["uid"]) for one in found["metadata"].get("ownerReferences", ())), "")


def _kind(strategy: Mapping[str, Any]) -> str:
    return "blueGreen" if strategy.get("blueGreen") is not None else "canary"


def _failure(status: Mapping[str, Any], phase: str) -> str:
    """Why a Rollout has failed; empty if it has not."""
    said = str(status.get("message", "")) or "it was aborted"
    if status.get("abort") or phase in {"Degraded", "Error", "Timeout"}:
        return said
    paused = {str(one.get("reason")) for one in status.get("pauseConditions") or ()}
    if "InconclusiveAnalysisRun" in paused:  # Argo waits for a person then; what is not known to be good is not
        return "its analysis was inconclusive"
    return ""


def _analyses(status: Mapping[str, Any]) -> tuple[str, ...]:
    canary, blue_green = status.get("canary") or {}, status.get("blueGreen") or {}
    found = (
        canary.get("currentBackgroundAnalysisRunStatus"),
        canary.get("currentStepAnalysisRunStatus"),
        blue_green.get("prePromotionAnalysisRunStatus"),
        blue_green.get("postPromotionAnalysisRunStatus"),
    )
    return tuple(str(one["name"]) for one in found if one and one.get("name"))


def _place(found: Object) -> str:
    """Which step of a canary it is at, and the share of the traffic that it has asked for."""
    steps = ((found["spec"].get("strategy") or {}).get("canary") or {}).get("steps") or []
    index = (found.get("status") or {}).get("currentStepIndex")
    if not steps or index is None:
        return ""
    weights = [one["setWeight"] for one in steps[: index + 1] if "setWeight" in one]
    weight = 100 if index >= len(steps) else weights[-1] if weights else 0
    return f"step {min(index + 1, len(steps))}/{len(steps)}, weight {weight} %, "
