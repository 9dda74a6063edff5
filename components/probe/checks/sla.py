"""The checks of timed load: errors, latency percentiles, throughput."""

from __future__ import annotations

import math

from modelway.components.core.checks import Check, Verdict, inconclusive, judged, passed_or_failed
from modelway.components.core.config.serving_policy import Serving
from modelway.components.core.config.thresholds import Threshold
from modelway.components.core.measures.quantiles import minimum_samples, rate_interval
from modelway.components.probe.load import Load
from modelway.components.probe.measuring import QUANTILES, Measurements, latency_limits


def load_checks(measurements: Measurements, policy: Serving) -> list[Check]:
    """Checks errors under load, and each percentile and rate that the policy bounds."""
    load, warm_up, sla = measurements.load, measurements.warm_up, policy.sla
    if load is None or warm_up is None:
        limits = {f"latency[{name}]": limit for name, limit in latency_limits(sla).items()}
        if sla.requests_per_second is not None:
            limits["throughput"] = sla.requests_per_second
        reason, rule = "not measured, since the server had died; see the failed checks", policy.on_inconclusive
        return [inconclusive(name, reason, rule=rule, threshold=limit) for name, limit in limits.items()]
    failures = [*warm_up.failures, *load.failures]
    sent = warm_up.requests + load.requests + len(failures)
    message = (
        f"{len(failures)} of {sent:,} requests of real rows, {policy.connections} at a time, were not answered 200"
    )
    if failures:
        message += f"; the first: {failures[0]}; the server's log ends with: {measurements.log}"
    checks = [passed_or_failed("errors", not failures, message=message, observed=len(failures), threshold=0)]
    checks += [_latency(name, load, limit=limit, policy=policy) for name, limit in latency_limits(sla).items()]
    if sla.requests_per_second is not None:
        checks.append(_throughput(load, sla.requests_per_second, policy=policy))
    return checks


def _latency(percentile: str, load: Load, *, limit: float, policy: Serving) -> Check:
    name, quantile = f"latency[{percentile}]", QUANTILES[percentile]
    minimum = minimum_samples(quantile, policy.confidence)
    if not load.requests:
        return inconclusive(name, "no request was answered; see `errors`", rule=policy.on_inconclusive, threshold=limit)
    observed, (low, high) = load.quantile(quantile), load.interval(quantile, policy.confidence)
    verdict = Threshold(max=limit).judge((low, high))
    bounds = f"{low:.1f} to {high:.1f}" if math.isfinite(high) else f"at least {low:.1f}"
    message = (
        f"{percentile} is {observed:.1f} ms ({policy.confidence:.0%} interval {bounds}) {_conditions(load, policy)}; "
        f"the policy allows at most {limit:g} ms"
    )
    if verdict is Verdict.FAILED:
        message += f"; make the model faster, or relax `serving.sla.{percentile}_ms`"
    elif verdict is Verdict.INCONCLUSIVE and load.requests < minimum:
        missing = minimum - load.requests
        message += f"; {missing:,} more requests are needed to decide, {minimum:,} in all"
        message += " (see `serving.requests`)" if load.count < minimum else ", for which there was no time"
    elif verdict is Verdict.INCONCLUSIVE:
        message += "; the interval holds the bound: set `serving.requests` higher, or relax the threshold"
    return judged(
        name,
        verdict,
        message=message,
        rule=policy.on_inconclusive,
        observed=round(observed, 3),
        threshold=limit,
        interval=(round(low, 3), round(high, 3)) if math.isfinite(high) else None,
    )


def _throughput(load: Load, limit: float, *, policy: Serving) -> Check:
    interval = rate_interval(load.ends, load.rate, confidence=policy.confidence)
    message = f"{load.rate:.1f} requests/s"
    if interval is not None:
        message += f" ({policy.confidence:.0%} interval {interval[0]:.1f} to {interval[1]:.1f})"
    message += f" {_conditions(load, policy)}; the policy requires at least {limit:g}"
    verdict = Threshold(min=limit).judge(interval) if interval is not None else Verdict.INCONCLUSIVE
    if verdict is Verdict.INCONCLUSIVE:
        message += "; more requests are needed to decide: set `serving.requests` higher, or relax the threshold"
    elif verdict is Verdict.FAILED:
        message += "; make the model faster, or relax `serving.sla.requests_per_second`"
    return judged(
        "throughput",
        verdict,
        message=message,
        rule=policy.on_inconclusive,
        observed=round(load.rate, 3),
        threshold=limit,
        interval=(round(interval[0], 3), round(interval[1], 3)) if interval is not None else None,
    )


def _conditions(load: Load, policy: Serving) -> str:
    return f"over {load.requests:,} requests of one row, {policy.connections} at a time"
