"""How far an undo is, and which pods give way to what served before."""

from __future__ import annotations

from typing import Any

import pytest

from modelway.components.deploy.restoration import Restoration, pods_to_miss

STABLE, UNDONE = "r.example/loans@sha256:1", "r.example/loans@sha256:2"
NO_ROOM = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available"


def pods(ready: int = 0, *, image: str = STABLE, waiting: int = 0, leaving: int = 0, version: str = "") -> list[Any]:
    """Pods of an image: so many that are ready, that find no node, and that are ready and being deleted."""
    is_ready = [{"type": "Ready", "status": "True"}]
    finds_none = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": NO_ROOM}]
    statuses = [(is_ready, {})] * ready + [(finds_none, {})] * waiting
    statuses += [(is_ready, {"deletionTimestamp": "2026-11-02T10:00:00Z"})] * leaving
    annotations = {"modelway.io/version": version or {STABLE: "1", UNDONE: "2"}[image]}
    spec = {"containers": [{"name": "server", "image": image}]}
    return [
        {
            "metadata": {"name": f"{image}-{number}", "annotations": annotations, **metadata},
            "spec": spec,
            "status": {"conditions": conditions},
        }
        for number, (conditions, metadata) in enumerate(statuses)
    ]


@pytest.mark.parametrize(
    ("stable", "undone", "desired", "missing"),
    [
        (pods(2), pods(2, image=UNDONE), 4, 0),  # no pod waits
        (pods(2, waiting=1), pods(2, image=UNDONE), 4, 1),
        (pods(2, waiting=1), pods(1, image=UNDONE, leaving=1), 4, 0),  # whose room the waiting one gets
        (pods(2, waiting=1), pods(1, image=UNDONE), 4, 2),  # whose room another took
        (pods(4, waiting=3), pods(3, image=UNDONE), 8, 2),  # one had been missing since the autoscaler asked for 8
        (pods(4, waiting=1), [], 5, 0),  # nothing can give way
        (pods(waiting=2), pods(2, image=UNDONE), 2, 1),
        (pods(waiting=2), pods(1, image=UNDONE), 2, 0),  # the last one that answers stays
        (pods(waiting=1), pods(1, image=UNDONE), 1, 1),  # of one alone there is no other way
        (pods(2), pods(1, image=UNDONE, waiting=1), 4, 0),  # only what is undone waits
    ],
)
def test_pods_give_way_one_by_one_while_others_find_no_room(
    stable: list[Any], undone: list[Any], desired: int, missing: int
) -> None:
    assert pods_to_miss(stable + undone, image=STABLE, desired=desired) == missing


def test_what_is_missing_is_said_with_counts() -> None:
    about: Any = {"image": STABLE, "desired": 4, "healthy": False}
    restoration = Restoration.of(pods(3, waiting=1) + pods(1, image=UNDONE), **about)
    assert restoration.serving() == "version 1: 3 pods, version 2: 1 pod"
    assert restoration.line() == (
        "1 of 4 ready pods are still of the undone version; 3 of 4 pods of what served before are ready; "
        "no room: 0/1 nodes are available: 1 Insufficient cpu"
    )
    alone = Restoration.of(pods(3, waiting=1), **about)
    assert (alone.undone, alone.healthy) == (0, False)
    assert alone.line().startswith("3 of 4 pods of what served before are ready; no room")
    assert alone.progress > restoration.progress


def test_an_undo_is_complete_only_without_a_ready_pod_of_the_undone_version() -> None:
    about: Any = {"image": STABLE, "desired": 4, "healthy": True}
    assert not Restoration.of(pods(4) + pods(1, image=UNDONE), **about).healthy
    assert Restoration.of(pods(4) + pods(image=UNDONE, leaving=1), **about).healthy
    nothing = Restoration.of(pods(image=UNDONE, leaving=1), image="", desired=0, healthy=True)
    assert (nothing.healthy, nothing.serving(), nothing.line()) == (True, "no pods", "")
    assert not Restoration.of(pods(1, image=UNDONE), image="", desired=0, healthy=True).healthy
