"""Intervals by resampling, of metrics of which it is not known how much each row moves them."""

from __future__ import annotations

import warnings

import numpy as np

from modelway.components.core.config.thresholds import Interval
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Array, Predictions, score
from modelway.components.evaluate.statistics.influence import student_quantile
from modelway.components.evaluate.statistics.resampling import Resampling


def resamples(
    metric: str, predictions: Predictions, rows: Array | None, *, value: float, resampling: Resampling
) -> Array:
    """The metric on resamples, by its scorer; the spread of a part of many rows is scaled to that of all rows.

    Args:
        metric: The metric's name.
        predictions: Of all rows of the split.
        rows: Those that the metric is of; all unless given.
        value: The metric.
        resampling: How the rows were drawn.
    """
    sampled, times = resampling.scorer_sample
    if rows is not None:
        sampled = np.intersect1d(sampled, rows)
    total = len(predictions.truth) if rows is None else len(rows)
    if not sampled.size:
        return np.full(len(times), np.nan)
    predictions, blocks = predictions.take(sampled), resampling.blocks[sampled]
    results = np.asarray([_resample_score(metric, predictions, times=part[blocks]) for part in times])
    if len(sampled) < total:
        centre = _resample_score(metric, predictions, times=np.ones(len(sampled)))
        results = value + (results - centre) * np.sqrt(len(sampled) / total)
    return results


def percentiles(resampled: Array, *, count: int, tail: float) -> tuple[Interval | None, float | None]:
    """The percentiles of resamples, as much farther out as few rows ask for (Hesterberg 2015), and their spread.

    None where more than a tenth of the resamples have no such metric: it depends on too few rows.

    Args:
        resampled: The metric on each resample, NaN where it is not defined.
        count: How many rows, or groups, of the rarest class there are.
        tail: The probability beyond each bound.
    """
    from scipy.special import ndtr

    values = resampled[np.isfinite(resampled)]
    if len(values) < 0.9 * len(resampled):
        return None, None
    freedom = max(count - 1, 1)
    tail = float(ndtr(student_quantile(tail, freedom) * np.sqrt((freedom + 1) / freedom)))
    low, high = np.quantile(values, [tail, 1 - tail])
    return (float(low), float(high)), float(values.std())


def _resample_score(metric: str, predictions: Predictions, *, times: Array) -> float:
    """The metric of some rows, each as often as it is in the resample; NaN where it is not defined."""
    rows = np.repeat(np.arange(len(times)), times.astype(np.int64))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about resamples without a class, which count as not defined
            return score(metric, predictions.take(rows))
    except ModelwayError:
        return float("nan")
