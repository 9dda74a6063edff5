"""The uncertainty of a metric by how much each row moves it, of rows that were drawn one by one or by groups.

The variance of a smooth metric is the sum of its rows' squared influences (the infinitesimal jackknife, Jaeckel 1972).
How well that sum is known depends on how few rows make it up, which Student's distribution takes into account.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from modelway.components.core.measures.metrics import Array, Predictions
from modelway.components.evaluate.statistics.estimates import Subset
from modelway.components.evaluate.statistics.ranking import (
    average_precision_influence,
    roc_auc_freedom,
    roc_auc_influence,
)
from modelway.components.evaluate.statistics.resampling import Resampling
from modelway.components.evaluate.statistics.sufficiency import rarest_count
from modelway.components.evaluate.statistics.sum_metrics import sum_metric

LEAST_STEP = 1e-6
LEAST_FREEDOM = 0.5
ROUNDING = 1e-12


def influence_of(metric: str, subset: Subset, resampling: Resampling) -> Array | None:
    """How much each row of the split moves a metric of some rows; None where only resamples tell."""
    own = subset.own_predictions
    influence = roc_auc_influence(metric, own)
    if influence is None:
        influence = average_precision_influence(metric, own)
    if influence is None:
        terms = sum_metric(metric, own)
        influence = None if terms is None else influence_of_sums(terms.terms, terms.value)
    return None if influence is None else of_split(influence, subset, resampling)


def of_split(influence: Array, subset: Subset, resampling: Resampling) -> Array:
    """The influences of all rows of a split: none of those that a subset does not hold."""
    if subset.rows is None:
        return influence
    influences = np.zeros(resampling.rows)
    influences[subset.rows] = influence
    return influences


def influence_of_sums(terms: Array, function: Callable[[Array], Array]) -> Array:
    """How much each row moves a function of sums over rows, shape (rows,).

    Args:
        terms: Each row's contribution to the sums, shape (rows, sums).
        function: Of sums, shape (..., sums) to (...,); it must not change where all sums are multiplied by one number.
    """
    total, sizes, rows = terms.sum(axis=0), np.abs(terms).sum(axis=0), len(terms)
    gradient = np.zeros(len(total))
    for number in np.flatnonzero(sizes):
        step = np.zeros(len(total))
        step[number] = sizes[number] * LEAST_STEP
        gradient[number] = (function(total + step) - function(total - step)) / (2 * step[number])
    influence: Array = terms @ gradient
    influence -= influence.mean()
    influence[np.abs(influence) <= ROUNDING * (np.abs(terms) @ np.abs(gradient)).max()] = 0.0
    influence *= np.sqrt(rows / max(rows - 1, 1))
    return influence


def standard_error(influence: Array, resampling: Resampling) -> float:
    """The standard error that the influences of all rows of a split give."""
    if resampling.groups is None:
        return float(np.sqrt((influence**2).sum()))
    sums = np.bincount(resampling.groups, weights=influence)
    count = max(len(np.unique(resampling.groups)), 2)
    return float(np.sqrt((sums**2).sum() * count / (count - 1)))


def freedom_of(influence: Array, subset: Subset, resampling: Resampling, *, is_area: bool) -> float:
    """The degrees of freedom that the influences' variance has.

    A variance has 2n / (kurtosis - 1) of them (O'Neill 2014), n - 1 at most; of an area under the ROC curve what the
    rows of each class give. Few rows seldom show the kurtosis that there is, so half of that is taken.

    Args:
        influence: Of all rows of the split.
        subset: The rows that the metric is of.
        resampling: How the rows were drawn.
        is_area: Whether it is of an area under the ROC curve.
    """
    groups = resampling.groups
    own = influence if subset.rows is None else influence[subset.rows]
    if is_area and groups is None:
        return roc_auc_freedom(own, subset.own_predictions.truth) / 2
    if groups is not None:
        numbers = groups if subset.rows is None else groups[subset.rows]
        own = np.bincount(np.unique(numbers, return_inverse=True)[1], weights=own)
    count, squares = len(own), float((own**2).sum())
    if is_area or squares == 0:
        return float(max(count - 1, 1))
    kurtosis = count * float((own**4).sum()) / squares**2
    return max(LEAST_FREEDOM, min(count - 1.0, count / max(kurtosis - 1, 1e-9)))


def student_quantile(tail: float, freedom: float) -> float:
    """The lower quantile of Student's distribution."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, tail))


def greatest_unseen(predictions: Predictions, groups: Array | None, *, tail: float) -> float:
    """How far two areas under the curve may be apart that order all of these rows alike."""
    return float(1 - tail ** (1 / max(rarest_count(predictions, groups), 1)))
