"""The model gate's HTML report."""

from __future__ import annotations

from collections.abc import Mapping

from modelway.components.core.html import render_gate
from modelway.components.core.project import Project
from modelway.components.core.verdict import Check, Gate
from modelway.components.evaluate.curves import Roc, calibration_by_decile
from modelway.components.evaluate.metrics import Predictions


def render(
    gate: Gate,
    project: Project,
    scores: Mapping[str, float],
    predictions: Predictions,
    rocs: list[Roc],
    confusion: list[list[int]],
) -> str:
    """The page: why, scores, curves or predicted against actual, the confusion matrix, slices, and every check."""
    return render_gate(
        "modelway.components.evaluate",
        "model.html.j2",
        gate,
        f"Model of {project.name}",
        scores=scores,
        rows=len(predictions.truth),
        curves=[(roc.name, list(zip(roc.fpr, roc.tpr, strict=True))) for roc in rocs],
        classes=predictions.classes,
        confusion=confusion,
        deciles=[] if predictions.classes else [("tenths of the test split", calibration_by_decile(predictions))],
        slices=_measured_slices(gate),
    )


def _measured_slices(gate: Gate) -> list[Check]:
    """The slices' checks that have a score, the worst first."""
    found = [one for one in gate.checks if one.name.startswith("slice[") and isinstance(one.observed, float)]
    return sorted(found, key=lambda check: float(check.observed or 0.0))
