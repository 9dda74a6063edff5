"""Rows that the training and the test split share."""

from __future__ import annotations

import polars as pl

from modelway.components.core.checks import Check, OnInconclusive, Verdict, inconclusive, judged
from modelway.components.core.config.thresholds import Interval, Threshold
from modelway.components.validate.checks.single_feature import CONFIDENCE
from modelway.components.validate.sample import Sample, draw


def shared_rows_check(
    train: pl.LazyFrame, test: pl.LazyFrame, *, most: float, sample_rows: int, rule: OnInconclusive
) -> Check:
    """Looks for test rows whose every column equals some training row's; missing values equal each other.

    The test rows may be a sample, the training rows are all of them, streamed; no more than the sample is held. With
    all test rows the share is exact; of a sample it has an interval, and none found passes, its upper bound stated.
    Columns of lists and records are not compared.

    Args:
        train: The training split.
        test: The test split.
        most: The greatest share of test rows that passes.
        sample_rows: How many test rows are looked for at most.
        rule: What an inconclusive check does.
    """
    ours, theirs = train.collect_schema(), test.collect_schema()
    columns = [name for name, dtype in theirs.items() if ours.get(name) == dtype and not dtype.is_nested()]
    sample = draw(test, columns, most=sample_rows)
    if not columns or not len(sample.table):
        message = "the test split is empty, or shares no column with the training split"
        return inconclusive("shared_rows", message, rule=rule)
    key = max(columns, key=lambda name: sample.table[name].n_unique())
    # One column is looked at first, so that the others need to be read only where it agrees.
    first = pl.col(key).is_in(sample.table[key].unique().implode(), nulls_equal=True)
    same = train.select(columns).filter(first).join(sample.table.lazy(), on=columns, how="semi", nulls_equal=True)
    alike = same.unique().collect(engine="streaming")
    found = sample.table.join(alike, on=columns, how="semi", nulls_equal=True).height
    return _shared_check(found, sample, most=most, rule=rule)


def _shared_check(found: int, sample: Sample, *, most: float, rule: OnInconclusive) -> Check:
    rows, share = len(sample.table), found / len(sample.table)
    interval = None if sample.whole else _exact_interval(found, rows)
    shown = f", {interval[0]:.4%} to {interval[1]:.4%} of all with 95% confidence" if interval else ""
    message = f"{found:,} of {sample.rows} test rows are in the training split too ({share:.2%}{shown})"
    verdict = Threshold(max=most).judge(interval if interval is not None and found else (share, share))
    rounded = (round(interval[0], 8), round(interval[1], 8)) if interval else None
    if verdict is Verdict.INCONCLUSIVE:
        message += f"; the policy asks for at most {most:.2%}: raise `data.leakage.sample_rows`"
    elif verdict is Verdict.FAILED:
        message += f"; the policy asks for at most {most:.2%}: take them out of the one or the other"
    return judged("shared_rows", verdict, message=message, rule=rule, observed=share, threshold=most, interval=rounded)


def _exact_interval(found: int, rows: int) -> Interval:
    """The interval of a share by Clopper and Pearson (1934)."""
    from scipy.stats import binomtest

    interval = binomtest(found, rows).proportion_ci(CONFIDENCE, method="exact")
    return float(interval.low), float(interval.high)
