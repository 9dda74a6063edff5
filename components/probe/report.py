"""The serving gate's HTML report."""

from __future__ import annotations

import math

import numpy as np

from modelway.components.core.checks import Gate
from modelway.components.core.config.project import Project
from modelway.components.core.config.serving_policy import Serving
from modelway.components.core.report.html import format_number, render_gate
from modelway.components.probe.load import Load
from modelway.components.probe.measuring import QUANTILES, Measurements, latency_limits

_BARS = 24


def render(gate: Gate, project: Project, *, measurements: Measurements, policy: Serving) -> str:
    """Renders the page: the reasons, latency percentiles and histogram, malformed requests, and every check.

    Args:
        gate: The judged gate.
        project: The model's project.
        measurements: What the probe measured.
        policy: The policy's section `serving`.
    """
    load = measurements.load if measurements.load is not None and measurements.load.requests else None
    labels, shares = _histogram(load) if load is not None else ([], [])
    return render_gate(
        "modelway.components.probe",
        "serving.html.j2",
        gate=gate,
        title=f"Serving of {project.name}",
        load=load,
        percentiles=_percentiles(load, policy) if load is not None else [],
        labels=labels,
        shares=shares,
        policy=policy,
        malformed=measurements.malformed,
        log=measurements.log if gate.counts()["failed"] else "",
    )


def _percentiles(load: Load, policy: Serving) -> list[dict[str, str]]:
    rows, limits = [], latency_limits(policy.sla)
    for name, quantile in QUANTILES.items():
        low, high = load.interval(quantile, policy.confidence)
        rows.append(
            {
                "name": name,
                "observed": _milliseconds(load.quantile(quantile)),
                "low": _milliseconds(low),
                "high": _milliseconds(high) if math.isfinite(high) else "too few requests",
                "allowed": _milliseconds(limits[name]) if name in limits else "not judged",
            }
        )
    return rows


def _milliseconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else format_number(value)


def _histogram(load: Load) -> tuple[list[str], list[float]]:
    """Returns bins of equal width up to the 99th percentile, and one of all that is slower."""
    low, high = float(load.milliseconds[0]), load.quantile(QUANTILES["p99"])
    if high <= low:
        return [f"{low:.1f} ms"], [1.0]
    edges = np.linspace(low, high, _BARS + 1)
    counts, _ = np.histogram(load.milliseconds, edges)
    labels = [f"{edge:.1f} to {edges[number + 1]:.1f} ms" for number, edge in enumerate(edges[:-1])]
    slower = load.requests - int(counts.sum())
    return [*labels, f"over {high:.1f} ms"], [count / load.requests for count in (*counts.tolist(), slower)]
