"""Business rules on predictions: rise or fall with a feature, lie within bounds, do not depend on a feature."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import polars.exceptions

from modelway.components.core.checks import Check, OnInconclusive, inconclusive
from modelway.components.core.config.model_policy import PredictionRule
from modelway.components.core.config.thresholds import Threshold, threshold_check
from modelway.components.core.errors import ModelwayError, first_line
from modelway.components.core.measures.metrics import Array, Predictions
from modelway.components.evaluate.predicting import TOLERANCE, Predict, outcome
from modelway.components.evaluate.statistics.intervals import share_of
from modelway.components.evaluate.statistics.resampling import Sampling
from modelway.components.evaluate.statistics.sum_metrics import share

MOST_ROWS = 500
MOST_VALUES = 11


def rule_checks(
    ask: Predict,
    table: pl.DataFrame,
    *,
    predictions: Predictions,
    sampling: Sampling,
    rules: Sequence[PredictionRule],
    on_inconclusive: OnInconclusive,
) -> list[Check]:
    """A check ``prediction_rule[name]`` for each rule: the share of rows that break it against what is tolerated.

    Where nothing is tolerated no interval could pass, so the share itself is judged. Rules that change a feature are
    tried on at most 500 rows drawn by the seed, with at most 11 values of the feature.

    Args:
        ask: The model.
        table: The test rows.
        predictions: What the model said about them.
        sampling: How the rows were drawn.
        rules: The policy's.
        on_inconclusive: What to do where the rows cannot tell.

    Raises:
        ModelwayError: a rule names a column that is not there, or its condition is none.
    """
    return [
        _check(ask, table, predictions=predictions, sampling=sampling, rule=rule, on_inconclusive=on_inconclusive)
        for rule in rules
    ]


def _check(
    ask: Predict,
    table: pl.DataFrame,
    *,
    predictions: Predictions,
    sampling: Sampling,
    rule: PredictionRule,
    on_inconclusive: OnInconclusive,
) -> Check:
    name = f"prediction_rule[{rule.name}]"
    numbers = outcome(predictions)
    if numbers is None:
        message = "there is no probability of a positive class and no predicted number that the rule could be about"
        return inconclusive(name, message, rule=on_inconclusive)
    rows = _rows_of(rule, table)
    if rule.within is None and len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(sampling.seed).choice(rows, MOST_ROWS, replace=False))
    if not len(rows):
        message = f"no row meets the condition {rule.where!r}; bring such rows, or correct it"
        return inconclusive(name, message, rule=on_inconclusive, observed=0)
    breaks = _breaks(rule, ask, table=table, numbers=numbers, rows=rows) > rule.slack + TOLERANCE
    found = share_of(share(breaks), sampling, rows=rows)
    strict = rule.tolerance == 0
    return threshold_check(
        name,
        found.value,
        threshold=Threshold(max=rule.tolerance),
        rule=on_inconclusive,
        scope=f"is the share of {len(rows):,} test rows on which predictions {_told(rule)}",
        interval=None if strict else found.interval,
        confidence=sampling.confidence,
    )


def _told(rule: PredictionRule) -> str:
    """What a row does that breaks the rule, as words."""
    if rule.within is not None:
        return f"are not {rule.within}"
    if rule.invariant_to is not None:
        return f"change with {rule.invariant_to} by more than {rule.slack:g}"
    moves = "fall" if rule.direction == "increasing" else "rise"
    return f"{moves} somewhere as {rule.monotone} rises, by more than {rule.slack:g}"


def _rows_of(rule: PredictionRule, table: pl.DataFrame) -> Array:
    if rule.where is None:
        return np.arange(len(table))
    try:
        found = table.lazy().select(pl.sql_expr(rule.where).alias("met")).collect()["met"]
        if found.dtype != pl.Boolean:
            raise _wrong(rule, "where", what=f"gives {found.dtype} where it must say true or false")
    except polars.exceptions.PolarsError as error:
        raise _wrong(rule, "where", what=f"cannot be evaluated: {first_line(error)}") from error
    if len(found) != len(table):
        found = found.new_from_index(0, len(table))
    return found.fill_null(value=False).arg_true().to_numpy()


def _wrong(rule: PredictionRule, key: str, *, what: str) -> ModelwayError:
    value = getattr(rule, key)
    return ModelwayError(
        f"the prediction rule {rule.name!r} has `{key}: {value}`, which {what}",
        key=f"model.rules.{rule.name}.{key}",
        value=value,
        remedy="correct it: a condition over the raw columns such as `age > 60`, or the name of a column",
    )


def _breaks(rule: PredictionRule, ask: Predict, *, table: pl.DataFrame, numbers: Array, rows: Array) -> Array:
    """By how much each of the rows breaks the rule, at least 0."""
    if rule.within is not None:
        low, high = rule.within.min, rule.within.max
        below = np.zeros(len(rows)) if low is None else low - numbers[rows]
        above = np.zeros(len(rows)) if high is None else numbers[rows] - high
        return np.maximum(0.0, np.maximum(below, above))
    key = "monotone" if rule.monotone is not None else "invariant_to"
    column = str(getattr(rule, key))
    if column not in table.columns:
        raise _wrong(rule, key, what="is not a column of the data")
    values = _values_of(table[column])
    if rule.monotone is not None and not table[column].dtype.is_numeric():
        raise _wrong(rule, key, what="is no number")
    some = table[rows]
    varied = [some.with_columns(pl.lit(value, dtype=table[column].dtype).alias(column)) for value in values]
    if rule.monotone is None:
        varied.append(some)
    if not varied:
        return np.zeros(len(rows))
    answers = outcome(ask(pl.concat(varied)))
    assert answers is not None  # noqa: S101 - the same model gave such answers
    answered = answers.reshape(len(varied), len(rows))
    if rule.monotone is None:
        return np.asarray(answered.max(axis=0) - answered.min(axis=0))
    rising = answered if rule.direction == "increasing" else -answered
    return np.asarray((np.maximum.accumulate(rising, axis=0) - rising).max(axis=0))


def _values_of(series: pl.Series) -> list[object]:
    """Values that occur, ascending: quantiles of a number, the most frequent of anything else."""
    known = series.drop_nulls()
    known = known.drop_nans() if known.dtype.is_float() else known
    if known.n_unique() <= MOST_VALUES:
        return known.unique().sort().to_list()
    if known.dtype.is_numeric() or known.dtype.is_temporal():
        order = known.sort()
        places = np.linspace(0, len(order) - 1, MOST_VALUES).round().astype(int)
        return order[places].unique(maintain_order=True).to_list()
    counts = known.value_counts(sort=True, name="rows").head(MOST_VALUES)
    return counts[series.name].to_list()
