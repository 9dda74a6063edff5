"""All open connections: who must give way, what they take in sum, and what was refused.

A connection is in one of three queues, each in the order of time, or in none while its request is answered. So that
few clients cannot keep all others out, the oldest one without a complete request gives way where there is no room.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from modelway.components.serve.limits import Limits
from modelway.components.serve.metrics import Metrics
from modelway.components.serve.refusals import Refusal

log = logging.getLogger(__name__)

_SWEEP_SECONDS = 0.1
_EXPIRIES_PER_SWEEP = 100  # more at once would hold other requests up
_GRACE_SECONDS = 1.0  # an idle connection gives way before a few that are younger than that
_YOUNG_SHARE = 0.25  # how few
_GONE_SECONDS = 1.0  # how long a connection that gave way may take to close
_LOG_SECONDS = 1.0


class Member(Protocol):
    """What is asked of a connection."""

    queue: Queue | None

    @property
    def buffered_bytes(self) -> int:
        """What it holds of a request that is incomplete."""

    @property
    def unsent_bytes(self) -> int:
        """What it holds of responses that the client has not received."""

    def expire(self) -> None:
        """Ends what took too long."""

    def give_way(self, refusal: Refusal) -> None:
        """Ends, to make room for another."""


Queue = OrderedDict[Member, float]  # with the time at which each expires


@dataclass
class _Suppressed:
    """The refusals of one kind that were not logged."""

    log_at: float
    count: int = 0


class Connections:
    """The open connections of a server.

    Attributes:
        limits: Their limits.
        arriving: Those that are new or whose request is incomplete.
        idle: Those whose last request was answered.
        leaving: Those that are being closed, or whose client does not receive its response.
        buffered_bytes: What requests take that are not answered yet.

    Args:
        limits: Their limits.
        metrics: Counts connections, bytes and refusals.
        clock: Returns the time in seconds.
    """

    def __init__(self, limits: Limits, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.arriving: Queue = OrderedDict()
        self.idle: Queue = OrderedDict()
        self.leaving: Queue = OrderedDict()
        self.buffered_bytes = 0
        self.clock = clock
        self._metrics = metrics
        self._unsent_bytes = 0
        self._open: set[Member] = set()
        self._gone: Queue = OrderedDict()  # gave way, and are not closed yet
        self._suppressed: dict[str, _Suppressed] = {}

    def start(self) -> None:
        """Begins to end what takes too long; needs the running event loop, and goes on until it is closed."""
        loop = asyncio.get_running_loop()

        def sweep() -> None:
            self.sweep()
            loop.call_later(_SWEEP_SECONDS, sweep)

        sweep()

    def add(self, connection: Member) -> bool:
        """Admits a new connection in place of the oldest without a complete request; returns whether there is room."""
        has_room = len(self._open) - len(self._gone) < self.limits.connections or self._make_room()
        self._open.add(connection)
        self._metrics.connections = len(self._open)
        self.place(connection, self.arriving, self.limits.read_seconds)
        return has_room

    def remove(self, connection: Member) -> None:
        """Forgets a connection that was closed."""
        self.place(connection, None)
        self._open.discard(connection)
        self._metrics.connections = len(self._open)

    def place(self, connection: Member, queue: Queue | None, seconds: float = 0.0) -> None:
        """Moves a connection to the end of a queue, in which it expires after some seconds; None: it is at work."""
        if connection.queue is not None:
            if connection.queue is self._gone and queue is not None:
                return
            del connection.queue[connection]
        connection.queue = queue if connection in self._open else None
        if connection.queue is not None:
            connection.queue[connection] = self.clock() + seconds

    def limit_memory(self) -> None:
        """Makes room where requests and responses on their way take too much memory: the oldest give way."""
        if not self._is_full():
            return
        for connection in list(self.leaving):
            if not self._is_full():
                return
            unsent_bytes = connection.unsent_bytes
            if unsent_bytes:
                self._unsent_bytes -= unsent_bytes
                connection.give_way(Refusal(503, "memory", "the client did not receive its response"))
                self.place(connection, self._gone, _GONE_SECONDS)
        message = "the server has no memory left for a request that arrives this slowly; try again"
        for connection in list(self.arriving):
            if not self._is_full():
                return
            if connection.buffered_bytes:
                connection.give_way(Refusal(503, "memory", message))

    def count(self, refusal: Refusal) -> None:
        """Counts a refusal, and logs it; of each kind at most one a second."""
        self._metrics.refuse(refusal.reason)
        suppressed, now = self._suppressed.get(refusal.reason), self.clock()
        if suppressed is None or (now >= suppressed.log_at and not suppressed.count):
            log.warning("refused (%s, %d): %s", refusal.reason, refusal.status, refusal.message)
            self._suppressed[refusal.reason] = _Suppressed(now + _LOG_SECONDS)
        else:
            suppressed.count += 1

    def sweep(self) -> None:
        """Ends what took too long, and logs how many refusals were not logged; called periodically."""
        now = self.clock()
        for queue in (self._gone, self.leaving, self.arriving, self.idle):
            expired = [connection for connection, expires_at in queue.items() if expires_at <= now]
            for connection in expired[:_EXPIRIES_PER_SWEEP]:
                connection.expire()
        self._unsent_bytes = sum(connection.unsent_bytes for connection in self.leaving)
        self._metrics.buffered_bytes = self.buffered_bytes + self._unsent_bytes
        self.limit_memory()
        for reason, suppressed in self._suppressed.items():
            if suppressed.count and now >= suppressed.log_at:
                log.warning("refused (%s): %d more", reason, suppressed.count)
                suppressed.count, suppressed.log_at = 0, now + _LOG_SECONDS

    def _is_full(self) -> bool:
        return self.buffered_bytes + self._unsent_bytes > self.limits.buffered_bytes

    def _make_room(self) -> bool:
        """Ends the connection that is the first to give way; returns whether there is one."""
        idle_first = self._are_few_and_young(self.arriving)
        queues = (self.leaving, self.idle, self.arriving) if idle_first else (self.leaving, self.arriving, self.idle)
        connection = next((next(iter(queue)) for queue in queues if queue), None)
        if connection is None:
            return False
        connection.give_way(Refusal(503, "connections", "the server has too many connections; try again"))
        self.place(connection, self._gone, _GONE_SECONDS)
        return True

    def _are_few_and_young(self, queue: Queue) -> bool:
        oldest_expires_at = next(iter(queue.values()), math.inf)
        age = self.clock() - (oldest_expires_at - self.limits.read_seconds)
        return age < _GRACE_SECONDS and len(queue) <= _YOUNG_SHARE * self.limits.connections
