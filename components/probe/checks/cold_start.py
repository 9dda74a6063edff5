"""How long the first correct answer takes, from starting the server."""

from __future__ import annotations

from modelway.components.core.checks import Check, inconclusive, passed_or_failed
from modelway.components.core.config.serving_policy import Serving
from modelway.components.probe.answers import Outputs, difference
from modelway.components.probe.measuring import Measurements
from modelway.components.probe.requests import Sample


def cold_start_check(
    measurements: Measurements, sample: Sample, *, expected: Outputs | None, policy: Serving
) -> list[Check]:
    """Checks how long the first correct answer took; returns no check if the policy has no bound."""
    limit, first, seconds = policy.sla.cold_start_seconds, measurements.first, measurements.first_seconds
    if limit is None or first is None or seconds is None:
        return []
    if expected is None or difference(first, expected, tolerance=policy.tolerance, sample=sample):
        message = "the first answer was not correct, so there is no time to judge; see `predictions_match`"
        return [inconclusive("cold_start", message, rule=policy.on_inconclusive, threshold=limit)]
    message = f"{seconds:.2f} seconds from starting the server to its first correct answer; the policy allows {limit:g}"
    if seconds > limit:
        message += "; make the model smaller, or relax `serving.sla.cold_start_seconds`"
    return [
        passed_or_failed("cold_start", seconds <= limit, message=message, observed=round(seconds, 3), threshold=limit)
    ]
