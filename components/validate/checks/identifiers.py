"""Features that identify rows, or follow their order, instead of describing them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import polars as pl

from modelway.components.core.checks import Check, OnInconclusive, Verdict, inconclusive, judged, passed_or_failed
from modelway.components.core.tables.parquet import as_numbers
from modelway.components.validate.checks.single_feature import MINIMUM_ROWS, Skill
from modelway.components.validate.sample import Sample, is_ordered, plain_series

_DISTINCT = 0.99  # of the rows: "nearly every one"


_DISTINCT_OF_ALL = 0.95  # the same, counted by a sketch that errs by some percent


_IN_ORDER = 0.999


_UNIFORM = 1.63  # Kolmogorov's 99 % quantile, times the root of the rows


_PREDICTIVE = {"ROC AUC": 0.6, "R²": 0.1}


def identifier_checks(
    sample: Sample,
    table: pl.LazyFrame,
    *,
    features: Sequence[str],
    categorical: Collection[str],
    skills: Sequence[Skill],
    rule: OnInconclusive,
) -> list[Check]:
    """Finds features that identify the row instead of describing it, and those that follow the order of the rows.

    Failed: names (text, or numbers that the project calls categorical) that differ in nearly every row; whole numbers
    that do, and count the rows nearly without gaps; anything that differs in nearly every row, rises or falls with
    the row's number and predicts the label. Inconclusive: whole numbers that differ and are spread evenly, like hashes;
    times of which nearly every row has an hour or a day of its own, without gaps; features with ties that follow the
    order and predict the label, since the file may just be sorted by them. Numbers with fractions are measurements,
    which may differ in every row.

    Args:
        sample: Training rows.
        table: All training rows, in which the distinct values of suspects are counted (with an error of some percent).
        features: The features that the table has.
        categorical: Those that the project calls categorical.
        skills: How well each predicts the label, as far as measured.
        rule: What an inconclusive check does.
    """
    if len(sample.table) < MINIMUM_ROWS:
        message = f"{sample.rows} training rows; {MINIMUM_ROWS} are needed to find identifiers"
        return [inconclusive("identifier[features]", message, rule=rule)]
    skilful = {skill.feature: skill for skill in skills if skill.interval[0] > _PREDICTIVE[skill.measure]}
    suspects, distinct = {}, []
    for feature in features:
        series = plain_series(sample.table[feature])
        is_distinct = _differs(series)
        suspicion = _names_rows(series, sample, categorical=feature in categorical) if is_distinct else None
        may_be_ordered = suspicion is None and feature in skilful and not series.dtype.is_temporal()
        if may_be_ordered and _follows_order(series):
            order = "it follows the order of the rows" + ("" if is_distinct else ", or they are sorted by it")
            predicts = "which predicts the label" if is_distinct else "and it predicts the label"
            skill = skilful[feature]
            suspicion = is_distinct, f"{order}, {predicts} ({skill.measure} {skill.observed:.3f})"
        if suspicion is not None:
            suspects[feature] = suspicion
            if is_distinct:
                distinct.append(feature)
    repeated = _repeated(sample, table, features=distinct)
    checks = []
    for feature, (certain, says) in suspects.items():
        if feature not in repeated:
            message = f"{says} (on {sample.rows} training rows); take it out of `features`"
            message += "" if certain else " unless its value has a meaning"
            verdict = Verdict.FAILED if certain else Verdict.INCONCLUSIVE
            checks.append(judged(f"identifier[{feature}]", verdict, message=message, rule=rule))
    if checks:
        return checks
    message = f"none of {len(features)} features identifies a row or follows the rows' order, on {sample.rows} rows"
    return [passed_or_failed("identifier[features]", True, message=message)]


def _differs(series: pl.Series) -> bool:
    """Whether nearly every row has a value of its own."""
    values = series.drop_nulls()
    return len(values) >= MINIMUM_ROWS and values.n_unique() >= _DISTINCT * len(values)


def _repeated(sample: Sample, table: pl.LazyFrame, *, features: Sequence[str]) -> set[str]:
    """Those features that differ in nearly every row of the sample, but not of the table."""
    countable = [name for name in features if not sample.table.schema[name].is_nested()]
    if sample.is_complete or not countable:
        return set()
    values = pl.col(countable).drop_nulls()
    shares = table.select(values.approx_n_unique() / values.len()).collect(engine="streaming").row(0, named=True)
    return {name for name, share in shares.items() if share < _DISTINCT_OF_ALL}


def _names_rows(series: pl.Series, sample: Sample, *, categorical: bool) -> tuple[bool, str] | None:
    """Whether a feature that differs in nearly every row is certainly an identifier, and why; None if it is none."""
    values = series.drop_nulls()
    if values.dtype.is_temporal():
        hours = (values.cast(pl.Datetime("us")).dt.epoch("s") // 3600).alias("hour")
        if any(_differs(ticks) and np.ptp(ticks.to_numpy()) < 2 * sample.total for ticks in (hours, hours // 24)):
            return False, "nearly every row has an hour or a day of its own, without gaps, so it numbers the rows"
        return None
    if categorical or not is_ordered(values):
        return True, "nearly every row has a value of its own, so it identifies the row and does not generalize"
    return _numbers_rows(as_numbers(values), sample.total)


def _numbers_rows(numbers: np.ndarray[Any, np.dtype[np.float64]], total: int) -> tuple[bool, str] | None:
    """The same for numbers; `total` is how many rows the table has."""
    if not np.isfinite(numbers).all() or (numbers != np.round(numbers)).any():
        return None
    span = float(np.ptp(numbers)) + 1
    if span <= 2 * total:
        return True, "whole numbers that count the rows nearly without gaps, so it identifies the row"
    even = np.arange(1, len(numbers) + 1) / len(numbers)
    distance = np.abs((np.sort(numbers) - numbers.min()) / span - even).max()
    if distance < _UNIFORM / np.sqrt(len(numbers)):
        return False, "whole numbers that differ in nearly every row and are spread evenly, as identifiers are"
    return None


def _follows_order(series: pl.Series) -> bool:
    """Whether the rank correlation (Spearman, 1904) with the row's number is nearly perfect."""
    if not is_ordered(series) or series.null_count() > (1 - _DISTINCT) * len(series):
        return False
    midranks = series.drop_nulls().rank("average").to_numpy()
    if np.ptp(midranks) == 0:
        return False
    return abs(float(np.corrcoef(np.arange(len(midranks)), midranks)[0, 1])) > _IN_ORDER
