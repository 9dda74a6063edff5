"""The uncertainty of areas under the ROC curve, of rows that were drawn one by one or by groups."""

from __future__ import annotations

import numpy as np

from modelway.components.core.measures.metrics import Array, Predictions
from modelway.components.evaluate.statistics.estimates import Subset
from modelway.components.evaluate.statistics.resampling import Resampling
from modelway.components.evaluate.statistics.roc_auc import freedom, roc_auc_influence


def influence_of(metric: str, subset: Subset, resampling: Resampling) -> Array | None:
    """How much each row of the split moves an area under the ROC curve; None for other metrics."""
    influence = roc_auc_influence(metric, subset.own_predictions)
    if influence is None or subset.rows is None:
        return influence
    influences = np.zeros(resampling.rows)
    influences[subset.rows] = influence
    return influences


def standard_error(influence: Array, resampling: Resampling) -> float:
    """The standard error that the influences of all rows of a split give."""
    if resampling.groups is None:
        return float(np.sqrt((influence**2).sum()))
    sums = np.bincount(resampling.groups, weights=influence)
    count = max(len(np.unique(resampling.groups)), 2)
    return float(np.sqrt((sums**2).sum() * count / (count - 1)))


def freedom_of(influence: Array, subset: Subset, resampling: Resampling) -> float:
    """The degrees of freedom that the influences' variance has."""
    groups, truth = resampling.groups, subset.own_predictions.truth
    if groups is None:
        return freedom(influence if subset.rows is None else influence[subset.rows], truth)
    return float(max(len(np.unique(groups)) - 1, 1))


def student_quantile(tail: float, freedom_: float) -> float:
    """The lower quantile of Student's distribution."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom_, tail))


def greatest_unseen(predictions: Predictions, groups: Array | None, *, tail: float) -> float:
    """How far two areas under the curve may be apart that order all of these rows alike."""
    counts = [
        int((predictions.truth == number).sum())
        if groups is None
        else len(np.unique(groups[predictions.truth == number]))
        for number in range(len(predictions.classes))
    ]
    return float(1 - tail ** (1 / max(min(counts), 1)))
