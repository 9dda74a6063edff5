"""Whether malformed requests are refused, and the server survives them."""

from __future__ import annotations

from collections.abc import Sequence

from modelway.components.core.checks import Check, inconclusive, passed_or_failed
from modelway.components.core.config.serving_policy import Serving
from modelway.components.probe.measuring import MalformedResult, Measurements


def malformed_checks(measurements: Measurements, policy: Serving) -> list[Check]:
    """Checks of each kind of malformed request that it is refused with 4xx and the server survives."""
    kinds: dict[str, list[MalformedResult]] = {}
    for result in measurements.malformed:
        kinds.setdefault(result.request.kind, []).append(result)
    checks = [_malformed(kind, results, measurements) for kind, results in kinds.items()]
    if measurements.death:
        message = f"not all malformed requests were sent, since the server had died of {measurements.death}"
        checks.append(inconclusive("malformed[all]", message, rule=policy.on_inconclusive))
    return checks


def _malformed(kind: str, results: Sequence[MalformedResult], measurements: Measurements) -> Check:
    name = f"malformed[{kind}]"
    for result in results:
        status, request = result.reply.status, result.request
        if result.survived and (400 <= status < 500 or (request.may_be_answered and status == 200)):
            continue
        expected = "4xx or 200" if request.may_be_answered else "4xx"
        message = f"{request.describe()} was answered {result.reply}, not {expected}"
        if not result.survived:
            message += f"; it killed the server: {measurements.death or 'it no longer answers'}"
            message += f"; its log ends with: {measurements.log}"
        if request.may_be_answered:
            message += "; impute missing values in the model, or refuse them with an exception that says so"
        return passed_or_failed(name, False, message=message, observed=status, threshold=expected)
    statuses = " and ".join(sorted({str(result.reply.status) for result in results}))
    subject = f"{len(results)} requests were" if len(results) > 1 else f"{results[0].request.describe()} was"
    error = f" ({results[-1].reply.error})" if results[-1].reply.error else ""
    message = f"{subject} answered {statuses}{error}, and the server survived"
    return passed_or_failed(name, True, message=message, observed=statuses)
