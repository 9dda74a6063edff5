"""Groups of rows that the training and the test split share."""

from __future__ import annotations

import polars as pl

from modelway.components.core.checks import Check, OnInconclusive, inconclusive, passed_or_failed
from modelway.components.validate.sample import draw

_SHOWN = 5


def shared_groups_check(
    column: str, train: pl.LazyFrame, *, test: pl.LazyFrame, sample_rows: int, rule: OnInconclusive
) -> Check:
    """Looks for groups of the test split that the training split holds too; none may be.

    The groups are those of all test rows or of a sample, looked for among all training rows; rows without a group
    are left out.

    Args:
        column: The column whose values make the groups.
        train: The training split.
        test: The test split.
        sample_rows: How many test rows are looked at at most.
        rule: What an inconclusive check does.
    """
    name = f"shared_groups[{column}]"
    ours, theirs = train.collect_schema(), test.collect_schema()
    if column not in ours or column not in theirs:
        message = f"the data has no column {column!r}; correct `data.leakage.groups` in the policy"
        return passed_or_failed(name, False, message=message)
    if ours[column] != theirs[column] or ours[column].is_nested():
        message = f"{column!r} is {ours[column]} in training and {theirs[column]} in test, which cannot be compared"
        return inconclusive(name, message, rule=rule)
    sample = draw(test, [column], most=sample_rows)
    groups = sample.table[column].drop_nulls().unique()
    if not len(groups):
        return inconclusive(name, f"no test row has a {column!r}", rule=rule)
    same = train.select(column).filter(pl.col(column).is_in(groups.implode())).unique()
    shared = same.collect(engine="streaming")[column].sort()
    of = f"{len(groups):,} groups by {column!r} of {sample.rows} test rows"
    if not len(shared):
        return passed_or_failed(name, True, message=f"none of {of} is in the training split", observed=0, threshold=0)
    shown = ", ".join(str(value)[:40] for value in shared.head(_SHOWN)) + (", …" if len(shared) > _SHOWN else "")
    message = f"{len(shared):,} of {of} are in the training split too ({shown}); split by group on {column!r}"
    return passed_or_failed(name, False, message=message, observed=len(shared), threshold=0)
