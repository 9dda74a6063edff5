"""What an environment serves, as the cluster says it: the pods that requests reach, and what the cluster has undone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from modelway.components.core.errors import CredentialsError
from modelway.components.deploy.cluster import Cluster, MissingKindError, Object
from modelway.components.deploy.diagnosis import failed_metrics, pod_diagnosis
from modelway.components.deploy.targets.annotations import VERSION, annotation, changing_run, undo_reason
from modelway.components.deploy.targets.base import DeployTarget, RolloutState, image_of, is_ready
from modelway.components.deploy.workload import Workload


@dataclass(frozen=True)
class Serving:
    """What a model's workload serves.

    Attributes:
        namespace: Where it is.
        ready: How many ready pods that clients' requests reach are of each version; empty text: pods that name none.
        set_to: The version that the object is set to, whether it serves or not; empty: it names none.
        run: The run that set it.
        image: The image that it is set to.
        phase: The state of the rollout to that version.
        progress: Its progress in one line.
        undone: Whether the cluster itself has undone it: what served before serves, and the object is still set to it.
        reasons: Why it was undone or has failed: metrics with their value and bound, or the pods' problems.
        undo_reason: Why its run had begun to undo it; empty if it had not.
    """

    namespace: str
    ready: dict[str, int]
    set_to: str
    run: str
    image: str
    phase: Literal["progressing", "healthy", "failed"]
    progress: str
    undone: bool = False
    reasons: tuple[str, ...] = ()
    undo_reason: str = ""

    def serves(self, version: str) -> bool:
        """Whether pods of a version are ready, and of no other."""
        return set(self.ready) == {version}

    def json(self) -> dict[str, Any]:
        """The answer as `--json` prints it."""
        return {**asdict(self), "reasons": list(self.reasons)}

    def pods(self) -> str:
        """Which versions the ready pods serve, in a clause."""
        total = sum(self.ready.values())
        shares = []
        for version, count in sorted(self.ready.items()):
            named = f"version {version}" if version else "no version that they name"
            shares.append(f"{count} of {total} ready pods serve{'s' if count == 1 else ''} {named}")
        return ", ".join(shares) or "no pod that requests reach is ready"


def serving(workload: Workload, model: str) -> Serving | None:
    """What a model's workload serves; None if the cluster has no such object.

    Raises:
        UnavailableError: the cluster cannot be reached.
        CredentialsError: the account may not read what this needs: the object, its pods and its Services.
        ModelwayError: the object is another model's.
    """
    obj, target, cluster = workload.get(model), workload.target, workload.cluster
    if obj is None:
        return None
    pods = cluster.find("pods", target.selector(workload.name))
    state, template = target.state(obj, pods), target.template(obj)
    undone = target.is_undone_by_cluster(obj)
    return Serving(
        namespace=cluster.namespace,
        ready=dict(Counter(_version(pod, obj, template) for pod in _reached(cluster, target, obj, pods))),
        set_to=annotation(template, VERSION) or annotation(obj, VERSION),
        run=changing_run(obj),
        image=image_of(template),
        phase=state.phase,
        progress=state.progress,
        undone=undone,
        reasons=failure_reasons(workload, obj, state=state) if undone or state.phase == "failed" else (),
        undo_reason=undo_reason(obj),
    )


def failure_reasons(workload: Workload, obj: Object, *, state: RolloutState) -> tuple[str, ...]:
    """Why a rollout failed, as far as the cluster still knows it: by its analysis and its pods, else by its controller.

    The pods of a version that was undone are gone after some seconds; Kubernetes keeps its warnings about them for an
    hour. What the account may not read is said instead.
    """
    cluster, message = workload.cluster, state.reason or "it did not become healthy"
    try:
        runs = workload.target.analysis_runs(cluster, obj)
        failures = [failure for run in runs for failure in failed_metrics(run)]
        failures += pod_diagnosis(cluster, state.pods)
        return tuple(dict.fromkeys(failures)) or (message, *_last_warning(cluster, obj))
    except (CredentialsError, MissingKindError) as error:
        return (message, f"what was measured cannot be read: {error.message}")


def _last_warning(cluster: Cluster, obj: Object) -> list[str]:
    """Kubernetes' last warning about the pods of the version that a Rollout is set to, as a sentence."""
    name, template_hash = obj["metadata"]["name"], (obj.get("status") or {}).get("currentPodHash")
    if not template_hash:
        return []
    warnings = cluster.warnings("Pod", f"{name}-{template_hash}")
    warnings = warnings or [text for text in cluster.warnings("ReplicaSet", name) if f"{name}-{template_hash}" in text]
    return [f"Kubernetes' last warning about its pods: {warning}" for warning in warnings[-1:]]


def _reached(cluster: Cluster, target: DeployTarget, obj: Object, pods: Iterable[Object]) -> list[Object]:
    """The ready pods that clients' requests reach: those that a Service for clients selects."""
    services = (cluster.get("services", name) for name in target.client_services(obj))
    selectors = [service["spec"].get("selector") or {} for service in services if service is not None]
    return [
        pod
        for pod in pods
        if is_ready(pod) and (not selectors or any(selector.items() <= _labels(pod).items() for selector in selectors))
    ]


def _labels(pod: Object) -> dict[str, str]:
    return dict(pod["metadata"].get("labels") or {})


def _version(pod: Object, obj: Object, template: Object) -> str:
    """The version of a pod: the one that it names, else the object's if their image is the same."""
    return annotation(pod, VERSION) or (annotation(obj, VERSION) if image_of(pod) == image_of(template) else "")
