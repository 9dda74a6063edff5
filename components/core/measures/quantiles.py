"""Quantiles with confidence intervals that assume no distribution, and rates by batch means."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from modelway.components.core.config.thresholds import Interval

Array = np.ndarray[Any, np.dtype[np.float64]]

_BLOCKS = 10


def minimum_samples(quantile: float, confidence: float) -> int:
    """Returns the least number of values that bound a quantile on both sides: q**n <= (1 - c) / 2.

    Args:
        quantile: Between 0 and 1: 0.99 is the 99th percentile.
        confidence: The two-sided interval's level, between 0 and 1.
    """
    return math.ceil(math.log((1 - confidence) / 2) / math.log(max(quantile, 1 - quantile)))


def quantile_interval(ordered: Array, quantile: float, *, confidence: float) -> Interval:
    """Returns a quantile's confidence interval from two order statistics (Thompson, 1936; David and Nagaraja, 2003).

    The number of values below the quantile is binomial whatever the distribution, as long as the values are
    independent; each side gets half of the risk.

    Args:
        ordered: The values, ascending, shape (n,).
        quantile: Between 0 and 1.
        confidence: The level, between 0 and 1.

    Returns:
        The interval; a bound is infinite if there are too few values for it.
    """
    from scipy.special import bdtr

    count, risk = len(ordered), (1 - confidence) / 2
    below = bdtr(np.arange(count), count, quantile) if count else np.empty(0)  # P(at most k values lie below it)
    lower = int(np.searchsorted(below, risk, side="right"))  # the ranks up to this are below it at the level
    upper = int(np.searchsorted(below, 1 - risk, side="left")) + 1
    return (
        float(ordered[lower - 1]) if lower >= 1 else -math.inf,
        float(ordered[upper - 1]) if upper <= count else math.inf,
    )


def rate_interval(ends: Array, rate: float, *, confidence: float) -> Interval | None:
    """Returns a steady rate's confidence interval by batch means (Law, 2015): Student's t over ten consecutive blocks.

    Args:
        ends: When each request was answered, ascending, in seconds, shape (n,).
        rate: The rate over all of them, per second.
        confidence: The level, between 0 and 1.

    Returns:
        The interval around `rate`; None for fewer than 20 requests.
    """
    from scipy.special import stdtrit

    if len(ends) < 2 * _BLOCKS:
        return None
    places = np.linspace(0, len(ends) - 1, _BLOCKS + 1).round().astype(int)
    rates = np.diff(places) / np.diff(ends[places])
    half = float(stdtrit(_BLOCKS - 1, (1 + confidence) / 2)) * float(rates.std(ddof=1)) / math.sqrt(_BLOCKS)
    return max(0.0, rate - half), rate + half
