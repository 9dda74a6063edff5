"""Which connection gives way, and what is logged of it; the clock is set by hand."""

from __future__ import annotations

import logging

import pytest

from modelway.components.serve.connections import Connections, Queue
from modelway.components.serve.limits import Limits
from modelway.components.serve.metrics import Metrics
from modelway.components.serve.refusals import Refusal


class Clock:
    """A time that passes when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Member:
    """A connection that remembers what was asked of it."""

    def __init__(self, buffered_bytes: int = 0, unsent_bytes: int = 0) -> None:
        self.queue: Queue | None = None
        self.buffered_bytes, self.unsent_bytes = buffered_bytes, unsent_bytes
        self.ends: list[str] = []

    def expire(self) -> None:
        self.ends.append("expired")

    def give_way(self, refusal: Refusal) -> None:
        self.ends.append(refusal.reason)


def connections(clock: Clock, **limits: int) -> Connections:
    return Connections(Limits(**limits), Metrics({}), clock)  # type: ignore[arg-type]


def members(group: Connections, count: int, clock: Clock, apart: float = 0.0) -> list[Member]:
    admitted = []
    for _ in range(count):
        admitted.append(Member())
        assert group.add(admitted[-1])
        clock.now += apart
    return admitted


def test_the_oldest_that_arrives_gives_way_to_a_new_one() -> None:
    clock = Clock()
    group = connections(clock, connections=4)
    first, second, *_ = members(group, 4, clock, apart=1.5)
    members(group, 1, clock)
    assert (first.ends, second.ends) == (["connections"], [])
    members(group, 1, clock)
    assert (first.ends, second.ends) == (["connections"], ["connections"])


def test_an_idle_one_gives_way_before_few_that_have_just_come_and_one_that_leaves_before_all() -> None:
    clock = Clock()
    group = connections(clock, connections=8)
    idle, leaving, *_ = admitted = members(group, 8, clock)
    for member in admitted[:6]:
        group.place(member, group.idle, 75)
    group.place(leaving, group.leaving, 30)
    members(group, 1, clock)
    assert (leaving.ends, idle.ends) == (["connections"], [])
    members(group, 1, clock)
    assert idle.ends == [], "more than a quarter is new"
    assert admitted[6].ends == ["connections"]
    for member in list(group.arriving)[1:]:
        group.place(member, group.idle, 75)
    members(group, 1, clock)
    assert idle.ends == ["connections"]


def test_there_is_no_room_where_all_are_at_work() -> None:
    clock = Clock()
    group = connections(clock, connections=2)
    admitted = members(group, 2, clock)
    for member in admitted:
        group.place(member, None)
    assert not group.add(Member())
    group.remove(admitted[0])
    assert [member.ends for member in admitted] == [[], []]


def test_what_is_lost_is_in_no_queue_again() -> None:
    clock = Clock()
    group = connections(clock)
    (member,) = members(group, 1, clock)
    group.remove(member)
    group.place(member, group.idle, 75)
    assert (member.queue, len(group.idle)) == (None, 0)


def test_each_expires_in_its_time_and_not_all_at_once() -> None:
    clock = Clock()
    group = connections(clock)
    admitted = members(group, 250, clock)
    waiting = members(group, 1, clock)[0]
    group.place(waiting, group.idle, 75)
    clock.now += 10
    group.sweep()
    assert sum(member.ends == ["expired"] for member in admitted) == 100
    assert waiting.ends == []
    clock.now += 65
    group.sweep()
    assert waiting.ends == ["expired"]


def test_memory_is_taken_from_unreceived_responses_and_then_from_the_oldest_that_arrives() -> None:
    clock = Clock()
    group = connections(clock, buffered_bytes=100)
    silent, old, young, reader = members(group, 4, clock, apart=1)
    old.buffered_bytes, young.buffered_bytes, reader.unsent_bytes = 60, 30, 50
    group.place(reader, group.leaving, 30)
    group.buffered_bytes = 90
    group.sweep()
    assert [member.ends for member in (silent, old, young, reader)] == [[], [], [], ["memory"]]
    group.buffered_bytes = 101
    group.limit_memory()
    assert [member.ends for member in (silent, old, young)] == [[], ["memory"], ["memory"]]
    assert old.queue is group.arriving, "it ends by itself"


def test_refusals_of_a_kind_are_logged_once_a_second_and_then_counted(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    group = connections(clock)
    with caplog.at_level(logging.WARNING):
        for _ in range(1000):
            group.count(Refusal(400, "malformed", "no HTTP"))
        group.count(Refusal(408, "slow", "too slow"))
        group.sweep()
        assert len(caplog.records) == 2
        clock.now += 1
        group.sweep()
        group.sweep()
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        "refused (malformed, 400): no HTTP",
        "refused (slow, 408): too slow",
        "refused (malformed): 999 more",
    ]
