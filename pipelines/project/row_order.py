"""How alike rows are that stand near one another, and whether a column grows from row to row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl

Array = np.ndarray[Any, np.dtype[Any]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

BLOCKS = (10, 20, 50, 100)
LEVEL = 0.01  # the chance that rows in random order are taken for alike
LEAST_EXPECTED = 1.0  # marked rows of a block, for the chi-square distribution to hold (Cochran, 1954)
GROWTH = 0.9  # the rank correlation from which a column is taken to grow
FEW_VALUES = 10  # codes, which do not grow


def rows_as_one(masks: Iterable[Mask]) -> float:
    """How many rows weigh as one: how far marked rows cluster in the order of the rows.

    The rows are cut into blocks of neighbours, whose counts of marked rows vary as the binomial distribution says where
    the order is random. Their index of dispersion is the observed variance over the binomial's (Cochran, Some methods
    for strengthening the common chi-square tests, Biometrics 10, 1954); it multiplies the variance of a share, so rows
    over it is how many rows weigh as one (Wedderburn, Biometrika 61, 1974). It is the greatest one over the masks and
    some sizes of blocks, 1 where none is significantly above that.

    Args:
        masks: Which rows are marked, in the order of the rows: by what a line of the contract would count.

    Returns:
        The number, rounded to three digits, between 1 and the number of rows.
    """
    from scipy.special import chdtrc

    tests: list[tuple[float, int]] = []
    rows = 0
    for mask in masks:
        rows = len(mask)
        for blocks in BLOCKS:
            size = rows // blocks
            counts = mask[: size * blocks].reshape(blocks, size).sum(axis=1) if size else np.zeros(blocks)
            share = counts.sum() / max(size * blocks, 1)
            if size * min(share, 1 - share) >= LEAST_EXPECTED:
                variance = size * share * (1 - share)
                tests.append((float(((counts - size * share) ** 2).sum() / variance), blocks - 1))
    if not tests:
        return 1.0
    statistics, degrees = np.array(tests).T
    is_certain = chdtrc(degrees, statistics) <= LEVEL / len(tests)
    dispersion = np.where(is_certain, statistics / degrees, 1.0).max()
    alike = float(f"{min(max(float(dispersion), 1.0), rows):.3g}")
    return int(alike) if alike == int(alike) else alike


def growth(values: pl.Series, order: pl.Series | None = None) -> float:
    """The rank correlation (Spearman, 1904) of a column's values with the number of the row, or with an order.

    0 where the values are few, as those of codes are, or one side is constant.
    """
    is_present = values.is_not_null().to_numpy()
    if order is not None:
        is_present &= order.is_not_null().to_numpy()
    numbers = values.to_numpy()[is_present]
    places = np.arange(len(values)) if order is None else order.to_physical().to_numpy()
    ranks, distinct = _ranks(numbers)
    place_ranks, distinct_places = _ranks(places[is_present])
    if distinct <= FEW_VALUES or distinct_places < 2:
        return 0.0
    ranks, place_ranks = ranks - ranks.mean(), place_ranks - place_ranks.mean()
    return float(ranks @ place_ranks / np.sqrt((ranks @ ranks) * (place_ranks @ place_ranks)))


def _ranks(values: Array) -> tuple[Array, int]:
    """The rank of each value, of equal ones the mean of theirs, and how many values there are."""
    distinct, numbers, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[numbers], len(distinct)
