from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from modelway.components.serve.metrics import Metrics

MODEL = {"name": "loans", "version": "3", "model_hash": "ab"}


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    content, kind = metrics.exposition()
    assert kind.startswith("text/plain")
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(content.decode())
        for sample in family.samples
    }


def test_requests_are_counted_by_status_and_latency() -> None:
    metrics = Metrics(MODEL, bounds=(0.0075,))
    for status, seconds in ((200, 0.001), (200, 0.0075), (422, 0.0076), (500, 99.0)):
        metrics.observe(status, seconds)
    values = samples(metrics)
    assert [values["modelway_requests_total", code] for code in ("200", "422", "500")] == [2, 1, 1]
    bounds = ("0.0005", "0.001", "0.005", "0.0075", "0.01", "10.0", "+Inf")
    assert [values["modelway_request_seconds_bucket", bound] for bound in bounds] == [0, 1, 1, 2, 3, 3, 4]
    assert values["modelway_request_seconds_count",] == 4
    assert values["modelway_request_seconds_sum",] == pytest.approx(99.0161)
    assert values["modelway_model_info", "ab", "loans", "3"] == 1


def test_there_is_an_edge_beyond_each_bound_so_that_a_quantile_can_exceed_it() -> None:
    metrics = Metrics(MODEL, bounds=(10.0, 15.0))
    metrics.observe(200, 17.0)
    exposition, _ = metrics.exposition()
    lines = [line for line in exposition.decode().splitlines() if line.startswith("modelway_request_seconds_bucket")]
    assert [line.split('"')[1] for line in lines][-5:] == ["10.0", "15.0", "20.0", "30.0", "+Inf"]
    assert [float(line.split()[-1]) for line in lines][-5:] == [0, 0, 1, 1, 1]


def test_drift_load_and_log_are_shown_as_they_are_now() -> None:
    drift, rows = {"income": 0.1}, {"written": 5.0, "dropped": 2.0}
    metrics = Metrics(MODEL, drift=lambda: drift, log=lambda: rows)
    metrics.in_flight = 3
    assert samples(metrics)["modelway_feature_drift", "income"] == 0.1
    drift["income"] = 0.4
    values = samples(metrics)
    assert values["modelway_feature_drift", "income"] == 0.4
    assert (values["modelway_log_written_total",], values["modelway_log_dropped_total",]) == (5, 2)
    assert values["modelway_in_flight",] == 3


def test_connections_and_refusals_are_shown() -> None:
    metrics = Metrics(MODEL)
    metrics.connections, metrics.buffered_bytes = 7, 1000
    for reason in ("slow", "slow", "head"):
        metrics.refuse(reason)
    values = samples(metrics)
    assert (values["modelway_connections",], values["modelway_buffered_bytes",]) == (7, 1000)
    assert [values["modelway_refused_total", reason] for reason in ("slow", "head")] == [2, 1]


def test_without_a_log_there_are_no_counts_of_one() -> None:
    assert not any(name.startswith("modelway_log") for name, *_ in samples(Metrics(MODEL)))
