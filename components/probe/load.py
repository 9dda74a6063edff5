"""Timed load: a number of single-row requests over some connections, each sending its next when it has its answer."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from modelway.components.core.config.thresholds import Interval
from modelway.components.probe.client import Client
from modelway.components.probe.quantiles import quantile_interval, rate_interval

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Load:
    """What was timed.

    Attributes:
        milliseconds: From sending to the whole answer, of those answered 200, ascending, shape (requests,).
        ends: When those answers were there, in seconds since the beginning, ascending, shape (requests,).
        asked: How many requests were to be sent.
        failures: What came back instead of an answer, one each.
        seconds: How long all of it took.
    """

    milliseconds: Array
    ends: Array
    asked: int
    failures: tuple[str, ...]
    seconds: float

    @property
    def requests(self) -> int:
        """How many were answered 200."""
        return len(self.milliseconds)

    @cached_property
    def rate(self) -> float:
        """Requests answered per second."""
        return self.requests / self.seconds if self.seconds > 0 else 0.0

    def rate_interval(self, confidence: float) -> Interval | None:
        """The rate's confidence interval; None of too few requests."""
        return rate_interval(self.ends, self.rate, confidence=confidence)

    def quantile(self, quantile: float) -> float:
        """A quantile of the milliseconds: the least value that at least this share lies at or below."""
        return float(np.quantile(self.milliseconds, quantile, method="inverted_cdf"))

    def interval(self, quantile: float, confidence: float) -> Interval:
        """The quantile's confidence interval; infinite where there are too few requests."""
        return quantile_interval(self.milliseconds, quantile, confidence=confidence)


def run_load(port: int, path: str, *, bodies: Sequence[bytes], count: int, connections: int, seconds: float) -> Load:
    """Sends requests and times them.

    Args:
        port: The server's.
        path: Where they are sent.
        bodies: What is sent, in turn.
        count: How many to send.
        connections: How many at a time.
        seconds: When to stop sending, even if fewer are sent.
    """
    numbers = itertools.count()
    begin = time.perf_counter()

    def keep_asking() -> list[tuple[float, float, str]]:
        client, timed = Client(port), []
        while time.perf_counter() - begin < seconds and (number := next(numbers)) < count:
            sent = time.perf_counter()
            reply = client.post(path, bodies[number % len(bodies)])
            timed.append((sent, time.perf_counter(), "" if reply.status == 200 else str(reply)))
        client.close()
        return timed

    with ThreadPoolExecutor(connections, thread_name_prefix="load") as pool:
        tasks = [pool.submit(keep_asking) for _ in range(connections)]
        timed = [one for task in tasks for one in task.result()]
    good = [(sent, end) for sent, end, failure in timed if not failure]
    last = max((end for _, end, _ in timed), default=begin)
    return Load(
        milliseconds=np.sort(np.array([(end - sent) * 1000 for sent, end in good], dtype=np.float64)),
        ends=np.sort(np.array([end - begin for _, end in good], dtype=np.float64)),
        asked=count,
        failures=tuple(failure for _, _, failure in timed if failure),
        seconds=last - begin,
    )
