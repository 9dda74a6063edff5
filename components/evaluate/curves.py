"""What the dashboard and the report draw: ROC curves, confusion matrices, predicted against actual."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import confusion_matrix, roc_curve

from modelway.components.core.measures.metrics import Predictions

POINTS = 200


@dataclass(frozen=True)
class Roc:
    """One class against the rest: false and true positive rates and their thresholds, a few hundred points at most."""

    name: str
    fpr: list[float]
    tpr: list[float]
    thresholds: list[float]


def roc_curves(predictions: Predictions) -> list[Roc]:
    """A curve for the positive class, or for each of several classes; none without probabilities."""
    if predictions.probabilities is None:
        return []
    numbers = [1] if len(predictions.classes) == 2 else range(len(predictions.classes))
    curves = []
    for number in numbers:
        truth = predictions.truth == number
        if truth.all() or not truth.any():
            continue
        fpr, tpr, thresholds = roc_curve(truth, predictions.probabilities[:, number])
        indices = np.unique(np.linspace(0, len(fpr) - 1, POINTS).astype(int))
        finite = np.minimum(thresholds[indices], 1.0)  # scikit-learn starts at infinity, which KFP refuses
        curves.append(Roc(predictions.classes[number], fpr[indices].tolist(), tpr[indices].tolist(), finite.tolist()))
    return curves


def confusion(predictions: Predictions) -> list[list[int]]:
    """Counts by true class (rows) and predicted class (columns)."""
    labels = range(len(predictions.classes))
    counts: list[list[int]] = confusion_matrix(predictions.truth, predictions.predicted, labels=list(labels)).tolist()
    return counts


def calibration_by_decile(predictions: Predictions) -> list[tuple[float, float]]:
    """Regression: the mean prediction and the mean truth in each tenth of the predictions, scaled to 0..1 together."""
    order = np.argsort(predictions.predicted, kind="stable")
    parts = [part for part in np.array_split(order, 10) if part.size]
    points = [(predictions.predicted[part].mean(), predictions.truth[part].mean()) for part in parts]
    low = min(min(point) for point in points)
    span = max(max(point) for point in points) - low or 1.0
    return [(float((x - low) / span), float((y - low) / span)) for x, y in points]
