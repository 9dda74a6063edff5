"""Distances between two distributions over the same bins, and how certain it is that they differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_LEAST_EXPECTED = 5.0


def jensen_shannon(expected: Sequence[float], observed: Sequence[float]) -> float:
    """The Jensen-Shannon distance to base 2, from 0 for equal to 1 for disjoint (Endres and Schindelin, 2003)."""
    if not sum(expected) or not sum(observed):
        return 0.0
    from scipy.spatial.distance import jensenshannon

    return float(np.nan_to_num(jensenshannon(expected, observed, base=2)))


def kolmogorov_smirnov(expected: Sequence[float], observed: Sequence[float]) -> float:
    """The greatest difference of the cumulative distributions at the bins' edges; missing values left out.

    A lower bound of the greatest difference at any value, less than it by at most the largest bin's share.

    Args:
        expected: The share of rows in each bin, ascending, missing values last.
        observed: Likewise.
    """
    before, now = (np.asarray(shares[:-1], dtype=float) for shares in (expected, observed))
    if not before.sum() or not now.sum():
        return float(bool(before.sum()) != bool(now.sum()))
    return float(np.max(np.abs(np.cumsum(before) / before.sum() - np.cumsum(now) / now.sum())))


def cramers_v(expected: Sequence[float], observed: Sequence[float]) -> float:
    """Cramér's V of the table of bins by samples, both samples weighing the same (Cramér, 1946).

    The root of half the sum over bins of (expected - observed)² / (expected + observed): with equally many rows on
    both sides that is the root of chi-squared over all rows, and it does not depend on how many rows a side has.
    """
    before, now = np.asarray(expected, dtype=float), np.asarray(observed, dtype=float)
    filled = before + now > 0
    terms = (before - now)[filled] ** 2 / (before + now)[filled]
    return float(np.sqrt(terms.sum() / 2))


def chi_squared_p(before: Sequence[float], now: Sequence[float], *, rest: int | None = None) -> float:
    """The p-value of Pearson's chi-squared test that two samples are of one distribution.

    Bins in which fewer than five rows are expected on either side are taken together, since the test's distribution
    holds no sooner (Cochran, 1954), and with them the bin of all values that are not listed: which values those are
    follows from the first sample, in which they are rarer than in any other for that very reason.

    Args:
        before: How many rows of the first sample lie in each bin; they may weigh less than one.
        now: Likewise, of the other sample.
        rest: The place of the bin of all values that are not listed, if there is one.
    """
    from scipy.special import chdtrc

    table = np.array([before, now], dtype=float)
    sizes = table.sum(axis=1)
    if not sizes.all():
        return 1.0
    least = table.sum(axis=0) * sizes.min() / sizes.sum()
    is_sparse = least < _LEAST_EXPECTED
    if rest is not None and is_sparse.any():
        is_sparse[rest] = True
    if is_sparse.any() and least[is_sparse].sum() < _LEAST_EXPECTED and not is_sparse.all():
        is_sparse[np.flatnonzero(~is_sparse)[np.argmin(least[~is_sparse])]] = True
    table = np.column_stack([table[:, is_sparse].sum(axis=1), table[:, ~is_sparse]])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2:
        return 1.0
    wanted = np.outer(sizes, table.sum(axis=0)) / sizes.sum()
    return float(chdtrc(table.shape[1] - 1, np.sum((table - wanted) ** 2 / wanted)))


def kolmogorov_smirnov_p(distance: float, before: float, *, now: float) -> float:
    """The asymptotic p-value of the two-sample Kolmogorov-Smirnov test; too great rather than too small for ties.

    Args:
        distance: The greatest difference of the cumulative distributions.
        before: How many rows the first sample weighs.
        now: How many rows the other weighs.
    """
    from scipy.special import kolmogorov

    if not before or not now:
        return 1.0
    return float(kolmogorov(distance * np.sqrt(before * now / (before + now))))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted so that the chance of any false alarm among them is kept (Holm, 1979)."""
    adjusted = [1.0] * len(p_values)
    greatest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        greatest = max(greatest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = greatest
    return adjusted
