"""Whether the rule that splits rows by their content leaves test rows like the training rows, and is the champion's."""

from __future__ import annotations

import polars as pl

from modelway.components.core.checks import Check, OnInconclusive, inconclusive, passed_or_failed
from modelway.components.core.config.project import Split
from modelway.components.core.tables.placement import MOSTLY_DISTINCT
from modelway.components.validate.counting import multiplicities, rows_of


def split_rule_check(
    train: pl.LazyFrame, test: pl.LazyFrame, *, split: Split, label: str, before: Split | None
) -> Check | None:
    """Says by which rule rows are split, and warns of the first rule, and of a champion that was split by another one.

    The first rule parts rows with equal features by their labels, so that the test split holds the answers that the
    training split does not: where less than 99 % of the rows are distinct without the label it fails, unless the
    champion was split by it too. What learned by another split knows some of these test rows. Neither warning blocks.

    Args:
        train: The training split.
        test: The test split, with the same columns.
        split: How they were split.
        label: The column to predict.
        before: How the champion's rows were split; None: there is no champion.

    Returns:
        The check; None where rows are split by an identifier, by group or by time.
    """
    if split.rule_in_force is None:
        return None
    like_before = before is None or (before.rule_in_force, before.equal_rows) == (split.rule_in_force, split.equal_rows)
    message = f"rows are split {split}"
    if split.rule_in_force == 2:
        if like_before:
            return passed_or_failed("split_rule", True, message=message)
        message += (
            f", and the champion's were split {before}: it has learned from some of these test rows, so that "
            "`no_regression` can pass but not fail; the next champion is split by this rule"
        )
        return inconclusive("split_rule", message, rule=OnInconclusive.WARN)
    rows, distinct = _distinct_rows(pl.concat([train, test]), label)
    share = distinct / max(rows, 1)
    message += f"; {distinct:,} of {rows:,} ({share:.2%}) are distinct without the label"
    if distinct == rows:
        return passed_or_failed("split_rule", True, message=message, observed=share, threshold=MOSTLY_DISTINCT)
    message += (
        ": rows with equal features and other labels part, so that the test split holds the answers that the training "
        f"split does not; write `rule: 2` and `equal_rows: {'apart' if share < MOSTLY_DISTINCT else 'together'}` under "
        "`data.split`"
    )
    if before is not None and like_before:
        message += "; the champion was split by rule 1, which is kept until then"
    elif share < MOSTLY_DISTINCT:
        return passed_or_failed("split_rule", False, message=message, observed=share, threshold=MOSTLY_DISTINCT)
    return inconclusive("split_rule", message, rule=OnInconclusive.WARN, observed=share, threshold=MOSTLY_DISTINCT)


def _distinct_rows(table: pl.LazyFrame, label: str) -> tuple[int, int]:
    """How many rows there are, and how many that differ in a column other than the label."""
    rows, schema = rows_of(table), table.collect_schema()
    columns = [name for name, dtype in schema.items() if name != label and not dtype.is_nested()]
    distinct = sum(len(frame) for frame in multiplicities(table, columns, rows=rows)) if columns else rows
    return rows, distinct
