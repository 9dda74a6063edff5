"""Distances between two distributions over the same bins, and tests of their significance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from modelway.components.core.measures.stability import Shares, population_stability_index
from modelway.components.core.measures.unseen import SeenValues

_LEAST_EXPECTED = 5.0


def jensen_shannon(expected: Shares, observed: Shares) -> float:
    """The Jensen-Shannon distance to base 2, from 0 for equal to 1 for disjoint (Endres and Schindelin, 2003)."""
    if not sum(expected) or not sum(observed):
        return 0.0
    from scipy.spatial.distance import jensenshannon

    return float(np.nan_to_num(jensenshannon(expected, observed, base=2)))


def kolmogorov_smirnov(expected: Shares, observed: Shares) -> float:
    """The greatest difference of the cumulative distributions at the bins' edges; missing values left out.

    A lower bound of the greatest difference at any value, off by at most the largest bin's share.

    Args:
        expected: The share of rows in each bin, ascending, missing values last.
        observed: Likewise.
    """
    reference, current = (np.asarray(shares[:-1], dtype=float) for shares in (expected, observed))
    if not reference.sum() or not current.sum():
        return float(bool(reference.sum()) != bool(current.sum()))
    return float(np.max(np.abs(np.cumsum(reference) / reference.sum() - np.cumsum(current) / current.sum())))


def cramers_v(expected: Shares, observed: Shares) -> float:
    """Cramér's V of the table of bins by samples, both samples weighing the same (Cramér, 1946).

    The root of half the sum over bins of (expected - observed)² / (expected + observed): with equally many rows on
    both sides that is the root of chi-squared over all rows, and it does not depend on how many rows a side has.
    """
    reference, current = np.asarray(expected, dtype=float), np.asarray(observed, dtype=float)
    is_filled = reference + current > 0
    terms = (reference - current)[is_filled] ** 2 / (reference + current)[is_filled]
    return float(np.sqrt(terms.sum() / 2))


DISTANCES: dict[str, Callable[[Shares, Shares], float]] = {
    "psi": population_stability_index,
    "jensen_shannon": jensen_shannon,
    "kolmogorov_smirnov": kolmogorov_smirnov,
    "cramers_v": cramers_v,
}


def fits(distance: str, kind: str) -> bool:
    """Whether a distance is defined for a kind of distribution."""
    return kind != {"kolmogorov_smirnov": "categorical", "cramers_v": "numeric"}.get(distance)


def chi_squared_p(reference: Shares, current: Shares, *, rest: int | None = None) -> float:
    """The p-value of Pearson's chi-squared test that two samples are of one distribution.

    Bins in which fewer than five rows are expected on either side are merged, as the test's distribution requires
    (Cochran, 1954), but not with the bin of all values that are not listed: rows of values that have gone would cancel
    with rows of values that have come. Where the first sample's own values were listed, it has no row in that bin,
    though others will: there it is merged, and Good and Turing's test of how many rows may lie in it is made beside;
    the smaller p-value counts twice, since there are two (Bonferroni).

    Args:
        reference: How many rows of the first sample lie in each bin; rows may weigh less than one.
        current: The same of the other sample.
        rest: The place of the bin of all values that are not listed, if there is one.
    """
    from scipy.special import chdtrc

    table = np.array([reference, current], dtype=float)
    sizes = table.sum(axis=1)
    if not sizes.all():
        return 1.0
    is_rest = np.arange(table.shape[1]) == rest
    least = table.sum(axis=0) * sizes.min() / sizes.sum()
    is_merged = least < _LEAST_EXPECTED
    p_unseen: float | None = None
    if rest is not None and table[0, rest] == 0:
        seen = SeenValues.of(table[0, :rest].tolist())
        p_unseen = seen.p_value(table[1, rest], table[1, : rest + 1].sum())
        is_merged[rest] = is_merged.any()
    if is_merged.any() and least[is_merged].sum() < _LEAST_EXPECTED and not is_merged.all():
        others = ~is_merged & ~is_rest if (~is_merged & ~is_rest).any() else ~is_merged
        is_merged[np.flatnonzero(others)[np.argmin(least[others])]] = True
    table = np.column_stack([table[:, is_merged].sum(axis=1), table[:, ~is_merged]])
    table = table[:, table.sum(axis=0) > 0]
    p_value = 1.0
    if table.shape[1] > 1:
        expected = np.outer(sizes, table.sum(axis=0)) / sizes.sum()
        p_value = float(chdtrc(table.shape[1] - 1, np.sum((table - expected) ** 2 / expected)))
    return p_value if p_unseen is None else min(1.0, 2 * min(p_value, p_unseen))


def kolmogorov_smirnov_p(distance: float, reference: float, *, current: float) -> float:
    """The asymptotic p-value of the two-sample Kolmogorov-Smirnov test; ties make it larger.

    Args:
        distance: The greatest difference of the cumulative distributions.
        reference: How many rows the first sample weighs.
        current: How many rows the other weighs.
    """
    from scipy.special import kolmogorov

    if not reference or not current:
        return 1.0
    return float(kolmogorov(distance * np.sqrt(reference * current / (reference + current))))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusts p-values so that the level holds for any false alarm among them (Holm, 1979)."""
    adjusted = [1.0] * len(p_values)
    greatest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        greatest = max(greatest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = greatest
    return adjusted
