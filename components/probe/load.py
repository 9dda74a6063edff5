"""Timed load: single-row requests over some connections, each sending the next when it has its answer."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from modelway.components.core.config.thresholds import Interval
from modelway.components.core.measures.quantiles import Array, quantile_interval
from modelway.components.probe.client import Client


@dataclass(frozen=True)
class Load:
    """The timings of a load.

    Attributes:
        milliseconds: The latencies of requests answered 200, ascending, shape (requests,).
        ends: When those answers were complete, in seconds from the start, ascending, shape (requests,).
        count: How many requests were to be sent.
        failures: The replies to the other requests.
        seconds: The duration of the load.
    """

    milliseconds: Array
    ends: Array
    count: int
    failures: tuple[str, ...]
    seconds: float

    @property
    def requests(self) -> int:
        """The number of requests answered 200."""
        return len(self.milliseconds)

    @cached_property
    def rate(self) -> float:
        """Requests answered per second."""
        return self.requests / self.seconds if self.seconds > 0 else 0.0

    def quantile(self, quantile: float) -> float:
        """A quantile of the milliseconds: the least value with at least this share at or below it."""
        return float(np.quantile(self.milliseconds, quantile, method="inverted_cdf"))

    def interval(self, quantile: float, confidence: float) -> Interval:
        """The quantile's confidence interval: from 0 or to infinity for too few requests."""
        low, high = quantile_interval(self.milliseconds, quantile, confidence=confidence)
        return max(low, 0.0), high


def run_load(port: int, path: str, *, bodies: Sequence[bytes], count: int, connections: int, seconds: float) -> Load:
    """Sends requests and times them.

    Args:
        port: The server's port.
        path: The path of the requests.
        bodies: The bodies, sent in turn.
        count: How many to send.
        connections: How many at a time.
        seconds: When to stop sending, even if fewer have been sent.
    """
    numbers = itertools.count()
    begin = time.perf_counter()

    def send_requests() -> list[tuple[float, float, str]]:
        timings = []
        with closing(Client(port)) as client:
            while time.perf_counter() - begin < seconds and (number := next(numbers)) < count:
                started_at = time.perf_counter()
                reply = client.post(path, bodies[number % len(bodies)])
                timings.append((started_at, time.perf_counter(), "" if reply.status == 200 else str(reply)))
        return timings

    with ThreadPoolExecutor(connections, thread_name_prefix="load") as pool:
        tasks = [pool.submit(send_requests) for _ in range(connections)]
        timings = [timing for task in tasks for timing in task.result()]
    good = [(started_at, end) for started_at, end, failure in timings if not failure]
    last = max((end for _, end, _ in timings), default=begin)
    return Load(
        milliseconds=np.sort(np.array([(end - started_at) * 1000 for started_at, end in good], dtype=np.float64)),
        ends=np.sort(np.array([end - begin for _, end in good], dtype=np.float64)),
        count=count,
        failures=tuple(failure for _, _, failure in timings if failure),
        seconds=last - begin,
    )
