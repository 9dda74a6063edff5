"""The deploy target Rollout of Argo Rollouts: canary, blue-green and rolling, judged by the policy's analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError
from modelway.components.deploy.analysis import strategy as policy_strategy
from modelway.components.deploy.cluster import Cluster, Object, Operation
from modelway.components.deploy.objects import rollout, services
from modelway.components.deploy.targets.annotations import annotation
from modelway.components.deploy.targets.base import (
    DeployTarget,
    RolloutChange,
    RolloutState,
    is_ready,
    is_stopped,
    remaining_pods,
)

_HASH, _REVISION = "rollouts-pod-template-hash", "rollout.argoproj.io/revision"
_ANALYSES = ("currentBackground", "currentStep", "prePromotion", "postPromotion")
_JUDGING = ("analysis", "prePromotionAnalysis", "postPromotionAnalysis", "steps")


class RolloutTarget(DeployTarget):
    """Argo Rollouts' Rollout."""

    resource = "rollouts"
    has_analysis = True

    def manifests(self, policy: Policy, name: str, *, image: str) -> list[tuple[str, Object]]:
        """The Rollout with its Services."""
        objects = [("services", service) for service in services(name)]
        return [*objects, ("rollouts", rollout(policy, name, image=image))]

    def template(self, obj: Object) -> Object:
        """The pod template that the Rollout is set to.

        Raises:
            ModelwayError: it is in another object.
        """
        template = obj["spec"].get("template")
        if template is None:
            raise ModelwayError(
                f"the Rollout {obj['metadata']['name']} takes its pods from another object (workloadRef)",
                remedy="give it a template of its own, as in manifests/base/serving",
            )
        return dict(template)

    def serving_template(self, cluster: Cluster, obj: Object, *, changing: bool) -> Object | None:  # noqa: ARG002 - see `DeployTarget`
        """The template of the stable ReplicaSet, whatever the Rollout is set to."""
        stable = (obj.get("status") or {}).get("stableRS")
        if not stable or is_stopped(obj):
            return None
        uid = obj["metadata"]["uid"]
        for replica_set in cluster.find("replicasets", f"{_HASH}={stable}"):
            if any(owner["uid"] == uid for owner in replica_set["metadata"].get("ownerReferences", ())):
                template = replica_set["spec"]["template"]
                labels = {key: value for key, value in template["metadata"]["labels"].items() if key != _HASH}
                return {**template, "metadata": {**template["metadata"], "labels": labels}}
        raise ModelwayError(
            f"the stable ReplicaSet {stable} of {obj['metadata']['name']} is gone",
            value=stable,
            remedy="wait until the Rollout is healthy, then run again",
        )

    def strategy(self, policy: Policy, name: str, *, obj: Object, immediate: bool) -> dict[str, Any]:
        """The policy's strategy; immediately: without steps and analysis, yet no pod goes before another is ready."""
        present = obj["spec"].get("strategy") or {}
        if not immediate and not is_stopped(obj):
            return policy_strategy(policy, name, present=present)
        kind, section = _kind(present), present.get(_kind(present)) or {}
        settings = {key: value for key, value in section.items() if key not in _JUDGING}
        return {kind: settings | ({"autoPromotionEnabled": True} if kind == "blueGreen" else {})}

    def prepare(self, obj: Object, change: RolloutChange) -> list[Operation]:
        """The patch to another kind of strategy: Argo analyses no version that comes with a change to blue-green."""
        if change.previous_template is None or _kind(obj["spec"].get("strategy") or {}) == _kind(change.strategy):
            return []
        return [{"op": "add", "path": "/spec/strategy", "value": dict(change.strategy)}]

    def annotations(self, change: RolloutChange) -> dict[str, str]:
        """The object's annotations about a change; the stable ReplicaSet has the template that serves until then."""
        return change.annotations()

    def change(self, obj: Object, change: RolloutChange) -> list[Operation]:
        """The patch to the image and its strategy."""
        abort: Operation = {"op": "add", "path": "/spec/progressDeadlineAbort", "value": True}
        return [abort, *super().change(obj, change)]

    def restore(self, obj: Object, template: Object | None, *, reason: str) -> list[Operation]:
        """The patch that undoes a change; what served before may wait for room as long as it takes."""
        wait: Operation = {"op": "add", "path": "/spec/progressDeadlineAbort", "value": False}
        return [wait, *super().restore(obj, template, reason=reason)]

    def tolerance(self, obj: Object, missing: int) -> list[Operation]:
        """The patch by which so many pods may be missing; blue-green has all pods of both versions at once."""
        operations: list[Operation] = []
        canary = (obj["spec"].get("strategy") or {}).get("canary")
        if canary is not None and canary.get("maxUnavailable", 0) != missing:
            operations.append({"op": "add", "path": "/spec/strategy/canary/maxUnavailable", "value": missing})
        if not missing and not obj["spec"].get("progressDeadlineAbort", True):
            operations.append({"op": "add", "path": "/spec/progressDeadlineAbort", "value": True})
        return operations

    def abort(self, cluster: Cluster, name: str) -> None:
        """Sends all traffic to the stable version."""
        abort: Operation = {"op": "add", "path": "/status/abort", "value": True}
        cluster.patch("rollouts", name, operations=[abort], subresource="status")

    def state(self, obj: Object, pods: Sequence[Object]) -> RolloutState:
        """The state of the rollout, by its status if that is about its current spec."""
        status, generation = obj.get("status") or {}, str(obj["metadata"].get("generation", ""))
        phase, current = str(status.get("phase", "")), str(status.get("currentPodHash", ""))
        if str(status.get("observedGeneration", "")) != generation:
            return RolloutState("progressing", "the controller has not observed the change yet")
        if is_stopped(obj):
            return RolloutState("failed", "it is scaled to zero", "it is scaled to zero")
        remaining = remaining_pods(pods)
        mine = tuple(pod for pod in remaining if pod["metadata"]["labels"].get(_HASH) == current)
        analyses = _analyses(status)
        ready, ready_new = sum(map(is_ready, remaining)), sum(map(is_ready, mine))
        progress = f"{_place(obj, ready_new, ready)}{ready_new} of {len(mine)} new pods ready"
        if reason := _failure(status, phase):
            return RolloutState("failed", progress, reason, mine, analyses)
        stable = bool(current) and current == status.get("stableRS")
        if stable and phase == "Healthy":
            return RolloutState("healthy", progress, "", mine, analyses)
        alone, waiting = stable and bool(ready_new) and len(mine) == len(remaining), _is_waiting(obj, phase)
        return RolloutState("progressing", progress, "", mine, analyses, is_waiting=waiting, is_alone=alone)

    def client_services(self, obj: Object) -> tuple[str, ...]:
        """The Services by which clients reach the pods, as the strategy and its router say it."""
        strategy, status = obj["spec"].get("strategy") or {}, obj.get("status") or {}
        canary = strategy.get("canary") or {}
        if strategy.get("blueGreen"):
            return (str(strategy["blueGreen"]["activeService"]),)
        if not canary.get("trafficRouting") or not canary.get("stableService"):
            return super().client_services(obj)
        weights = (status.get("canary") or {}).get("weights") or {}
        is_routed = (weights.get("canary") or {}).get("weight", 0) > 0 and canary.get("canaryService")
        return (str(canary["stableService"]), *([str(canary["canaryService"])] if is_routed else []))

    def is_undone_by_cluster(self, obj: Object) -> bool:
        """Whether Argo has aborted the last change, so that the stable ReplicaSet serves and not what the spec says."""
        status, generation = obj.get("status") or {}, str(obj["metadata"].get("generation", ""))
        stable = status.get("stableRS")
        is_current = str(status.get("observedGeneration", "")) == generation
        return bool(is_current and status.get("abort") and stable and stable != status.get("currentPodHash"))

    def analysis_runs(self, cluster: Cluster, obj: Object) -> list[Object]:
        """The AnalysisRuns of the last change, the oldest first; an aborted Rollout no longer names them.

        Argo keeps those of the version's ReplicaSet, five that failed unless the Rollout's
        ``analysis.unsuccessfulRunHistoryLimit`` says otherwise. An earlier trial of the same version has the same hash,
        and another revision.
        """
        current, uid = (obj.get("status") or {}).get("currentPodHash"), obj["metadata"].get("uid")
        runs = cluster.find("analysisruns", f"{_HASH}={current}") if current else []
        mine = [
            run
            for run in runs
            if any(owner["uid"] == uid for owner in run["metadata"].get("ownerReferences") or ())
            and annotation(run, _REVISION) == annotation(obj, _REVISION)
        ]
        return sorted(mine, key=lambda run: (str(run["metadata"].get("creationTimestamp")), run["metadata"]["name"]))


def _kind(strategy: Mapping[str, Any]) -> str:
    return "blueGreen" if strategy.get("blueGreen") is not None else "canary"


def _failure(status: Mapping[str, Any], phase: str) -> str:
    """Why a Rollout failed; empty if it has not."""
    message = str(status.get("message", "")) or "it was aborted"
    if status.get("abort") or phase in {"Degraded", "Error", "Timeout"}:
        return message
    paused = {str(condition.get("reason")) for condition in status.get("pauseConditions") or ()}
    if "InconclusiveAnalysisRun" in paused:  # Argo waits for a person then; here it counts as failed
        return "its analysis was inconclusive"
    return ""


def _is_waiting(obj: Object, phase: str) -> bool:
    """Whether a Rollout is in a pause or an analysis of its steps, where its progress deadline does not count."""
    steps = ((obj["spec"].get("strategy") or {}).get("canary") or {}).get("steps") or []
    index = (obj.get("status") or {}).get("currentStepIndex") or 0
    return phase == "Paused" or bool(steps[index:] and {"pause", "analysis"} & steps[index].keys())


def _analyses(status: Mapping[str, Any]) -> tuple[str, ...]:
    section = {**(status.get("canary") or {}), **(status.get("blueGreen") or {})}
    runs = (section.get(f"{analysis}AnalysisRunStatus") or {} for analysis in _ANALYSES)
    return tuple(str(run["name"]) for run in runs if run.get("name"))


def _place(obj: Object, ready_new: int, ready: int) -> str:
    """The current step of a canary, the share of the traffic that it asks for, and the one that the pods give."""
    canary = (obj["spec"].get("strategy") or {}).get("canary") or {}
    steps = canary.get("steps") or []
    index = (obj.get("status") or {}).get("currentStepIndex")
    if not steps or index is None:
        return ""
    weights = [step["setWeight"] for step in steps[: index + 1] if "setWeight" in step]
    weight = 100 if index >= len(steps) else weights[-1] if weights else 0
    step = f"step {min(index + 1, len(steps))}/{len(steps)}, weight {weight} %"
    if canary.get("trafficRouting") or not ready:
        return f"{step}, "
    # Without a router the traffic follows the pods, of which there are few.
    return f"{step} asked, {ready_new} of {ready} pods = {100 * ready_new / ready:.0f} %, "
