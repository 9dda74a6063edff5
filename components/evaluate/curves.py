"""What the dashboard and the report draw: ROC curves, confusion matrices, predicted against actual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from sklearn.metrics import roc_curve

from modelway.components.core.measures.metrics import Array, Predictions

POINTS = 200


@dataclass(frozen=True)
class Roc:
    """One class against the rest: false and true positive rates and their thresholds, a few hundred points at most."""

    name: str
    fpr: list[float]
    tpr: list[float]
    thresholds: list[float]


def roc_curves(predictions: Predictions) -> list[Roc]:
    """A curve for the positive class, or for each of several classes; none without probabilities or scores.

    Scores of a decision function are drawn by their ranks, 0 to 1, which have the same curve.
    """
    if predictions.probabilities is None:
        return [] if predictions.ranking is None else _curves(predictions, [_ranks(predictions.ranking)], first=1)
    first = 1 if len(predictions.classes) == 2 else 0
    return _curves(predictions, list(predictions.probabilities.T[first:]), first=first)


def _curves(predictions: Predictions, columns: Sequence[Array], *, first: int) -> list[Roc]:
    """A curve for each column of scores, of the classes from the first on that have rows on both sides."""
    curves = []
    for number, scores in enumerate(columns, start=first):
        truth = predictions.truth == number
        if truth.all() or not truth.any():
            continue
        fpr, tpr, thresholds = roc_curve(truth, scores)
        indices = np.unique(np.linspace(0, len(fpr) - 1, POINTS).astype(int))
        finite = np.minimum(thresholds[indices], 1.0)  # scikit-learn starts at infinity, which KFP refuses
        curves.append(Roc(predictions.classes[number], fpr[indices].tolist(), tpr[indices].tolist(), finite.tolist()))
    return curves


def _ranks(scores: Array) -> Array:
    """The scores' ranks, between 0 and 1."""
    return np.asarray(rankdata(scores) / len(scores))


def confusion(predictions: Predictions) -> list[list[int]]:
    """Counts by true class (rows) and predicted class (columns); rows of classes that the model knows."""
    size = len(predictions.classes)
    known = (predictions.truth < size) & (predictions.predicted < size)
    cells = predictions.truth[known] * size + predictions.predicted[known]
    counts: list[list[int]] = np.bincount(cells, minlength=size * size).reshape(size, size).tolist()
    return counts


def calibration_by_decile(predictions: Predictions) -> list[tuple[float, float]]:
    """Regression: the mean prediction and the mean truth in each tenth of the predictions, scaled to 0..1 together."""
    order = np.argsort(predictions.predicted, kind="stable")
    parts = [part for part in np.array_split(order, 10) if part.size]
    points = [(predictions.predicted[part].mean(), predictions.truth[part].mean()) for part in parts]
    low = min(min(point) for point in points)
    span = max(max(point) for point in points) - low or 1.0
    return [(float((x - low) / span), float((y - low) / span)) for x, y in points]
