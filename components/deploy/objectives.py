"""The objectives of a served model: each bound of the policy with the expression that it bounds, defined once.

The analyses of rollouts and the alert rules are both formatted from these, so that a policy key means the same in both.
Requests that the server rejects as the client's fault (4xx) say nothing about the model, and are not counted.

A share of few requests says little, and yet enough where nearly all of them are bad: see `is_certainly_above`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from modelway.components.core.config.policy import Policy


@dataclass(frozen=True)
class Scope:
    """The series that an expression is about, and their time window.

    Attributes:
        selector: Their label matchers, as between the braces of PromQL.
        window: The window, such as ``5m``. Empty: since the current pods started.
        by: The labels to group by.
    """

    selector: str
    window: str = ""
    by: tuple[str, ...] = ()

    def aggregate(self, series: str, matcher: str = "", *, operator: str = "sum") -> str:
        """The expression of a series' total: what a counter counted, or what `operator` makes of a gauge."""
        selected = f"{series}{{{', '.join(filter(None, (self.selector, matcher)))}}}"
        grouping = f" by ({', '.join(self.by)}) " if self.by else ""
        return f"{operator}{grouping}({f'increase({selected}[{self.window}])' if self.window else selected})"


@dataclass(frozen=True)
class Measure:
    """What an analysis measures, in words.

    Attributes:
        label: What it is.
        key: The policy's key that bounds it.
        text: Writes a value of it with its unit.
    """

    label: str
    key: str
    text: Callable[[float], str]


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms" if seconds >= 1 else f"{1000 * seconds:.4g} ms"


# What the metrics of the analyses measure, by the metrics' names.
MEASURES = {
    "error-rate": Measure("error-rate", "deployment.analysis.error_rate", _percent),
    **{
        f"latency-p{percentile}-seconds": Measure(
            f"p{percentile} latency", f"serving.sla.p{percentile}_ms", _milliseconds
        )
        for percentile in (50, 95, 99)
    },
    "drift": Measure("drift", "deployment.analysis.drift", "{:.4g}".format),
    "error-rate-above-stable": Measure(
        "error-rate",
        "deployment.analysis.compare_with_stable.error_rate",
        lambda share: f"{100 * share:.4g} percentage points above the stable version's",
    ),
    "latency-p95-to-stable": Measure(
        "p95 latency",
        "deployment.analysis.compare_with_stable.latency_ratio",
        "{:.4g} times the stable version's".format,
    ),
    "requests": Measure("traffic", "deployment.analysis.minimum_requests", "{:.0f} requests".format),
}
ERROR_LEVEL = 0.001  # how often a version at the bound may be ended wrongly before there are enough requests


@dataclass(frozen=True)
class Objective:
    """A bound of the policy, and what it bounds.

    Attributes:
        name: Its name in analyses and in `MEASURES`.
        bound: The greatest value, in the unit of `value`.
        value: The bounded expression, for a scope.
        certain: The condition under which the value is certainly above the bound, however few the requests are; None:
            it cannot be told of few.
    """

    name: str
    bound: float
    value: Callable[[Scope], str]
    certain: Callable[[Scope], str] | None = None

    @property
    def key(self) -> str:
        """The policy's key."""
        return MEASURES[self.name].key


def objectives(policy: Policy) -> list[Objective]:
    """A policy's objectives for a served model; what has no bound is left out."""
    analysis, sla = policy.deployment.analysis, policy.serving.sla
    result = []
    if (share := analysis.error_rate) is not None:
        result.append(Objective("error-rate", share, error_rate, partial(_too_many_errors, share)))
    for percentile, milliseconds in ((50, sla.p50_ms), (95, sla.p95_ms), (99, sla.p99_ms)):
        if milliseconds is not None:
            quantile, seconds = percentile / 100, milliseconds / 1000
            too_many = partial(_too_many_slow, seconds, 1 - quantile)
            result.append(Objective(f"latency-p{percentile}-seconds", seconds, partial(latency, quantile), too_many))
    if analysis.drift is not None:
        result.append(Objective("drift", analysis.drift, drift))
    return result


def enough_requests(policy: Policy, scope: Scope) -> str:
    """The condition under which a share or a percentile is meaningful."""
    return f"{requests(scope)} >= {policy.deployment.analysis.minimum_requests}"


def is_judged(objective: Objective, policy: Policy, *, scope: Scope) -> str:
    """The condition under which an objective is judged: enough requests, or fewer by which it is certainly missed."""
    enough = enough_requests(policy, scope)
    return enough if objective.certain is None else f"({enough}) or ({objective.certain(scope)})"


def is_certainly_above(bad: float, total: float, *, share: float) -> bool:
    """Whether the true share of bad requests is certainly above a bound, as `certainly_above` has Prometheus compute.

    With k bad of n requests and the bound p it is certain once k/n > p and ``n KL(k/n, p) > ln((n + 1) / 0.001)``. KL
    is the divergence of Kullback and Leibler between two Bernoulli distributions, so ``exp(n KL)`` is the likelihood
    ratio of the observed share to the bound. Averaged over all shares rather than at the observed one, that ratio is
    ``B(k + 1, n - k + 1) / (p^k (1 - p)^(n - k))``, which is at least ``exp(n KL) / (n + 1)``, since a binomial
    probability is at most 1. It is a martingale of mean 1 where the true share is p, so it ever exceeds 1,000 with a
    probability of at most 0.001 (Ville 1939; Robbins 1970 for mixtures): a version at the bound is ended wrongly in
    at most one of 1,000 rollouts, however often it is looked at. A version below the bound is ended even less often,
    since what is certain of k bad requests is certain of more. The requests are taken as independent.

    Args:
        bad: The bad requests.
        total: All requests.
        share: The greatest share that is allowed.
    """
    if not bad or bad / total <= share:
        return False
    if not share:
        return True
    good = total - bad
    log_ratio = bad * math.log(bad / total / share) + (good * math.log(good / total / (1 - share)) if good else 0.0)
    return log_ratio > math.log((total + 1) / ERROR_LEVEL)


def certainly_above(bad: str, good: str, *, total: str, share: float) -> str:
    """The expression of `is_certainly_above`; it has no value where it does not hold or a series is missing.

    Args:
        bad: The expression of the bad requests.
        good: That of the others.
        total: That of all.
        share: The greatest share that is allowed.
    """
    of_bad = f"{bad} * ln({bad} / {total} / {share:.10g})"
    of_good = f"{good} * ln(clamp_min({good} / {total} / {1 - share:.10g}, 1e-300))"  # without good ones: 0, not NaN
    return f"{of_bad} + {of_good} > ln(({total} + 1) / {ERROR_LEVEL:g}) and {good} / {total} < {1 - share:.10g}"


def requests(scope: Scope) -> str:
    """The number of requests that were answered, without those that were the client's fault."""
    return scope.aggregate("modelway_requests_total", 'code!~"4.."')


def error_rate(scope: Scope) -> str:
    """The share of 5xx among the requests; a code that was never answered has no series."""
    total = requests(scope)
    return f"({_errors(scope)} or 0 * {total}) / {total}"


def latency(quantile: float, scope: Scope) -> str:
    """A quantile of the response times, in seconds."""
    buckets = replace(scope, by=(*scope.by, "le")).aggregate("modelway_request_seconds_bucket")
    return f"histogram_quantile({quantile:g}, {buckets})"


def drift(scope: Scope) -> str:
    """The greatest drift of a feature, as the server scores it over its latest rows, whatever the scope's window."""
    return replace(scope, window="").aggregate("modelway_feature_drift", operator="max")


def _errors(scope: Scope) -> str:
    return scope.aggregate("modelway_requests_total", 'code=~"5.."')


def _too_many_errors(share: float, scope: Scope) -> str:
    """The condition under which certainly more than a share of the requests are answered with 5xx."""
    errors, total = _errors(scope), requests(scope)
    return certainly_above(errors, f"({total} - {errors})", total=total, share=share)


def _too_many_slow(seconds: float, share: float, scope: Scope) -> str:
    """The condition under which certainly more than a share of the answers take longer.

    The server's histogram has the SLA's bounds as bucket edges, and writes them as Python does. An edge that it lacks,
    as of another policy, has no series, and nothing is certain.
    """
    total = scope.aggregate("modelway_request_seconds_count")
    within = scope.aggregate("modelway_request_seconds_bucket", f'le="{seconds}"')
    return certainly_above(f"({total} - {within})", within, total=total, share=share)
