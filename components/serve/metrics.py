"""The metrics that Prometheus scrapes: requests by status, latency, drift, and rows of the prediction log.

A request costs two increments; the rest is computed when it is scraped. Only requests for predictions are counted,
since those for health and metrics say nothing about the model.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Gauges = Callable[[], Mapping[str, float]]


class Metrics:
    """Counts requests.

    Attributes:
        in_flight: Predictions under way.
        connections: Open connections.
        buffered_bytes: The memory that requests and responses on their way take.

    Args:
        model: The labels of ``modelway_model_info``.
        bounds: Further bounds of latency buckets, in seconds; the policy's.
        drift: Returns each feature's drift score.
        log: Returns the prediction log's counts of rows, if there is a log.
    """

    def __init__(
        self, model: Mapping[str, str], bounds: Iterable[float] = (), *, drift: Gauges = dict, log: Gauges = dict
    ) -> None:
        self.in_flight = self.connections = self.buffered_bytes = 0
        self._model = dict(model)
        policy_bounds = tuple(bounds)
        # Above the greatest edge a quantile is taken to be that edge, which would never exceed a bound that is there.
        beyond = {2 * bound for bound in policy_bounds if bound >= _BOUNDS[-1]}
        self._bounds = sorted({*_BOUNDS, *policy_bounds, *beyond})
        self._buckets = [0] * (len(self._bounds) + 1)
        self._seconds = 0.0
        self._codes: dict[int, int] = {200: 0}
        self._refused: dict[str, int] = {}
        self._drift, self._log = drift, log

    def observe(self, status: int, seconds: float) -> None:
        """Counts one request for a prediction."""
        self._codes[status] = self._codes.get(status, 0) + 1
        self._buckets[bisect_left(self._bounds, seconds)] += 1
        self._seconds += seconds

    def refuse(self, reason: str) -> None:
        """Counts a request or connection that was refused before it was complete."""
        self._refused[reason] = self._refused.get(reason, 0) + 1

    def exposition(self) -> tuple[bytes, str]:
        """Returns all metrics in Prometheus' text format, and its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        ProcessCollector(registry=registry)
        return generate_latest(registry), CONTENT_TYPE_LATEST

    def collect(self) -> Iterator[Metric]:
        """Yields the metrics; called by the registry."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        requests = CounterMetricFamily(
            "modelway_requests", "Requests for predictions, by HTTP status.", labels=["code"]
        )
        for code, count in sorted(self._codes.items()):
            requests.add_metric([str(code)], count)
        yield requests
        buckets, below = [], 0.0
        for bound, count in zip([*map(str, self._bounds), "+Inf"], self._buckets, strict=True):
            below += count
            buckets.append((bound, below))
        latency = HistogramMetricFamily("modelway_request_seconds", "From a request's arrival to its answer's end.")
        latency.add_metric([], buckets, self._seconds)
        yield latency
        yield GaugeMetricFamily("modelway_in_flight", "Predictions under way.", self.in_flight)
        yield GaugeMetricFamily("modelway_connections", "Open connections.", self.connections)
        yield GaugeMetricFamily(
            "modelway_buffered_bytes", "Memory that requests and responses on their way take.", self.buffered_bytes
        )
        refused = CounterMetricFamily(
            "modelway_refused",
            "Requests and connections that were refused before a request was complete, by reason.",
            labels=["reason"],
        )
        for reason, count in sorted(self._refused.items()):
            refused.add_metric([reason], count)
        yield refused
        drift = GaugeMetricFamily(
            "modelway_feature_drift",
            "Population stability index of the latest rows against the training split's, less what chance adds.",
            labels=["feature"],
        )
        for name, score in self._drift().items():
            drift.add_metric([name], score)
        yield drift
        for name, rows in self._log().items():
            yield CounterMetricFamily(f"modelway_log_{name}", f"Rows of the prediction log that were {name}.", rows)
        info = GaugeMetricFamily("modelway_model_info", "What is served.", labels=list(self._model))
        info.add_metric(list(self._model.values()), 1)
        yield info
