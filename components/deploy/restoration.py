"""The restoration of what served before: how far it is, and which pods give way to it where the cluster is full."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modelway.components.deploy.cluster import Object
from modelway.components.deploy.room import shortage_of
from modelway.components.deploy.targets.base import (
    image_of,
    is_ready,
    pods_of_image,
    ready_by_version,
    unschedulable,
)


@dataclass(frozen=True)
class Restoration:
    """How far an undo is.

    Attributes:
        healthy: Whether all that served before serves again.
        undone: How many pods of other versions, the undone one's, are still ready.
        ready: How many pods are ready, by version.
        desired: How many pods there should be.
        waiting: What pods wait for that find no node; empty if none does.
    """

    healthy: bool = False
    undone: int = 0
    ready: tuple[tuple[str, int], ...] = ()
    desired: int = 0
    waiting: str = ""

    @classmethod
    def of(cls, pods: Sequence[Object], *, image: str, desired: int, healthy: bool) -> Restoration:
        """The restoration that a workload's pods show.

        Args:
            pods: All of its pods.
            image: The image that served before; empty if none did.
            desired: How many pods there should be.
            healthy: Whether the controller reports that all is as it should be.
        """
        undone = sum(is_ready(pod) and image_of(pod) != image for pod in pods)
        shortage = shortage_of(pods)
        waiting = "" if shortage is None else shortage.sentence()
        return cls(healthy and not undone, undone, tuple(sorted(ready_by_version(pods).items())), desired, waiting)

    @property
    def progress(self) -> tuple[int, int]:
        """Grows with each pod that is undone or restored."""
        return -self.undone, sum(count for _, count in self.ready) - self.undone

    def serving(self) -> str:
        """What serves, as the audit log keeps it: ``version 2: 4 pods, version 4: 3 pods``."""
        return ", ".join(f"version {version or '?'}: {_pods(count)}" for version, count in self.ready) or "no pods"

    def line(self) -> str:
        """What is still missing, in one line; empty if nothing is."""
        ready = sum(count for _, count in self.ready)
        parts = [f"{self.undone} of {ready} ready pods are still of the undone version"] if self.undone else []
        if not self.healthy and ready - self.undone < self.desired:
            parts.append(f"{ready - self.undone} of {self.desired} pods of what served before are ready")
        return "; ".join([*parts, *([f"no room: {self.waiting}"] if self.waiting else [])])


def pods_to_miss(pods: Iterable[Object], *, image: str, desired: int, refused: int = 0) -> int:
    """How many pods may be missing, so that those of an image find room; 0: nothing gives way.

    While pods of the image find no node, ready pods of other images give way one by one: the next one goes when the one
    before has gone and its room did not do. The last pod that answers stays until another does, unless there is to be
    only one.

    Args:
        pods: All pods of the workload, also those that are being deleted.
        image: The image that room is made for.
        desired: How many pods there should be.
        refused: How many pods of the image a quota keeps from being created.
    """
    pod_list = list(pods)
    waiting = unschedulable(pods_of_image(pod_list, image))
    leaving = [pod for pod in pod_list if "deletionTimestamp" in pod["metadata"]]
    ready = [pod for pod in pod_list if is_ready(pod)]
    others = [pod for pod in ready if image_of(pod) != image]
    if len(waiting) + refused <= len(leaving) or not others or (len(ready) == 1 and desired > 1):
        return 0
    return max(1, desired - len(ready) + 1)


def _pods(count: int) -> str:
    return f"{count} pod{'' if count == 1 else 's'}"
