"""Intervals by resampling: studentized for functions of mean losses, BCa or percentiles for the rest."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from modelway.components.core.config.thresholds import Interval
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Array, Predictions, score
from modelway.components.evaluate.statistics.resampling import Resampling
from modelway.components.evaluate.statistics.roc_auc import average_precisions
from modelway.components.evaluate.statistics.sum_metrics import SumMetric

SCORER_RESAMPLES = 200


def studentized(
    sums: Array, function: Callable[[Array], Array], *, times: Array, tail: float
) -> tuple[Interval, float]:
    """The bootstrap-t interval of a function of sums (Efron 1982, chapter 10; Hall 1988), and its standard error.

    Each resample's distance from the function's value is divided by that resample's own standard error, by the delta
    method; so that where a few great losses make both the value and its error, the interval is as wide as it should be.

    Args:
        sums: Each block's contribution to the sums, shape (blocks, sums).
        function: Of sums, shape (..., sums) to (...,); it must not change where all sums are multiplied by one number.
        times: How often each block is in each resample, shape (resamples, blocks).
        tail: The probability beyond each bound.
    """
    count = sums.shape[1]
    first, second = np.triu_indices(count)
    products = sums[:, first] * sums[:, second]
    total, totals = sums.sum(axis=0), times @ sums
    scale = np.maximum(np.abs(sums).sum(axis=0), 1e-300)

    def error(at: Array, squares: Array) -> Array:
        gradient = _gradient(function, at, scale=scale)
        weights = gradient[..., first] * gradient[..., second] * np.where(first == second, 1.0, 2.0)
        return np.asarray(np.sqrt(np.maximum((weights * squares).sum(axis=-1), 0.0)))

    value, own_error = float(function(total)), float(error(total, products.sum(axis=0)))
    own_error *= np.sqrt(len(sums) / max(len(sums) - 1, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        distances = (function(totals) - value) / error(totals, times @ products)
    distances = distances[np.isfinite(distances)]
    if not len(distances) or own_error == 0:
        return (value, value), 0.0
    low, high = np.quantile(distances, [tail, 1 - tail])
    return (value - float(high) * own_error, value - float(low) * own_error), own_error


def resamples(
    metric: str,
    predictions: Predictions,
    rows: Array | None,
    *,
    value: float,
    terms: SumMetric | None,
    resampling: Resampling,
) -> tuple[Array, Array]:
    """The metric on resamples, and without each block in turn where it is a function of sums.

    Args:
        metric: The metric's name.
        predictions: Of all rows of the split.
        rows: Those that the metric is of; all unless given.
        value: The metric.
        terms: It as a function of sums, of those rows; None: scikit-learn's scorer is run on each resample.
        resampling: How the rows were drawn.
    """
    if terms is None:
        return _rescored(metric, predictions, rows, value=value, resampling=resampling), np.empty(0)
    sums = resampling.sums(terms.terms, rows)
    return terms.value(resampling.times @ sums), terms.value(sums.sum(axis=0) - sums)


def bootstrapped(
    value: float, resampled: Array, *, left_out: Array, tail: float
) -> tuple[float, Interval | None, float | None]:
    """The value with percentiles of resamples, BCa where each block was left out in turn, and their spread."""
    from scipy.special import ndtr, ndtri

    values = resampled[np.isfinite(resampled)]
    if len(values) < 0.9 * len(resampled):
        return float("nan"), None, None  # it depends on so few rows that resamples without them have no such metric
    quantiles = np.array([tail, 1 - tail])
    jackknife = left_out[np.isfinite(left_out)]
    if jackknife.size:
        below = (values < value).mean() + (values == value).mean() / 2
        deviations = jackknife.mean() - jackknife
        scale = (deviations**2).sum() ** 1.5
        if 0 < below < 1 and scale > 0:
            bias, acceleration = ndtri(below), (deviations**3).sum() / (6 * scale)
            z = bias + ndtri(quantiles)
            quantiles = ndtr(bias + z / (1 - acceleration * z))
    low, high = np.quantile(values, quantiles)
    return value, (float(low), float(high)), float(values.std())


def _gradient(function: Callable[[Array], Array], at: Array, *, scale: Array) -> Array:
    """The function's derivatives by each sum, by central differences; shape of `at`."""
    columns = []
    for number, size in enumerate(scale):
        step = np.zeros(len(scale))
        step[number] = size * 1e-6
        columns.append((function(at + step) - function(at - step)) / (2 * step[number]))
    return np.stack(columns, axis=-1)


def _rescored(
    metric: str, predictions: Predictions, subset: Array | None, *, value: float, resampling: Resampling
) -> Array:
    """The metric on resamples, by its scorer; the spread of a part of many rows is scaled to that of all rows."""
    rows, times = resampling.scorer_sample
    if subset is not None:
        rows = np.intersect1d(rows, subset)
    total = len(predictions.truth) if subset is None else len(subset)
    predictions, blocks = predictions.take(rows), resampling.blocks[rows]
    scores = predictions.ranking if metric == "average_precision" else None
    if scores is None:
        times = times[:SCORER_RESAMPLES]
    if not rows.size:
        return np.full(len(times), np.nan)
    if scores is not None:
        positive, parts = predictions.truth == 1, max(1, len(times) * len(rows) // 2_000_000)
        weights = (part[:, blocks] for part in np.array_split(times, parts))
        results = np.concatenate([average_precisions(positive, scores, weights=part) for part in weights])
    else:
        results = np.asarray([_resample_score(metric, predictions, times=part[blocks]) for part in times])
    if len(rows) < total:
        centre = _resample_score(metric, predictions, times=np.ones(len(rows)))
        results = value + (results - centre) * np.sqrt(len(rows) / total)
    return np.asarray(results)


def _resample_score(metric: str, predictions: Predictions, *, times: Array) -> float:
    """The metric of some rows, each as often as it is in the resample; NaN where it is not defined."""
    rows = np.repeat(np.arange(len(times)), times.astype(np.int64))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about resamples without a class, which count as not defined
            return score(metric, predictions.take(rows))
    except ModelwayError:
        return float("nan")
