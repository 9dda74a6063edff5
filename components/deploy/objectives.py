"""The objectives of a served model: each bound of the policy with the expression that it bounds, defined once.

The analyses of rollouts and the alert rules are both formatted from these, so that a policy key means the same in both.
Requests that the server rejects as the client's fault (4xx) say nothing about the model, and are not counted.
"""

from __future__ import annotations

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
class Objective:
    """A bound of the policy, and what it bounds.

    Attributes:
        name: Its name in analyses.
        key: The policy's key.
        bound: The greatest value, in the unit of `value`.
        value: The bounded expression, for a scope.
    """

    name: str
    key: str
    bound: float
    value: Callable[[Scope], str]


def objectives(policy: Policy) -> list[Objective]:
    """A policy's objectives for a served model; what has no bound is left out."""
    analysis, sla = policy.deployment.analysis, policy.serving.sla
    bounds = [("error-rate", "deployment.analysis.error_rate", analysis.error_rate, error_rate)]
    bounds += [
        (
            f"latency-p{percentile}-seconds",
            f"serving.sla.p{percentile}_ms",
            None if milliseconds is None else milliseconds / 1000,
            partial(latency, percentile / 100),
        )
        for percentile, milliseconds in ((50, sla.p50_ms), (95, sla.p95_ms), (99, sla.p99_ms))
    ]
    bounds += [("drift", "deployment.analysis.drift", analysis.drift, drift)]
    return [Objective(name, key, bound, value) for name, key, bound, value in bounds if bound is not None]


def enough_requests(policy: Policy, scope: Scope) -> str:
    """The condition under which a share or a percentile is meaningful."""
    return f"{requests(scope)} >= {policy.deployment.analysis.minimum_requests}"


def requests(scope: Scope) -> str:
    """The number of requests that were answered, without those that were the client's fault."""
    return scope.aggregate("modelway_requests_total", 'code!~"4.."')


def error_rate(scope: Scope) -> str:
    """The share of 5xx among the requests; a code that was never answered has no series."""
    total = requests(scope)
    errors = scope.aggregate("modelway_requests_total", 'code=~"5.."')
    return f"({errors} or 0 * {total}) / {total}"


def latency(quantile: float, scope: Scope) -> str:
    """A quantile of the response times, in seconds."""
    buckets = replace(scope, by=(*scope.by, "le")).aggregate("modelway_request_seconds_bucket")
    return f"histogram_quantile({quantile:g}, {buckets})"


def drift(scope: Scope) -> str:
    """The greatest drift of a feature, as the server scores it over its latest rows, whatever the scope's window."""
    return replace(scope, window="").aggregate("modelway_feature_drift", operator="max")
