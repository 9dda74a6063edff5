from __future__ import annotations

import numpy as np

from modelway.components.probe.load import Load, run_load


def test_requests_are_sent_over_connections_and_timed(http_port: int) -> None:
    load = run_load(http_port, "/", bodies=[b"1", b"2"], count=30, connections=3, seconds=20)
    assert (load.requests, load.count, load.failures) == (30, 30, ())
    assert (np.diff(load.milliseconds) >= 0).all()
    assert load.ends[-1] <= load.seconds
    assert load.rate == 30 / load.seconds


def test_replies_other_than_200_are_failures(http_port: int) -> None:
    load = run_load(http_port, "/fail", bodies=[b"{}"], count=4, connections=2, seconds=20)
    assert (load.requests, load.failures) == (0, ("500",) * 4)


def test_nothing_is_sent_after_the_time_is_up(http_port: int) -> None:
    load = run_load(http_port, "/", bodies=[b"{}"], count=1_000_000, connections=1, seconds=0.05)
    assert 0 < load.requests < load.count


def test_a_quantile_is_a_latency_that_was_measured() -> None:
    load = Load(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0, 4.0]), 4, (), 4.0)
    assert (load.quantile(0.5), load.quantile(0.51), load.rate) == (2.0, 3.0, 1.0)
