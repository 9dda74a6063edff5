"""Exact intervals of proportions, and intervals of averages of proportions.

A proportion's interval is Clopper and Pearson's (1934); where rows come in groups with the effective sample size of
Korn and Graubard (1998). An average of proportions, such as the recalls of several classes, takes the distances from
each proportion to the ends of its own interval in place of standard errors (the method of variance estimates recovery
of Zou & Donner 2008, for correlated proportions), so that a rare class makes the interval as wide as it should be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from modelway.components.core.config.thresholds import Interval
from modelway.components.core.measures.metrics import Array


@dataclass(frozen=True)
class Parts:
    """A metric as a weighted sum of functions of proportions.

    Attributes:
        hits: Each row's hits, shape (rows, parts).
        trials: Each row's trials, likewise.
        weights: Shape (parts,); negative where a greater share makes the metric smaller.
        of_share: Turns a share into what is summed; rises with the share.
    """

    hits: Array
    trials: Array
    weights: Array
    of_share: Callable[[Array], Array]


def exact_interval(hits: Array, size: Array, *, tail: float) -> tuple[Array, Array]:
    """Clopper and Pearson's bounds of shares, each missed with the tail's probability at most.

    Args:
        hits: How many trials hit; may be fractions of effective trials.
        size: How many trials there are.
        tail: The probability beyond each bound.
    """
    from scipy.special import betaincinv

    hits, size = np.asarray(hits, dtype=np.float64), np.asarray(size, dtype=np.float64)
    misses = size - hits
    with np.errstate(invalid="ignore"):
        low = np.where(hits > 0, betaincinv(np.maximum(hits, 1e-12), misses + 1, tail), 0.0)
        high = np.where(misses > 0, betaincinv(hits + 1, np.maximum(misses, 1e-12), 1 - tail), 1.0)
    return low, high


def parts_interval(value: float, parts: Parts, *, groups: Array | None, tail: float) -> tuple[Interval, float]:
    """The interval of a weighted sum of functions of proportions, and its standard error.

    Args:
        value: The metric.
        parts: What it is the sum of.
        groups: The number of each row's group, shape (rows,); None where rows were drawn one by one.
        tail: The probability beyond each bound.
    """
    from scipy.special import ndtri

    trials = parts.trials.sum(axis=0)
    occurs = trials > 0
    hits, total, weights = parts.hits[:, occurs], trials[occurs], parts.weights[occurs]
    shares = hits.sum(axis=0) / total
    residuals = (hits - shares * parts.trials[:, occurs]) / total
    factor, size = 1.0, total
    if groups is not None:
        numbers, units = np.unique(groups, return_inverse=True)
        summed = np.zeros((len(numbers), len(total)))
        np.add.at(summed, units, residuals)
        residuals, factor = summed, len(numbers) / max(len(numbers) - 1, 1)
    covariance = factor * residuals.T @ residuals
    variance = np.diag(covariance).copy()
    if groups is not None:
        present = np.array([len(np.unique(groups[column > 0])) for column in parts.trials[:, occurs].T])
        binomial = shares * (1 - shares)
        size = np.where(variance > 0, np.minimum(total, binomial / np.where(variance > 0, variance, 1.0)), present)
    low, high = exact_interval(shares * size, size, tail=tail)
    scale = np.sqrt(np.where(variance > 0, np.outer(variance, variance).diagonal() ** 0.5, 1.0))
    correlation = covariance / np.outer(scale, scale)
    np.fill_diagonal(correlation, 1.0)
    centre = parts.of_share(shares)
    below, above = centre - parts.of_share(low), parts.of_share(high) - centre
    downward = np.where(weights > 0, weights * below, weights * above)
    upward = np.where(weights > 0, weights * above, weights * below)
    reaches = [float(np.sqrt(max(0.0, reach @ correlation @ reach))) for reach in (downward, upward)]
    return (value - reaches[0], value + reaches[1]), sum(reaches) / 2 / -float(ndtri(tail))


def effective_size(terms: Array, groups: Array) -> float:
    """How many independent trials those of groups are worth (Korn and Graubard 1998)."""
    hits, trials = terms.sum(axis=0)
    value = hits / trials
    count = len(np.unique(groups[terms[:, 1] > 0]))
    residual = np.bincount(groups, weights=(terms[:, 0] - value * terms[:, 1]) / trials)
    variance = (residual**2).sum() * count / max(count - 1, 1)
    # Equal rows give no estimate of the correlation within a group: each group counts once.
    return float(min(trials, value * (1 - value) / variance)) if variance > 0 else float(count)
