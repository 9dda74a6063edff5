"""What a served model is held to: each bound of the policy with the series that it bounds, written once.

The analyses of rollouts and the alert rules are formatted from these, so that a key of the policy means the same in
both. Requests that the server refuses as the client's fault (4xx) say nothing of the model and count neither as traffic
nor as health.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from modelway.components.core.config.policy import Policy


@dataclass(frozen=True)
class Scope:
    """Whose series are meant, and over what time.

    Attributes:
        selector: What their labels must be, as PromQL has it between braces.
        window: Over how long, such as ``5m``. Empty: since the pods that there are started.
        by: The labels that are kept apart.
    """

    selector: str
    window: str = ""
    by: tuple[str, ...] = ()

    def total(self, series: str, matcher: str = "") -> str:
        """The expression of what a counter counted.

        Args:
            series: The counter's name.
            matcher: One more label's condition.
        """
        selected = f"{series}{{{', '.join(filter(None, (self.selector, matcher)))}}}"
        return f"{self._aggregated('sum')}({f'increase({selected}[{self.window}])' if self.window else selected})"

    def greatest(self, series: str) -> str:
        """The expression of a gauge's greatest value."""
        return f"{self._aggregated('max')}({series}{{{self.selector}}})"

    def _aggregated(self, operator: str) -> str:
        return f"{operator} by ({', '.join(self.by)}) " if self.by else operator


@dataclass(frozen=True)
class Objective:
    """A bound of the policy, and what it bounds.

    Attributes:
        name: What analyses call it.
        key: The policy's key.
        bound: The greatest value, in the unit of `value`.
        value: The expression of what is bounded, in a scope.
    """

    name: str
    key: str
    bound: float
    value: Callable[[Scope], str]


def objectives(policy: Policy) -> list[Objective]:
    """What a policy holds a served model to; what has no bound is not in it."""
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
    """The condition under which a share or a percentile says something."""
    return f"{requests(scope)} >= {policy.deployment.analysis.minimum_requests}"


def requests(scope: Scope) -> str:
    """How many requests were answered, less those that were the client's fault."""
    return scope.total("modelway_requests_total", 'code!~"4.."')


def error_rate(scope: Scope) -> str:
    """The share of 5xx among them; a code that was never answered has no series."""
    counted = requests(scope)
    failed = scope.total("modelway_requests_total", 'code=~"5.."')
    return f"({failed} or 0 * {counted}) / {counted}"


def latency(quantile: float, scope: Scope) -> str:
    """A quantile of the answers' times, in seconds."""
    buckets = replace(scope, by=(*scope.by, "le")).total("modelway_request_seconds_bucket")
    return f"histogram_quantile({quantile:g}, {buckets})"


def drift(scope: Scope) -> str:
    """The greatest drift of a feature, as the server scores it over the latest rows; without a window of its own."""
    return scope.greatest("modelway_feature_drift")
