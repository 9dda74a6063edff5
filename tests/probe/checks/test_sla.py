from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelway.components.core.checks import Check, Verdict
from modelway.components.core.config.serving_policy import Serving
from modelway.components.probe.checks.sla import load_checks
from modelway.components.probe.load import Load
from modelway.components.probe.measuring import Measurements


def load(count: int = 400, requested: int | None = None, failures: tuple[str, ...] = (), slowest: float = 30.0) -> Load:
    """Latencies evenly from 10 ms to the slowest, a hundred requests per second."""
    return Load(
        milliseconds=np.linspace(10, slowest, count),
        ends=np.arange(1, count + 1) / 100,
        count=count if requested is None else requested,
        failures=failures,
        seconds=count / 100,
    )


def checks_of(timed: Load, **sla: Any) -> list[Check]:
    measurements = Measurements(warm_up=load(5), load=timed, log="its log")
    return load_checks(measurements, Serving.model_validate({"sla": sla, "on_inconclusive": "block"}))


@pytest.mark.parametrize(
    ("limit", "verdict"), [(100.0, Verdict.PASSED), (15.0, Verdict.FAILED), (20.0, Verdict.INCONCLUSIVE)]
)
def test_a_percentile_is_judged_by_its_interval(limit: float, verdict: Verdict) -> None:
    errors, latency = checks_of(load(), p50_ms=limit)
    assert errors.verdict is Verdict.PASSED
    assert (latency.name, latency.verdict, latency.threshold) == ("latency[p50]", verdict, limit)
    assert latency.observed == pytest.approx(20, abs=0.1)
    assert latency.blocks is (verdict is not Verdict.PASSED)
    low, high = latency.interval or (0.0, 0.0)
    assert low == pytest.approx(19, abs=0.1)
    assert high == pytest.approx(21, abs=0.1)


def test_too_few_requests_are_inconclusive_and_say_how_many_are_missing() -> None:
    _, latency = checks_of(load(40), p99_ms=1_000)
    assert (latency.verdict, latency.interval) == (Verdict.INCONCLUSIVE, None)
    assert "328 more requests are needed to decide, 368 in all (see `serving.requests`)" in latency.message
    _, latency = checks_of(load(40, requested=368), p99_ms=1_000)
    assert "328 more requests are needed to decide, 368 in all, for which there was no time" in latency.message


def test_few_requests_suffice_to_fail() -> None:
    _, latency = checks_of(load(40), p99_ms=15)
    assert latency.verdict is Verdict.FAILED


@pytest.mark.parametrize(("limit", "verdict"), [(50, Verdict.PASSED), (150, Verdict.FAILED)])
def test_throughput_is_judged(limit: float, verdict: Verdict) -> None:
    _, throughput = checks_of(load(), requests_per_second=limit)
    assert (throughput.name, throughput.verdict, throughput.observed) == ("throughput", verdict, 100.0)


def test_throughput_that_varies_around_the_bound_is_inconclusive() -> None:
    gaps = np.repeat([0.005, 0.015] * 5, 40)
    timed = Load(np.linspace(10, 30, 400), np.cumsum(gaps), 400, (), float(gaps.sum()))
    _, throughput = checks_of(timed, requests_per_second=101)
    assert throughput.verdict is Verdict.INCONCLUSIVE
    low, high = throughput.interval or (0.0, 0.0)
    assert low < 100 < high


def test_a_request_that_is_not_answered_fails_and_quotes_the_first() -> None:
    (errors,) = checks_of(load(failures=("500 (the prediction failed)", "503")))
    assert (errors.verdict, errors.observed) == (Verdict.FAILED, 2)
    assert "2 of 407 requests" in errors.message
    assert "the first: 500 (the prediction failed); the server's log ends with: its log" in errors.message


def test_no_answers_at_all_are_inconclusive() -> None:
    errors, latency = checks_of(load(0, requested=40, failures=("500",)), p50_ms=10)
    assert (errors.verdict, latency.verdict) == (Verdict.FAILED, Verdict.INCONCLUSIVE)


def test_what_was_not_measured_is_inconclusive() -> None:
    policy = Serving.model_validate({"sla": {"p50_ms": 5, "requests_per_second": 9}})
    checks = load_checks(Measurements(death="a row"), policy)
    assert [(check.name, check.verdict) for check in checks] == [
        ("latency[p50]", Verdict.INCONCLUSIVE),
        ("throughput", Verdict.INCONCLUSIVE),
    ]
