"""Groups of rows that the training and the test split share."""

from __future__ import annotations

import polars as pl

from modelway.components.core.checks import Check, OnInconclusive, inconclusive, passed_or_failed
from modelway.components.validate.sample import draw

_SHOWN = 5


def shared_groups_check(
    column: str, train: pl.LazyFrame, *, test: pl.LazyFrame, sample_rows: int, rule: OnInconclusive
) -> Check:
    """Looks for groups of the test split that the training split holds too; there may be none.

    The groups are those of all test rows or of a sample, and are looked up in all training rows; rows without a group
    are left out.

    Args:
        column: The column whose values make the groups.
        train: The training split.
        test: The test split.
        sample_rows: How many test rows to look up at most.
        rule: What an inconclusive check does.
    """
    name = f"shared_groups[{column}]"
    train_schema, test_schema = train.collect_schema(), test.collect_schema()
    if column not in train_schema or column not in test_schema:
        message = f"the data has no column {column!r}; correct `data.leakage.groups` in the policy"
        return passed_or_failed(name, False, message=message)
    if train_schema[column] != test_schema[column] or train_schema[column].is_nested():
        message = f"{column!r} is {train_schema[column]} in training, but {test_schema[column]} in test"
        return inconclusive(name, message, rule=rule)
    sample = draw(test, [column], limit=sample_rows)
    groups = sample.table[column].drop_nulls().unique()
    if not len(groups):
        return inconclusive(name, f"no test row has a value in {column!r}", rule=rule)
    matches = train.select(column).filter(pl.col(column).is_in(groups.implode())).unique()
    shared_groups = matches.collect(engine="streaming")[column].sort()
    of = f"{len(groups):,} groups by {column!r} of {sample.rows} test rows"
    message, hits = f"none of {of} is in the training split", len(shared_groups)
    if hits:
        examples = ", ".join(str(value)[:40] for value in shared_groups.head(_SHOWN)) + (", …" if hits > _SHOWN else "")
        message = f"{hits:,} of {of} are in the training split too ({examples}); split by group on {column!r}"
    return passed_or_failed(name, not hits, message=message, observed=hits, threshold=0)
