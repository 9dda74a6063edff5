"""How long the first right answer takes, from starting the server."""

from __future__ import annotations

from modelway.components.core.checks import Check, inconclusive, passed_or_failed
from modelway.components.core.config.serving_policy import Serving
from modelway.components.probe.answers import Outputs, difference
from modelway.components.probe.measuring import Observed
from modelway.components.probe.requests import Sample


def cold_start_check(observed: Observed, sample: Sample, *, expected: Outputs | None, policy: Serving) -> list[Check]:
    """How long the first right answer took; no check where the policy does not ask."""
    most, first, seconds = policy.sla.cold_start_seconds, observed.first, observed.first_seconds
    if most is None or first is None or seconds is None:
        return []
    wrong = expected is None or difference(first, expected, tolerance=policy.tolerance, sample=sample)
    if wrong:
        message = "the first answer was not right, so there is no time to judge; see `predictions_match`"
        return [inconclusive("cold_start", message, rule=policy.on_inconclusive, threshold=most)]
    message = f"{seconds:.2f} seconds from starting the server to its first right answer; the policy allows {most:g}"
    if seconds > most:
        message += "; make the model smaller, or relax `serving.sla.cold_start_seconds`"
    return [
        passed_or_failed("cold_start", seconds <= most, message=message, observed=round(seconds, 3), threshold=most)
    ]
