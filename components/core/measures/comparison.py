"""The numbers of a gate that people compare between runs, under names that stay the same from run to run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from modelway.components.core.checks import Check, Gate
from modelway.components.core.config.model_policy import Fairness
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.thresholds import Threshold

# Of each kind of check whose bound has one side only: what its number is called, and the side.
_BOUNDED: dict[str, tuple[str, Literal["min", "max"]]] = {
    "rows": ("rows", "min"),
    "nulls": ("worst_nulls", "max"),
    "rule": ("worst_rule", "max"),
    "leakage": ("worst_leakage", "max"),
    "shared_rows": ("shared_rows", "max"),
    "shared_groups": ("worst_shared_groups", "max"),
    "drift": ("worst_drift", "max"),
    "label_drift": ("label_drift", "max"),
    "concept_drift": ("champion_skill_kept", "min"),
    "new_values": ("worst_new_values", "max"),
    "skew": ("worst_skew", "max"),
    "slice_gap": ("worst_slice_gap_{metric}", "max"),
    "calibration": ("expected_calibration_error", "max"),
    "robustness": ("robustness_{subject}", "max"),
    "prediction_rule": ("worst_prediction_rule", "max"),
    "server_starts": ("ready_seconds", "max"),
    "cold_start": ("cold_start_seconds", "max"),
    "latency": ("{subject}_ms", "max"),
    "errors": ("failed_requests", "max"),
    "throughput": ("requests_per_second", "min"),
}
_COUNTS = {"rows", "shared_groups", "errors"}  # in other kinds a whole number says how few rows there were to judge by
_SUMS = {
    **dict.fromkeys(("minimum", "maximum", "categories", "pattern"), "bad_values"),
    "unique": "repeated_keys",
}  # what the contract allows none of


@dataclass(frozen=True)
class _Reading:
    """One number with its bounds; None: there was nothing to measure."""

    name: str
    observed: float | None
    bounds: Threshold

    @property
    def excess(self) -> float:
        """How far beyond the bounds, or how near to them: the greater the worse."""
        if self.observed is None:
            return -math.inf
        low, high = self.bounds.min, self.bounds.max
        below = -math.inf if low is None else low - self.observed
        above = -math.inf if high is None else _relative_excess(self.observed, high)
        return max(below, above)


def comparison(gate: Gate, policy: Policy, *, measurements: Mapping[str, float]) -> dict[str, float]:
    """The numbers of a gate to compare between runs: counts of checks, and what was judged beside its bounds.

    Every number is finite. A bound has the number's name and ``_min`` or ``_max``. Of checks that repeat over columns,
    slices or groups the worst stands for all of them, so that however wide the data are, there are a few dozen names:
    ``worst_drift`` is the distance that is nearest to its bound or farthest beyond it, ``worst_drift_max`` its bound.

    Args:
        gate: The gate.
        policy: The policy that it was judged by, for the bounds of metrics.
        measurements: What was measured beside, such as scores and latencies; kept as it is under its names.
    """
    worst: dict[str, _Reading] = {}
    for reading in _readings(gate.checks, policy):
        worst[reading.name] = max(worst.get(reading.name, reading), reading, key=lambda either: either.excess)
    values: dict[str, float | None] = {f"checks_{verdict}": count for verdict, count in gate.counts().items()}
    values |= _sums(gate.checks)
    for name, reading in worst.items():
        values |= {name: reading.observed, f"{name}_min": reading.bounds.min, f"{name}_max": reading.bounds.max}
    values |= measurements
    return {name: float(value) for name, value in values.items() if value is not None and math.isfinite(value)}


def _readings(checks: Iterable[Check], policy: Policy) -> Iterable[_Reading]:
    for check in checks:
        parts, observed, threshold = _parts(check.name), _finite(check.observed), _finite(check.threshold)
        kind, _, _ = parts
        if isinstance(check.observed, int) and kind not in _COUNTS:
            observed = threshold = None
        bounded = _bounded(parts, threshold) or _by_metric(parts, policy)
        if bounded is not None:
            yield _Reading(bounded[0], observed, bounded[1])


def _parts(name: str) -> tuple[str, str, str]:
    """The kind, the subject and the metric in a check's name, ``kind[subject].metric``; each may be empty."""
    kind, _, rest = name.partition("[")
    subject, _, metric = rest.rpartition("]")
    return kind, subject, metric.removeprefix(".")


def _bounded(parts: tuple[str, str, str], threshold: float | None) -> tuple[str, Threshold] | None:
    """The name and the bound of a check of a kind whose bound has one side only."""
    if threshold is None:
        return None
    kind, subject, metric = parts
    side: Literal["min", "max"]
    if kind == "fairness":
        base, _, extreme = metric.rpartition(".")
        if extreme not in {"difference", "ratio"} or not base:
            return None
        name, side = f"worst_fairness_{base}_{extreme}", "max" if extreme == "difference" else "min"
    elif kind == "no_regression":
        name, side = f"worst_slice_no_regression_{metric}" if metric else f"no_regression_{subject}", "min"
    elif kind == "drift" and subject == "multivariate":
        name, side = "multivariate_drift", "max"
    elif kind in _BOUNDED and not (kind == "rows" and subject):
        template, side = _BOUNDED[kind]
        name = template.format(subject=subject, metric=metric)
    else:
        return None
    return name, Threshold(min=threshold) if side == "min" else Threshold(max=threshold)


def _by_metric(parts: tuple[str, str, str], policy: Policy) -> tuple[str, Threshold] | None:
    """The name and the bounds of a check of a metric, whose bounds the policy has."""
    kind, subject, metric = parts
    model = policy.model
    slices, segments, fairness = model.slices, model.weak_segments, model.fairness
    name, bounds = {
        "metric": (subject, model.metrics.get(subject)),
        "unseen": (f"unseen_{subject}", model.unseen.get(subject)),
        "slice": (f"worst_slice_{metric}", slices.metrics.get(metric) if slices else None),
        "weak_segment": (f"worst_weak_segment_{metric}", segments.metrics.get(metric) if segments else None),
        "fairness": (f"worst_fairness_{metric}", _fairness_bounds(metric, fairness) if fairness else None),
    }.get(kind, ("", None))
    if bounds is None or (bounds.min is None and bounds.max is None):
        return None
    return name, bounds


def _fairness_bounds(metric: str, fairness: Fairness) -> Threshold | None:
    measures: dict[str, Threshold] = {str(name): bounds for name, bounds in fairness.metrics.items()}
    return measures.get(metric, fairness.groups.get(metric))


def _finite(value: float | str | None) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _relative_excess(observed: float, upper: float) -> float:
    """How far beyond an upper bound, in multiples of it: bounds of several columns may differ."""
    if upper > 0:
        return observed / upper - 1
    if upper == 0:
        return observed if observed > 0 else -1.0
    return observed - upper


def _sums(checks: Iterable[Check]) -> dict[str, float]:
    """How many values and keys the contract does not allow, of all its columns together."""
    sums: dict[str, float] = {}
    for check in checks:
        kind, _, _ = _parts(check.name)
        name = _SUMS.get(kind)
        if name is not None:
            sums[name] = sums.get(name, 0.0) + (_finite(check.observed) or 0.0)
    return sums
