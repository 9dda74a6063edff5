"""The population stability index: how far a distribution has moved, as the data gate and the server both measure it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_FLOOR = 1e-4  # keeps an empty bin's logarithm finite; the usual choice in credit-risk practice

Shares = Sequence[float] | np.ndarray[Any, Any]


def population_stability_index(expected: Shares, observed: Shares) -> float:
    """Sum over bins of (observed - expected) * ln(observed / expected), with shares floored at 0.0001.

    The symmetrised Kullback-Leibler divergence; 0.1 and 0.25 are the customary marks of a small and a large shift
    (Siddiqi, Credit Risk Scorecards, 2006).

    Args:
        expected: The share of rows in each bin, of shape (bins,).
        observed: Likewise, of the rows in question.
    """
    before, now = np.maximum(expected, _FLOOR), np.maximum(observed, _FLOOR)
    return float(np.sum((now - before) * np.log(now / before)))


def excess_stability_index(expected: Shares, observed: Shares, *, expected_rows: float, rows: float) -> float:
    """The population stability index less its mean where the distributions are the same; not below 0.

    That mean is (bins - 1) * (1 / rows + 1 / expected_rows), over the bins that are expected to have rows (Yurdakul,
    Statistical Properties of Population Stability Index, 2018): without it a small sample drifts by being small.

    Args:
        expected: The share of rows in each bin, of shape (bins,).
        observed: Likewise, of the rows in question.
        expected_rows: How many rows the expected shares are of; rows that are alike may weigh less than one.
        rows: How many rows are in question; likewise.
    """
    bins = int(np.sum(np.asarray(expected) > 0))
    by_chance = (bins - 1) * (1 / rows + 1 / expected_rows)
    return max(0.0, population_stability_index(expected, observed) - by_chance)
