"""The checks of timed load: errors, percentiles of the latency, throughput."""

from __future__ import annotations

import math

from modelway.components.core.checks import Check, Verdict, inconclusive, judged, passed_or_failed
from modelway.components.core.config.serving_policy import Serving
from modelway.components.core.config.thresholds import Threshold
from modelway.components.probe.load import Load
from modelway.components.probe.measuring import QUANTILES, Observed, allowed
from modelway.components.probe.quantiles import fewest


def load_checks(observed: Observed, policy: Serving) -> list[Check]:
    """Errors under load, and a check for each percentile and rate that the policy asks for."""
    load, warm_up, sla = observed.load, observed.warm_up, policy.sla
    wanted = {f"latency[{name}]": most for name in QUANTILES if (most := allowed(sla, name)) is not None}
    if load is None or warm_up is None:
        if sla.requests_per_second is not None:
            wanted["throughput"] = sla.requests_per_second
        why = "not measured, since the server had died; see the failed checks"
        return [inconclusive(name, why, rule=policy.on_inconclusive, threshold=asks) for name, asks in wanted.items()]
    failures = [*warm_up.failures, *load.failures]
    sent = warm_up.requests + load.requests + len(failures)
    message = (
        f"{len(failures)} of {sent:,} requests of real rows, {policy.connections} at a time, were not answered 200"
    )
    if failures:
        message += f"; the first: {failures[0]}; the server's log ends with: {observed.log}"
    checks = [passed_or_failed("errors", not failures, message=message, observed=len(failures), threshold=0)]
    checks += [
        _latency(name, load, most=most, policy=policy) for name in QUANTILES if (most := allowed(sla, name)) is not None
    ]
    if sla.requests_per_second is not None:
        checks.append(_throughput(load, sla.requests_per_second, policy=policy))
    return checks


def _latency(percentile: str, load: Load, *, most: float, policy: Serving) -> Check:
    name, quantile = f"latency[{percentile}]", QUANTILES[percentile]
    needed = fewest(quantile, policy.confidence)
    if not load.requests:
        return inconclusive(name, "no request was answered; see `errors`", rule=policy.on_inconclusive, threshold=most)
    observed, (low, high) = load.quantile(quantile), load.interval(quantile, policy.confidence)
    low = max(low, 0.0)
    verdict = Threshold(max=most).judge((low, high))
    shown = f"{low:.1f} to {high:.1f}" if math.isfinite(high) else f"at least {low:.1f}"
    message = (
        f"{percentile} is {observed:.1f} ms ({policy.confidence:.0%} interval {shown}) {_where(load, policy)}; "
        f"the policy asks for at most {most:g} ms"
    )
    interval = (round(low, 3), round(high, 3)) if math.isfinite(high) else None
    if verdict is Verdict.FAILED:
        message += f"; make the model faster, or relax `serving.sla.{percentile}_ms`"
    elif verdict is Verdict.INCONCLUSIVE and load.requests < needed:
        missing = needed - load.requests
        message += f"; {missing:,} more requests are needed to tell, {needed:,} in all"
        message += " (see `serving.requests`)" if load.asked < needed else ", for which there was no time"
    elif verdict is Verdict.INCONCLUSIVE:
        message += "; the interval holds the bound: set `serving.requests` higher, or relax the threshold"
    return judged(
        name,
        verdict,
        message=message,
        rule=policy.on_inconclusive,
        observed=round(observed, 3),
        threshold=most,
        interval=interval,
    )


def _throughput(load: Load, least: float, *, policy: Serving) -> Check:
    interval = load.rate_interval(policy.confidence)
    message = f"{load.rate:.1f} requests/s"
    if interval is not None:
        message += f" ({policy.confidence:.0%} interval {interval[0]:.1f} to {interval[1]:.1f})"
    message += f" {_where(load, policy)}; the policy asks for at least {least:g}"
    observed = round(load.rate, 3)
    rounded = (round(interval[0], 3), round(interval[1], 3)) if interval is not None else None
    verdict = Threshold(min=least).judge(interval) if interval is not None else Verdict.INCONCLUSIVE
    if verdict is Verdict.INCONCLUSIVE:
        message += "; more requests are needed to tell: set `serving.requests` higher, or relax the threshold"
    elif verdict is Verdict.FAILED:
        message += "; make the model faster, or relax `serving.sla.requests_per_second`"
    return judged(
        "throughput",
        verdict,
        message=message,
        rule=policy.on_inconclusive,
        observed=observed,
        threshold=least,
        interval=rounded,
    )


def _where(load: Load, policy: Serving) -> str:
    return f"over {load.requests:,} requests of one row, {policy.connections} at a time"
