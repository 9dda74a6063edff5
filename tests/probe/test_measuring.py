from __future__ import annotations

import pytest

from modelway.components.core.config.serving_policy import Sla
from modelway.components.probe.client import Reply
from modelway.components.probe.measuring import MalformedResult, Measurements, requests_needed
from modelway.components.probe.requests import MalformedRequest


@pytest.mark.parametrize(
    ("sla", "expected"), [({}, 72), ({"p50_ms": 5}, 72), ({"p95_ms": 5}, 72), ({"p50_ms": 5, "p99_ms": 9}, 368)]
)
def test_enough_requests_are_sent_for_the_highest_percentile_asked_for(sla: dict[str, float], expected: int) -> None:
    assert requests_needed(Sla(**sla), 0.95) == expected


def test_a_death_before_the_malformed_requests_is_by_a_row() -> None:
    result = MalformedResult(MalformedRequest("null", "", "/", b""), Reply(0), survived=False)
    assert Measurements(death="row 1").killed_by_row
    assert not Measurements(death="null", malformed=(result,)).killed_by_row
    assert not Measurements().killed_by_row
