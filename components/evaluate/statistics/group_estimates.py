"""The confidence interval of a metric in one group, and of the spread between several groups."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning

from modelway.components.core.config.thresholds import Interval, metric_range
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Array, Predictions, score
from modelway.components.evaluate.statistics.sufficiency import rare_class

_MOST_ROWS = 2_000
_MOST_CELLS = 40
_BLOCKS = 16
# Means over rows, which are defined where the rows hold one class only.
_MEANS = {"accuracy", "brier_score", "neg_brier_score", "top_k_accuracy"}
# Areas, whose error rows of the rarer class decide.
_RANKINGS = {"average_precision", "roc_auc"} | {f"roc_auc_{kind}" for kind in ("ovr", "ovo")}
_RANKINGS |= {f"{name}_weighted" for name in _RANKINGS if name.startswith("roc_auc_")}


@dataclass(frozen=True)
class GroupEstimate:
    """A metric of one group.

    Attributes:
        value: As scikit-learn computes it.
        centre: The value that intervals are built around; another one only at the ends of the metric's range.
        error: Its standard error; infinite where it cannot be estimated.
        freedom: The degrees of freedom that the error has.
        bounds: The least and the greatest value that the metric can take.
    """

    value: float
    centre: float
    error: float
    freedom: float
    bounds: Interval

    def interval(self, confidence: float) -> Interval:
        """The confidence interval: on the log-odds scale where the metric is a share, so that it stays within."""
        from scipy.special import expit, logit
        from scipy.stats import t

        low, high = self.bounds
        if not np.isfinite(self.error):
            return self.bounds
        reach = float(t.ppf((1 + confidence) / 2, self.freedom)) * self.error
        if np.isfinite(high - low):
            share = (self.centre - low) / (high - low)
            reach /= (high - low) * share * (1 - share)
            ends = [low + (high - low) * float(expit(logit(share) + side * reach)) for side in (-1, 1)]
        else:
            ends = [max(low, self.centre - reach), min(high, self.centre + reach)]
        return min(ends[0], self.value), max(ends[1], self.value)


def estimate(metric: str, predictions: Predictions, *, with_error: bool) -> GroupEstimate | str:
    """Estimates a metric on one group's rows; a text says why it is not defined on them.

    The standard error is the jackknife's (Tukey 1958): for metrics of predicted labels by leaving out one row, which
    is the same for all rows of one truth and prediction; for others by leaving out one of 16 random blocks of rows
    (Shao & Wu 1989). From groups with more than 2,000 rows a random sample of so many gives it, scaled by the square
    root of the sizes; the value itself is always of every row.

    Args:
        metric: The name of a scikit-learn metric.
        predictions: Of the group's rows.
        with_error: Whether to compute the standard error; 0 unless it is.
    """
    if predictions.classes and metric not in _MEANS and len(np.unique(predictions.truth)) < 2:
        return f"{metric} is not defined for a single class"
    labels = replace(predictions, probabilities=None, scores=None)
    value = _score(metric, labels)
    source = predictions if value is None else labels
    value = _score(metric, source) if value is None else value
    if value is None:
        return f"{metric} is not defined"
    if not with_error:
        return GroupEstimate(value, value, 0.0, np.inf, metric_range(metric))
    few = rare_class(predictions, None) if metric in _RANKINGS and predictions.classes else ""
    if few:
        return few
    error, freedom = _jackknife(metric, source)
    low, high = metric_range(metric)
    at_end = value in {low, high}
    if not (at_end or (error == 0 and predictions.classes)) or not np.isfinite(high - low):
        return GroupEstimate(value, value, error, freedom, (low, high))
    # Where all is right, or all wrong, nothing varies: add one hit and one miss (Agresti & Caffo 2000).
    rows = len(predictions.truth)
    if metric not in _MEANS and predictions.classes:
        rows = int(np.unique(predictions.truth, return_counts=True)[1].min())
    step = (high - low) / (rows + 2)
    return GroupEstimate(value, float(np.clip(value, low + step, high - step)), max(error, step), freedom, (low, high))


def spread(kind: str, values: Array) -> float:
    """The greatest minus the smallest value (`difference`), or the smallest by the greatest (`ratio`)."""
    if kind == "difference":
        return float(values.max() - values.min())
    return float(values.min() / values.max())


def spread_interval(kind: str, values: Array, *, errors: Array, confidence: float, freedom: float = np.inf) -> Interval:
    """The interval of the `difference`, greatest minus smallest, or of the `ratio`, smallest by greatest, of groups.

    All pairwise differences, of logarithms for the ratio (Katz et al. 1978), lie in their intervals at once, by the
    studentized range (Tukey 1953; for unequal groups Kramer 1956); so their greatest lies between the greatest of
    the lower bounds and the greatest of the upper ones. What is observed is within.

    Args:
        kind: ``difference`` or ``ratio``.
        values: Of each group, shape (groups,), two at least; for a ratio above zero.
        errors: Their standard errors, likewise.
        confidence: The interval's level.
        freedom: The degrees of freedom that the errors have.
    """
    if not np.isfinite(errors).all():
        return (0.0, np.inf) if kind == "difference" else (0.0, 1.0)
    if kind == "ratio":
        low, high = spread_interval(
            "difference", np.log(values), errors=errors / values, confidence=confidence, freedom=freedom
        )
        return float(np.exp(-high)), float(np.exp(-low))
    reach = _reach(confidence, len(values), freedom=freedom)
    far, error = np.subtract.outer(values, values), reach * np.hypot.outer(errors, errors)
    np.fill_diagonal(far, -np.inf)
    return max(0.0, float((far - error).max())), float((far + error).max())


@lru_cache
def _reach(confidence: float, groups: int, *, freedom: float) -> float:
    """How many standard errors hold for all pairs of so many groups at once; takes 10 ms to compute."""
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(confidence, groups, freedom)) / math.sqrt(2)


def _score(metric: str, predictions: Predictions) -> float | None:
    """The metric's value; None where it is not defined."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", UndefinedMetricWarning)
        try:
            value = score(metric, predictions)
        except ModelwayError:
            return None
    return value if np.isfinite(value) else None


def _jackknife(metric: str, predictions: Predictions) -> tuple[float, float]:
    """The metric's standard error and its degrees of freedom; the error is infinite where a part is not defined."""
    random = np.random.default_rng(0)
    rows = np.arange(len(predictions.truth))
    shrunk = 1.0
    if len(rows) > _MOST_ROWS:
        shrunk = float(np.sqrt(_MOST_ROWS / len(rows)))
        rows = random.choice(rows, _MOST_ROWS, replace=False)
        predictions = predictions.take(rows)
    size = len(rows)
    freedom = np.inf
    left_out, weights = _cells(predictions) if predictions.classes and predictions.probabilities is None else ([], [])
    factor = (size - 1) / size
    if not left_out:
        blocks = min(_BLOCKS, size)
        left_out, weights = np.array_split(random.permutation(size), blocks), [1.0] * blocks
        factor, freedom = (blocks - 1) / blocks, blocks - 1.0
    parts = [_score(metric, predictions.take(np.delete(np.arange(size), rows_left_out))) for rows_left_out in left_out]
    if None in parts:
        return np.inf, freedom
    values = np.array(parts, dtype=np.float64)
    deviations = values - np.average(values, weights=weights)
    return float(np.sqrt(factor * np.dot(weights, deviations**2))) * shrunk, freedom


def _cells(predictions: Predictions) -> tuple[list[Array], list[float]]:
    """One row of each pair of truth and prediction, and how many there are of each; none where they are too many."""
    pairs = np.stack([predictions.truth, predictions.predicted], axis=1)
    _, first, counts = np.unique(pairs, axis=0, return_index=True, return_counts=True)
    if len(first) > _MOST_CELLS:
        return [], []
    return [np.array([row]) for row in first], [float(count) for count in counts]
