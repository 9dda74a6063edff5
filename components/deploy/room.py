"""Room for a workload's pods: what those ask for that no node and no quota has, and what is free.

That there is no room says nothing about a version. A pod has none where the scheduler finds no node for it, for
whatever reason, or where a quota of the namespace keeps it from being created.
"""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal

from modelway.components.core.errors import ModelwayError
from modelway.components.deploy.cluster import Cluster, Object, Operation
from modelway.components.deploy.targets.annotations import VERSION, annotation
from modelway.components.deploy.targets.base import DeployTarget, RolloutState, image_of, is_ready, unschedulable

_OVER_QUOTA = re.compile(r"exceeded quota: .*", re.DOTALL)  # as the API server says it
_PREEMPTION = re.compile(r"\.?,? *(no new claims to deallocate|preemption: ).*", re.DOTALL)  # of the scheduler's words
_PUT_OFF = 3  # deadlines: what a controller has counted before the wait, the wait, and the pods' start after it
_REMEDY = "make room: add nodes, raise the quota or lower the autoscaler's maximum; then promote again"
_RUNNING = "status.phase!=Succeeded,status.phase!=Failed"

Requests = dict[str, Decimal]  # in Kubernetes' base units: cores, bytes, or a count


class NoRoomError(ModelwayError):
    """Pods could not start since the cluster has no room for them: there is no verdict on their version."""


@dataclass(frozen=True)
class Shortage:
    """Pods that there is no room for.

    Attributes:
        pods: How many, by their version and what one of them asks for.
        requests: What the first of them asks for.
        words: Why, as the scheduler and the quotas say it.
    """

    pods: Mapping[tuple[str, str], int]
    requests: Requests
    words: tuple[str, ...]

    def sentence(self, verb: str = "ask") -> str:
        """How many pods ask for what, and why they do not get it."""
        groups = [
            f"{count} pod{'' if count == 1 else 's'}{f' of version {version}' if version else ''} "
            f"{f'{verb}s' if verb == 'ask' and count == 1 else verb} for {text}{'' if count == 1 else ' each'}"
            for (version, text), count in self.pods.items()
        ]
        return "; ".join([" and ".join(groups), *self.words])


class RoomWait:
    """Waits for room while a rollout is followed, and gives up after the policy's progress deadline.

    The deadline of the object's controller, which would count the wait as the version's failure, is put off meanwhile.
    The rollout is not paused: a paused Rollout does not follow the autoscaler either, whose scaling down makes room.

    Args:
        cluster: The namespace.
        target: The kind of the object.
        name: Its name.
        seconds: The progress deadline.

    Attributes:
        shortage: What there was no room for when it was last observed; None if there was, or if a pod has failed.
    """

    def __init__(self, cluster: Cluster, target: DeployTarget, name: str, *, seconds: int) -> None:
        self._cluster, self._target, self._name, self._limit = cluster, target, name, seconds
        self.shortage: Shortage | None = None
        self._since: float | None = None
        self._most_ready, self._is_put_off = (0, 0), False

    def observe(self, state: RolloutState, pods: Sequence[Object], *, problems: Mapping[str, str]) -> str:
        """Looks for what has no room.

        Args:
            state: The rollout's state. While it waits on purpose, the time does not count.
            pods: All pods of the object. Once more of them, or of the version, are ready than before, the time begins
                anew.
            problems: What else is wrong with the version's pods: with any, it is not room that the version lacks.

        Returns:
            What is waited for; empty if nothing.

        Raises:
            NoRoomError: it was waited for long enough.
        """
        if state.phase != "progressing":  # what lacked room then counts
            return ""
        replica_sets = self._cluster.find("replicasets", self._target.selector(self._name))
        self.shortage = None if problems else shortage_of(pods, replica_sets)
        # In a rollback pods of the version before give way, so that more of the new one is progress too.
        ready = (sum(map(is_ready, pods)), sum(map(is_ready, state.pods)))
        has_grown = any(now > most for now, most in zip(ready, self._most_ready, strict=True))
        self._most_ready = (max(ready[0], self._most_ready[0]), max(ready[1], self._most_ready[1]))
        if self.shortage is None or state.is_waiting or has_grown:
            self._since = None
        if self.shortage is None or state.is_waiting:
            return f"no room: {self.shortage.sentence()}" if self.shortage else ""
        if self._since is None:
            self._since = time.monotonic()
        self._put_off()
        if time.monotonic() - self._since > self._limit:
            raise self._error()
        return f"waiting for room: {self.shortage.sentence()}"

    def check(self, faults: Sequence[str] = ()) -> None:
        """Checks that it is not room that a rollout lacks which has come to an end.

        Args:
            faults: What else is wrong with it: with any, it is not room that it lacks.

        Raises:
            NoRoomError: it was waiting for room when it was last observed.
        """
        if self.shortage is not None and self._since is not None and not faults:
            raise self._error()

    def _error(self) -> NoRoomError:
        """What there was no room for, as the end of the wait."""
        self.end()
        waited = 0 if self._since is None else time.monotonic() - self._since
        return no_room(self._cluster, self.shortage, f"there was none for {waited:,.0f} s")

    def end(self) -> None:
        """Gives the object its own deadline back."""
        if self._is_put_off:
            self._is_put_off = False
            with suppress(ModelwayError):  # it was changed by something else
                self._patch(self._target.deadline(self._limit, instead_of=_PUT_OFF * self._limit))

    def _put_off(self) -> None:
        if not self._is_put_off:
            self._patch(self._target.deadline(_PUT_OFF * self._limit))
            self._is_put_off = True

    def _patch(self, operations: list[Operation]) -> None:
        if operations:
            self._cluster.patch(self._target.resource, self._name, operations=operations)


def no_room(cluster: Cluster, shortage: Shortage | None, *notes: str, purpose: str = "") -> NoRoomError:
    """The error about a shortage, with what is free where the account may see that."""
    parts = [shortage.sentence("asked"), free_room(cluster, shortage.requests)] if shortage else []
    return NoRoomError(
        f"inconclusive: no room{purpose}: {'; '.join(filter(None, [*parts, *notes]))}",
        file=f"{cluster.namespace}/pods",
        remedy=_REMEDY,
    )


def shortage_of(pods: Iterable[Object], replica_sets: Iterable[Object] = ()) -> Shortage | None:
    """What a workload's pods lack room for; None if all have some.

    Args:
        pods: The workload's pods.
        replica_sets: Its ReplicaSets, which say what a quota keeps them from creating.
    """
    pods = list(pods)
    waiting = unschedulable(pods)
    lacking: Counter[tuple[str, str]] = Counter()
    words: dict[str, None] = {}
    requests: Requests = {}
    for pod in pods:
        if message := waiting.get(pod["metadata"]["name"]):
            requests = requests or requests_of(pod)
            lacking[annotation(pod, VERSION), requests_text(requests_of(pod))] += 1
            words[_PREEMPTION.sub("", message).strip()] = None
    for replica_set in replica_sets:
        count = _missing(replica_set)
        if count and (message := _over_quota(replica_set)):
            template = replica_set["spec"]["template"]
            requests = requests or requests_of(template)
            lacking[annotation(template, VERSION), requests_text(requests_of(template))] += count
            words[message] = None
    return Shortage(dict(lacking), requests, tuple(words)) if lacking else None


def refused_pods(replica_sets: Iterable[Object], *, image: str) -> int:
    """How many pods of an image a quota keeps ReplicaSets from creating."""
    return sum(
        _missing(replica_set)
        for replica_set in replica_sets
        if _over_quota(replica_set) and image_of(replica_set["spec"]["template"]) == image
    )


def refused_by_quota(pod: Object, message: str) -> Shortage | None:
    """What a pod lacks that the API server does not create, by its message; None if that is not about a quota."""
    match, requests = _OVER_QUOTA.search(message), requests_of(pod)
    if match is None:
        return None
    return Shortage({(annotation(pod, VERSION), requests_text(requests)): 1}, requests, (match[0].strip(),))


def _missing(replica_set: Object) -> int:
    """How many pods a ReplicaSet has fewer than it is to have."""
    return max(
        0, int(replica_set["spec"].get("replicas", 1)) - int((replica_set.get("status") or {}).get("replicas", 0))
    )


def _over_quota(replica_set: Object) -> str:
    """What a quota keeps a ReplicaSet from creating pods with, in the API server's words; empty if none does."""
    for condition in (replica_set.get("status") or {}).get("conditions") or ():
        if (condition["type"], condition["status"]) == ("ReplicaFailure", "True"):
            match = _OVER_QUOTA.search(str(condition.get("message", "")))
            return match[0].strip() if match else ""
    return ""


def requests_of(pod: Object) -> Requests:
    """What the scheduler counts of a pod or a pod template: its containers' requests in sum, or its start's if more."""
    spec = pod["spec"]
    starting = list(spec.get("initContainers") or ())
    sidecars = [container for container in starting if container.get("restartPolicy") == "Always"]
    requests = _sum(_quantities(container) for container in [*spec["containers"], *sidecars])
    for container in starting:
        for resource, amount in _quantities(container).items():
            requests[resource] = max(requests.get(resource, Decimal(0)), amount)
    return _sum([requests, _parsed(spec.get("overhead") or {})])


def requests_text(requests: Mapping[str, Decimal]) -> str:
    """Requests in Kubernetes' notation, such as `cpu 250m, memory 256Mi`."""
    return ", ".join(f"{resource} {_text(resource, requests[resource])}" for resource in sorted(requests)) or "nothing"


def free_room(cluster: Cluster, requests: Requests) -> str:
    """What of these resources is free on the node that has the most of them, as a sentence.

    Empty where the account may not list the nodes and all namespaces' pods, which the deployer's may not: the
    scheduler's words have to do then.
    """
    try:
        nodes = cluster.find_everywhere("nodes")
        pods = cluster.find_everywhere("pods", {"fieldSelector": _RUNNING})
    except ModelwayError:
        return ""
    nodes = [node for node in nodes if not node["spec"].get("unschedulable")]
    requests = {resource: amount for resource, amount in requests.items() if amount}
    if not nodes or not requests:
        return "" if nodes else "no node takes pods"
    taken: dict[str, list[Requests]] = defaultdict(list)
    for pod in pods:
        taken[pod["spec"].get("nodeName") or ""].append(requests_of(pod))
    free: dict[str, Requests] = {}
    for node in nodes:
        name = node["metadata"]["name"]
        allocatable, requested = _parsed((node.get("status") or {}).get("allocatable") or {}), _sum(taken[name])
        free[name] = {key: allocatable.get(key, Decimal(0)) - requested.get(key, Decimal(0)) for key in requests}
    best = max(free, key=lambda name: min(free[name][key] / requests[key] for key in requests))
    most = "" if len(free) == 1 else f", the one of {len(free)} with the most room,"
    return f"node {best}{most} has {requests_text(free[best])} free"


def _quantities(container: Object) -> Requests:
    return _parsed((container.get("resources") or {}).get("requests") or {})


def _parsed(quantities: Mapping[str, object]) -> Requests:
    from kubernetes.utils.quantity import parse_quantity  # type: ignore[import-untyped]

    return {resource: Decimal(parse_quantity(quantity)) for resource, quantity in quantities.items()}


def _sum(terms: Iterable[Requests]) -> Requests:
    total: Requests = {}
    for term in terms:
        for resource, amount in term.items():
            total[resource] = total.get(resource, Decimal(0)) + amount
    return total


def _text(resource: str, amount: Decimal) -> str:
    if resource == "cpu":
        return f"{amount * 1000:.0f}m"
    if resource in {"memory", "ephemeral-storage"}:
        return f"{amount / 2**20:.0f}Mi"
    return f"{amount.normalize():f}"
