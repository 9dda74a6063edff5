"""Features that repeat the label, or one another."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import polars as pl

from modelway.components.core.checks import Check, OnInconclusive, inconclusive, passed_or_failed
from modelway.components.core.tables.parquet import as_numbers, as_text
from modelway.components.validate.checks.single_feature import MINIMUM_ROWS
from modelway.components.validate.sample import Sample, is_ordered, plain_series, ranks


def duplicate_checks(sample: Sample, label: str, *, features: Sequence[str], rule: OnInconclusive) -> list[Check]:
    """Finds features that repeat the label, and features that repeat one another.

    A feature repeats the label if it equals it, if its values correspond one to one to the label's, or, where nearly
    every label differs (so that any identifier would correspond), if it rises or falls strictly with it. Two features
    repeat one another if every row holds the same value in both; that costs time and distorts explanations but leaks
    nothing, so it is inconclusive.

    Args:
        sample: Training rows.
        label: The label's name; it may be missing from the table.
        features: The features that the table has.
        rule: What an inconclusive check does.
    """
    if len(sample.table) < MINIMUM_ROWS:
        message = f"{sample.rows} training rows; {MINIMUM_ROWS} are needed to find repeated columns"
        return [inconclusive("duplicate[features]", message, rule=rule)]
    checks: dict[str, Check] = {}
    if label in sample.table.columns:
        labelled = sample.table.filter(plain_series(sample.table[label]).is_not_null())
        for feature in features:
            how = _repeats_label(labelled[feature], labelled[label])
            if how:
                message = f"{how} {label!r} on {sample.rows} training rows; take it out of `features`"
                checks[feature] = passed_or_failed(f"duplicate[{feature}]", False, message=message)
    for first, *repetitions in _alike(sample.table, features):
        for feature in repetitions:
            message = f"the same as {first!r} in {sample.rows} training rows; keep one of the two in `features`"
            checks.setdefault(feature, inconclusive(f"duplicate[{feature}]", message, rule=rule))
    if checks:
        return list(checks.values())
    message = f"none of {len(features)} features repeats the label or another feature, on {sample.rows} training rows"
    return [passed_or_failed("duplicate[features]", True, message=message)]


def _repeats_label(feature: pl.Series, label: pl.Series) -> str:
    """How a feature repeats the label, in words before the label's name; empty if it does not."""
    pair = pl.DataFrame([plain_series(feature).alias("feature"), plain_series(label).alias("label")])
    distinct = pair.select(
        feature=pl.col("feature").n_unique(), label=pl.col("label").n_unique(), both=pl.struct(pl.all()).n_unique()
    ).row(0, named=True)
    if len(pair) < MINIMUM_ROWS or distinct["label"] < 2:
        return ""
    if _bytes(pair["feature"]) == _bytes(pair["label"]) or as_text(pair["feature"]).equals(as_text(pair["label"])):
        return "equals the label"
    if len(set(distinct.values())) > 1:
        return ""
    if distinct["label"] <= len(pair) / 2:
        return "its values correspond one to one to those of the label"
    return "rises or falls strictly with the label" if _is_monotone(pair["feature"], pair["label"]) else ""


def _is_monotone(feature: pl.Series, label: pl.Series) -> bool:
    if not (is_ordered(feature) and is_ordered(label)):
        return False
    first, second = ranks(feature), ranks(label)
    return np.array_equal(first, second) or np.array_equal(first, np.nanmax(second) - second)


def _alike(table: pl.DataFrame, features: Sequence[str]) -> list[list[str]]:
    """Groups of features that hold the same values in every row; columns of one value are left out."""
    groups: dict[tuple[bool, bytes], list[str]] = defaultdict(list)
    for feature in features:
        series = plain_series(table[feature])
        if series.n_unique() > 1:
            groups[is_ordered(series), hashlib.sha256(_bytes(series)).digest()].append(feature)
    return [group for group in groups.values() if len(group) > 1]


def _bytes(series: pl.Series) -> bytes:
    """Bytes that are equal for two columns, both ordered or both not, only if all their values are."""
    if is_ordered(series):
        return (as_numbers(series) + 0.0).tobytes()  # makes one of the two zeros
    return "\0".join("\1" if value is None else value for value in as_text(series)).encode()
