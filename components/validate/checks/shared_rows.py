"""Rows that the training and the test split share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from modelway.components.core.checks import Check, OnInconclusive, Verdict, inconclusive, judged, passed_or_failed
from modelway.components.core.config.project import Split
from modelway.components.core.config.thresholds import Interval, Threshold
from modelway.components.core.tables.placement import (
    TEST,
    UNSEEN,
    Hashes,
    hashed_columns,
    numbers_among_equal,
    row_hashes,
    sides,
)
from modelway.components.validate.counting import rows_of
from modelway.components.validate.roc_auc import CONFIDENCE
from modelway.components.validate.sample import draw

_REMEDIES = {
    Verdict.INCONCLUSIVE: "raise `data.leakage.sample_rows`",
    Verdict.FAILED: "remove them from one split",
}
_Counts = np.ndarray[Any, np.dtype[np.int64]]
_ROWS_AT_ONCE = 500_000
_DEVIATIONS = 3.09  # of a normal distribution, which it exceeds with probability 0.001


def shared_rows_check(
    train: pl.LazyFrame, test: pl.LazyFrame, *, split: Split, limit: float, sample_rows: int, rule: OnInconclusive
) -> Check:
    """Looks for test rows that equal some training row in every column; missing values equal each other.

    The test rows may be a sample; all training rows are streamed. With all test rows the share is exact; a sample's
    has an interval, and finding none passes. Columns of lists and records are not compared. Where equal rows are
    placed apart, all rows are compared with what coincidence gives, and with where the split places them.

    Args:
        train: The training split.
        test: The test split.
        split: How they were split.
        limit: The greatest share of test rows that passes; beyond what coincidence gives where equal rows are apart.
        sample_rows: How many test rows to look up at most.
        rule: What an inconclusive check does.
    """
    if split.equal_rows == "apart" and rows_of(train) and rows_of(test):
        return _apart(train, test, split=split, limit=limit)
    train_schema, test_schema = train.collect_schema(), test.collect_schema()
    columns = [name for name, dtype in test_schema.items() if train_schema.get(name) == dtype and not dtype.is_nested()]
    sample = draw(test, columns, limit=sample_rows)
    if not columns or not len(sample.table):
        message = "the test split is empty, or shares no column with the training split"
        return inconclusive("shared_rows", message, rule=rule)
    key = max(columns, key=lambda name: sample.table[name].n_unique())
    # One column is compared first, so that the others are read only where it agrees.
    first = pl.col(key).is_in(sample.table[key].unique().implode(), nulls_equal=True)
    matches = train.select(columns).filter(first).join(sample.table.lazy(), on=columns, how="semi", nulls_equal=True)
    alike = matches.unique().collect(engine="streaming")
    shared_rows = sample.table.join(alike, on=columns, how="semi", nulls_equal=True).height
    rows, share = len(sample.table), shared_rows / len(sample.table)
    interval = None if sample.is_complete else _exact_interval(shared_rows, rows)
    interval_text = f", {interval[0]:.4%} to {interval[1]:.4%} of all with 95% confidence" if interval else ""
    message = f"{shared_rows:,} of {sample.rows} test rows are in the training split too ({share:.2%}{interval_text})"
    verdict = Threshold(max=limit).judge(interval if interval is not None and shared_rows else (share, share))
    if verdict is not Verdict.PASSED:
        message += f"; the policy allows at most {limit:.2%}: {_REMEDIES[verdict]}"
    rounded = (round(interval[0], 8), round(interval[1], 8)) if interval else None
    return judged("shared_rows", verdict, message=message, rule=rule, observed=share, threshold=limit, interval=rounded)


def _exact_interval(hits: int, rows: int) -> Interval:
    """The interval of a share by Clopper and Pearson (1934)."""
    from scipy.stats import binomtest

    interval = binomtest(hits, rows).proportion_ci(CONFIDENCE, method="exact")
    return float(interval.low), float(interval.high)


def _apart(train: pl.LazyFrame, test: pl.LazyFrame, *, split: Split, limit: float) -> Check:
    """Judges shared rows by what a random split of the same rows gives, and each content by where its rows belong."""
    hashes = [np.concatenate([*_streamed_hashes(table, split)]) for table in (train, test)]
    _, content, times = np.unique(np.concatenate(hashes), return_inverse=True, return_counts=True)
    in_test = np.bincount(content[len(hashes[0]) :], minlength=len(times))
    rows = len(hashes[1])
    shared = int(in_test[in_test < times].sum())
    expected, most = coincidences(times, rows)
    misplaced = _misplaced(*hashes, split=split)
    allowed = most + limit * rows
    message = (
        f"{shared:,} of {rows:,} test rows have an equal one in the training split ({shared / rows:.2%}); equal rows "
        f"are apart, and coincidence gives {expected:,.0f} and at most {most:,.0f}"
    )
    if misplaced:
        message += f"; {misplaced:,} rows are not in the split where their content and their number place them"
    passed = shared <= allowed and misplaced <= limit * rows
    if not passed:
        beyond = f"; the policy allows at most {limit:.2%} of the test rows beyond that"
        message += f"{beyond}: {_REMEDIES[Verdict.FAILED]}"
    threshold = round(min(allowed / rows, 1.0), 6)
    return passed_or_failed("shared_rows", passed, message=message, observed=shared / rows, threshold=threshold)


def coincidences(times: _Counts, test_rows: int) -> tuple[float, float]:
    """How many test rows of a random split have an equal training row: the expected number, and the most.

    A test row has none if all rows of its content are in the test split. Of a content of m rows each of which is there
    with probability p, those are m rows with probability p^m and else 0. The numbers of different contents are
    independent but for the given size of the test split, whose part in the variance is taken out by regression on it.
    The most is exceeded with a probability of 0.001, by Cornish and Fisher's expansion (1938) up to a skewness above 0.

    Args:
        times: How often each content stands in both splits together.
        test_rows: The size of the test split.
    """
    from scipy.stats import binom

    multiplicities, contents = np.unique(times, return_counts=True)
    share = test_rows / times.sum()
    alone = multiplicities * share ** multiplicities.astype(float)
    slope = float((contents * multiplicities * alone).sum() * (1 - share) / (times.sum() * share * (1 - share)))
    variance = skew = 0.0
    for number, weight in zip(multiplicities.tolist(), contents.tolist(), strict=True):
        k = np.arange(number + 1)
        probability, shared = binom.pmf(k, number, share), slope * k - np.where(k == number, k, 0)
        deviation = shared - probability @ shared
        variance += weight * float(probability @ deviation**2)
        skew += weight * float(probability @ deviation**3)
    expected = test_rows - float((contents * alone).sum())
    skewness = max(0.0, skew / variance**1.5) if variance > 1e-9 * test_rows else 0.0
    deviations = _DEVIATIONS + (_DEVIATIONS**2 - 1) / 6 * skewness
    return expected, min(expected + deviations * variance**0.5 + 0.5, float(test_rows))


def _misplaced(train: Hashes, test: Hashes, *, split: Split) -> int:
    """How many rows are in another split than the one where their content and their number among equal ones belong.

    Of a content's rows, in the order of their numbers, so many are looked at as there are in both splits, without those
    that are unseen.
    """
    contents, times = np.unique(np.concatenate([train, test]), return_counts=True)
    numbers = times + (0 if not split.unseen_fraction else _spare(times, split.unseen_fraction))
    index = np.repeat(np.arange(len(contents)), numbers)
    repeated = contents[index]
    side = sides(repeated, split, numbers=numbers_among_equal(repeated))
    index, side = index[side != UNSEEN], side[side != UNSEEN]
    is_there = numbers_among_equal(index.astype(np.uint64)) < times[index]
    is_test_of = np.bincount(index[is_there & (side == TEST)], minlength=len(contents))
    is_known = np.bincount(index, minlength=len(contents)) >= times
    in_test = np.bincount(np.searchsorted(contents, test), minlength=len(contents))
    return int(np.abs(is_test_of - in_test)[is_known].sum())


def _spare(times: _Counts, unseen: float) -> _Counts:
    """So many numbers more that the unseen ones among them, 1 in a million times aside, leave as many as there are."""
    expected = times / (1 - unseen)
    return np.ceil(expected - times + (5 * np.sqrt(expected) + 15) / (1 - unseen)).astype(np.int64)


def _streamed_hashes(table: pl.LazyFrame, split: Split) -> Iterator[Hashes]:
    """The hashes of all rows, of some rows at a time."""
    columns = hashed_columns(table.collect_schema().names(), split, label=None)
    for start in range(0, rows_of(table), _ROWS_AT_ONCE):
        yield row_hashes(table.slice(start, _ROWS_AT_ONCE).collect(), columns)
