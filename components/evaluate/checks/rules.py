"""Prediction rules: predictions rise or fall with a feature, lie within bounds, do not depend on a feature."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import polars.exceptions

from modelway.components.core.checks import Check, OnInconclusive, inconclusive
from modelway.components.core.config.expressions import where_condition
from modelway.components.core.config.model_policy import PredictionRule
from modelway.components.core.config.thresholds import Threshold
from modelway.components.core.errors import ModelwayError, first_line
from modelway.components.core.measures.metrics import Array
from modelway.components.evaluate.checks.metrics import estimate_check
from modelway.components.evaluate.predicting import TOLERANCE, Candidate, scalar_predictions
from modelway.components.evaluate.statistics.estimates import Estimate
from modelway.components.evaluate.statistics.intervals import share_of
from modelway.components.evaluate.statistics.sum_metrics import share

MOST_ROWS = 500
MOST_VALUES = 11


def rule_checks(
    candidate: Candidate, rules: Sequence[PredictionRule], *, on_inconclusive: OnInconclusive
) -> list[Check]:
    """A check ``prediction_rule[name]`` for each rule: the share of rows that break it against the tolerance.

    With a tolerance of zero no interval could pass, so the share itself is judged. Rules that change a feature are
    tried on at most 500 rows drawn by the seed, with at most 11 values of the feature.

    Args:
        candidate: The model, on the test rows.
        rules: The policy's.
        on_inconclusive: What an inconclusive check does.

    Raises:
        ModelwayError: a rule names a column that does not exist, or its condition is invalid.
    """
    return [_check(candidate, rule, on_inconclusive=on_inconclusive) for rule in rules]


def _check(candidate: Candidate, rule: PredictionRule, *, on_inconclusive: OnInconclusive) -> Check:
    name, resampling = f"prediction_rule[{rule.name}]", candidate.resampling
    numbers = scalar_predictions(candidate.predictions)
    if numbers is None:
        message = (
            "the model predicts neither a number nor a positive class's probability, so the rule cannot be checked"
        )
        return inconclusive(name, message, rule=on_inconclusive)
    rows = _rows_of(rule, candidate.table)
    if rule.within is None and len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(resampling.seed).choice(rows, MOST_ROWS, replace=False))
    if not len(rows):
        message = f"no row meets the condition {rule.where!r}; bring such rows, or correct it"
        return inconclusive(name, message, rule=on_inconclusive, observed=0)
    is_broken = _breaks(rule, candidate, numbers=numbers, rows=rows) > rule.slack + TOLERANCE
    estimate = share_of(share(is_broken), resampling, rows=rows)
    if rule.tolerance == 0:
        estimate = Estimate(estimate.value)
    scope = f"is the share of {len(rows):,} test rows on which predictions {_violation(rule)}"
    threshold = Threshold(max=rule.tolerance)
    return estimate_check(name, estimate, threshold=threshold, rule=on_inconclusive, scope=scope)


def _violation(rule: PredictionRule) -> str:
    """What predictions do that break the rule, in words."""
    if rule.within is not None:
        return f"are not {rule.within}"
    if rule.invariant_to is not None:
        return f"change with {rule.invariant_to} by more than {rule.slack:g}"
    moves = "fall" if rule.direction == "increasing" else "rise"
    return f"{moves} somewhere as {rule.monotone} rises, by more than {rule.slack:g}"


def _rows_of(rule: PredictionRule, table: pl.DataFrame) -> Array:
    if rule.where is None:
        return np.arange(len(table))
    condition = where_condition(rule.name, rule.where)
    try:
        matches = table.lazy().select(condition.alias("met")).collect()["met"]
        if matches.dtype != pl.Boolean:
            raise _wrong(rule, "where", problem=f"gives {matches.dtype} where it must say true or false")
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException) as error:
        raise _wrong(rule, "where", problem=f"cannot be evaluated: {first_line(error)}") from error
    if len(matches) != len(table):  # of a condition without a column
        matches = matches.new_from_index(0, len(table))
    return matches.fill_null(value=False).arg_true().to_numpy()


def _wrong(rule: PredictionRule, key: str, *, problem: str) -> ModelwayError:
    value = getattr(rule, key)
    return ModelwayError(
        f"the prediction rule {rule.name!r} has `{key}: {value}`, which {problem}",
        key=f"model.rules.{rule.name}.{key}",
        value=value,
        remedy="give a condition over the raw columns such as `age > 60`, or the name of a column",
    )


def _breaks(rule: PredictionRule, candidate: Candidate, *, numbers: Array, rows: Array) -> Array:
    """By how much each of the rows breaks the rule, at least 0."""
    if rule.within is not None:
        low, high = rule.within.min, rule.within.max
        below = np.zeros(len(rows)) if low is None else low - numbers[rows]
        above = np.zeros(len(rows)) if high is None else numbers[rows] - high
        return np.maximum(0.0, np.maximum(below, above))
    key = "monotone" if rule.monotone is not None else "invariant_to"
    column, table = str(getattr(rule, key)), candidate.table
    if column not in table.columns:
        raise _wrong(rule, key, problem="is not a column of the data")
    series, sample = table[column], table[rows]
    if rule.monotone is not None and not series.dtype.is_numeric():
        raise _wrong(rule, key, problem="is not numeric")
    varied = [sample.with_columns(pl.lit(value, dtype=series.dtype).alias(column)) for value in _values_of(series)]
    if rule.monotone is None:
        varied.append(sample)
    if not varied:
        return np.zeros(len(rows))
    answers = scalar_predictions(candidate.predict(pl.concat(varied)))
    assert answers is not None  # noqa: S101 - the same model predicted numbers before
    grid = answers.reshape(len(varied), len(rows))
    if rule.monotone is None:
        return np.asarray(grid.max(axis=0) - grid.min(axis=0))
    rising = grid if rule.direction == "increasing" else -grid
    return np.asarray((np.maximum.accumulate(rising, axis=0) - rising).max(axis=0))


def _values_of(series: pl.Series) -> list[object]:
    """Values that occur, ascending: quantiles of a number, the most frequent of anything else."""
    values = series.drop_nulls()
    values = values.drop_nans() if values.dtype.is_float() else values
    if values.n_unique() <= MOST_VALUES:
        return values.unique().sort().to_list()
    if values.dtype.is_numeric() or values.dtype.is_temporal():
        order = values.sort()
        places = np.linspace(0, len(order) - 1, MOST_VALUES).round().astype(int)
        return order[places].unique(maintain_order=True).to_list()
    return values.value_counts(sort=True, name="rows")[series.name].head(MOST_VALUES).to_list()
