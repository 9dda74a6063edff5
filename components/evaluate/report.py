"""The model gate's HTML report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelway.components.core.checks import Check, Gate
from modelway.components.core.config.project import Project
from modelway.components.core.measures.metrics import Predictions
from modelway.components.core.report.html import WORST_FIRST, render_gate
from modelway.components.evaluate.checks.calibration import reliability
from modelway.components.evaluate.curves import Roc, calibration_by_decile
from modelway.components.evaluate.sample import Sample
from modelway.components.evaluate.statistics.estimates import Estimate

MOST_BARS = 60
MOST_CLASSES = 6  # more cannot be distinguished in a narrow panel
MATRIX_LETTERS = 38  # that fit side by side in it, each count with a space
MOST_CONFUSIONS = 12
_BINS = 10
_SECTIONS = {
    "Against the champion": (
        "no_regression[",
        "right of the dashed line (the margin) is as good; the grey line is equal",
    ),
    "Unseen rows": ("unseen[", "rows that were held back from training and testing"),
    "Slices": ("slice[", "the dashed line is the policy's threshold"),
    "Slices against all rows": ("slice_gap[", "how much worse than on all rows; left of the dashed line passes"),
    "Weak segments": ("weak_segment[", "found on one half of the test rows, judged on the other; the worst first"),
    "Fairness": ("fairness[", "the dashed line is the policy's threshold"),
    "Robustness": ("robustness[", "how much the metric drops on disturbed input; left of the dashed line passes"),
    "Rules on predictions": (
        "prediction_rule[",
        "the share of rows that break the rule; left of the dashed line passes",
    ),
}


@dataclass(frozen=True)
class Bar:
    """One check as an interval on a line: positions are shares of the line's length, 0 to 1; None: not drawn."""

    check: Check
    point: float
    low: float
    high: float
    threshold: float | None
    zero: float | None


@dataclass(frozen=True)
class Confusion:
    """How many rows of one class were predicted to be of another."""

    actual: str
    predicted: str
    rows: int


@dataclass(frozen=True)
class CheckSection:
    """Checks of one kind; those of one metric share a scale."""

    title: str
    note: str
    charts: list[tuple[str, list[Bar]]]
    undrawn: list[Check]


def render(
    gate: Gate,
    project: Project,
    *,
    estimates: Mapping[str, Estimate],
    predictions: Predictions | None,
    sample: Sample | None = None,
    rocs: list[Roc],
    confusion: list[list[int]],
) -> str:
    """Renders the page: why, scores with intervals, curves, comparisons, and every check.

    Args:
        gate: The judged gate.
        project: The project.
        estimates: The measured metrics, by name.
        predictions: Of the test rows; None where nothing was predicted.
        sample: What the metrics were measured on; None where nothing was.
        rocs: The curves to draw.
        confusion: Counts by true and predicted class.
    """
    classes = () if predictions is None else predictions.classes
    bins = reliability(predictions, _BINS) if predictions is not None and classes else None
    deciles = calibration_by_decile(predictions) if predictions is not None and not classes else None
    curves = sorted(rocs, key=lambda roc: float(np.trapezoid(roc.tpr, roc.fpr)))[:MOST_CLASSES]
    return render_gate(
        "modelway.components.evaluate",
        "model.html.j2",
        gate=gate,
        title=f"Model of {project.name}",
        scores={name: estimate for name, estimate in estimates.items() if math.isfinite(estimate.value)},
        scope=sample.scope if sample else "",
        note=sample.note if sample else "",
        curves=[(roc.name, list(zip(roc.fpr, roc.tpr, strict=True))) for roc in curves],
        curves_left_out=len(rocs) - len(curves),
        reliability=[] if bins is None else [("bins", list(zip(bins.predicted, bins.observed, strict=True)))],
        classes=classes,
        confusion=confusion if is_legible(confusion) else [],
        confusions=[] if is_legible(confusion) else most_confused(classes, confusion),
        deciles=[] if deciles is None else [("tenths of the test split", deciles)],
        sections=sections(gate.checks),
    )


def is_legible(confusion: Sequence[Sequence[int]]) -> bool:
    """Whether a matrix of counts fits a narrow panel."""
    largest = max((count for counts in confusion for count in counts), default=0)
    return len(confusion) <= MOST_CLASSES and len(confusion) * (len(f"{largest:,}") + 1) <= MATRIX_LETTERS


def most_confused(classes: Sequence[str], confusion: Sequence[Sequence[int]]) -> list[Confusion]:
    """The pairs of classes that are confused most often, for a matrix too large to read."""
    pairs = [
        Confusion(actual, predicted, rows)
        for actual, counts in zip(classes, confusion, strict=True)
        for predicted, rows in zip(classes, counts, strict=True)
        if predicted != actual and rows
    ]
    return sorted(pairs, key=lambda pair: -pair.rows)[:MOST_CONFUSIONS]


def sections(checks: Sequence[Check]) -> list[CheckSection]:
    """The checks that are shown as intervals, by kind and metric; failed ones first, the first few dozen of each."""
    sections = []
    for title, (start, note) in _SECTIONS.items():
        section_checks = [check for check in checks if check.name.startswith(start)]
        drawable = [check for check in section_checks if _is_drawn(check)]
        if start != "weak_segment[":
            drawable.sort(key=lambda check: WORST_FIRST[check.verdict])
        metrics = dict.fromkeys(_metric(check) for check in drawable)
        charts = [
            (metric, bars([check for check in drawable if _metric(check) == metric][:MOST_BARS])) for metric in metrics
        ]
        undrawn = [check for check in section_checks if check not in drawable][:MOST_BARS]
        if section_checks:
            sections.append(CheckSection(title, note, charts, undrawn))
    return sections


def bars(checks: Sequence[Check]) -> list[Bar]:
    """Checks on one common scale, from the least to the greatest of their values, intervals and thresholds."""
    values = [value for check in checks for value in (*_ends(check), _threshold(check)) if value is not None]
    low, high = min(values, default=0.0), max(values, default=1.0)
    pad = (high - low or abs(high) or 1.0) * 0.05
    low, span = low - pad, high - low + 2 * pad

    def place(value: float) -> float:
        return (value - low) / span

    result = []
    zero = place(0.0) if low < 0 < low + span else None
    for check in checks:
        point, threshold = place(float(check.observed or 0.0)), _threshold(check)
        start, end = map(place, _ends(check))
        result.append(Bar(check, point, start, end, None if threshold is None else place(threshold), zero))
    return result


def _ends(check: Check) -> tuple[float, float]:
    """The interval where it is finite, else the point."""
    point = float(check.observed or 0.0)
    if check.interval is None:
        return point, point
    low, high = check.interval
    return (low if math.isfinite(low) else point), (high if math.isfinite(high) else point)


def _threshold(check: Check) -> float | None:
    return float(check.threshold) if isinstance(check.threshold, int | float) else None


def _is_drawn(check: Check) -> bool:
    """Whether a check is a point on a scale: not where it observed rows, or had no champion to compare with."""
    is_comparison = check.threshold is not None or not check.name.startswith("no_regression[")
    return is_comparison and isinstance(check.observed, float) and math.isfinite(check.observed)


def _metric(check: Check) -> str:
    """What stands after the brackets, or within them where that is a metric; of other kinds one scale serves all."""
    subject, _, metric = check.name.rpartition("]")
    kind, _, inner = subject.partition("[")
    return metric.removeprefix(".") or (inner if kind in {"unseen", "no_regression"} else "")
