"""Rows that the training and the test split share."""

from __future__ import annotations

import polars as pl

from modelway.components.core.checks import Check, OnInconclusive, Verdict, inconclusive, judged
from modelway.components.core.config.thresholds import Interval, Threshold
from modelway.components.validate.roc_auc import CONFIDENCE
from modelway.components.validate.sample import draw

_REMEDIES = {
    Verdict.INCONCLUSIVE: "raise `data.leakage.sample_rows`",
    Verdict.FAILED: "remove them from one split",
}


def shared_rows_check(
    train: pl.LazyFrame, test: pl.LazyFrame, *, limit: float, sample_rows: int, rule: OnInconclusive
) -> Check:
    """Looks for test rows that equal some training row in every column; missing values equal each other.

    The test rows may be a sample; all training rows are streamed. With all test rows the share is exact; a sample's
    has an interval, and finding none passes. Columns of lists and records are not compared.

    Args:
        train: The training split.
        test: The test split.
        limit: The greatest share of test rows that passes.
        sample_rows: How many test rows to look up at most.
        rule: What an inconclusive check does.
    """
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
