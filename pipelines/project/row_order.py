"""How alike rows are that stand near one another, and whether a column grows from row to row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl

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
    from scipy.stats import chi2

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
    is_certain = chi2.sf(statistics, degrees) <= LEVEL / len(tests)
    dispersion = np.where(is_certain, statistics / degrees, 1.0).max()
    alike = float(f"{min(max(float(dispersion), 1.0), rows):.3g}")
    return int(alike) if alike == int(alike) else alike


def growth(values: pl.Series, order: pl.Series | None = None) -> float:
    """The rank correlation (Spearman, 1904) of a column's values with the number of the row, or with an order.

    0 where the values are few, as those of codes are, or one side is constant.
    """
    order = pl.Series(range(len(values))) if order is None else order
    pairs = pl.DataFrame({"value": values, "order": order.cast(pl.Int64)}).drop_nulls()
    if pairs["value"].n_unique() <= FEW_VALUES or pairs["order"].n_unique() < 2:
        return 0.0
    ranks = [pairs[name].rank().to_numpy() for name in ("value", "order")]
    return float(np.corrcoef(ranks)[0, 1])
