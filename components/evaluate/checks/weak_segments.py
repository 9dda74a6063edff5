"""Weak segments: the worst parts of a split that a shallow tree over the rows' errors finds.

The tree is fitted on one half of the split and the segments are judged on the other, so that a segment
is not weak merely because it was selected for that.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from modelway.components.core.checks import Check, inconclusive, passed_or_failed
from modelway.components.core.config.model_policy import WeakSegments
from modelway.components.core.measures.metrics import Array, Predictions
from modelway.components.core.report.html import format_number
from modelway.components.core.tables.parquet import as_numbers, as_text
from modelway.components.evaluate.checks.metrics import estimate_check
from modelway.components.evaluate.predicting import Candidate
from modelway.components.evaluate.slices import why_not_measurable
from modelway.components.evaluate.statistics.estimates import Subset
from modelway.components.evaluate.statistics.intervals import measure
from modelway.components.evaluate.statistics.resampling import Resampling

MOST_CATEGORIES = 20

_Steps = tuple[tuple[int, bool], ...]


@dataclass(frozen=True)
class Segment:
    """A part of the split that conditions on raw columns describe.

    Attributes:
        name: The conditions, as people read them.
        rows: Its rows in the half that judges.
        error: The mean error in the half that it was found in.
    """

    name: str
    rows: Array
    error: float


@dataclass(frozen=True)
class _Question:
    """What the tree may split by: a number, or whether a value is a category, and which category it is otherwise."""

    column: str
    values: Array
    category: str | None = None
    opposite: str | None = None
    moment: pl.DataType | None = None
    first: float = 0.0


@dataclass
class _Conditions:
    """The conditions on one column along the path to a leaf."""

    question: _Question
    low: float = -np.inf
    high: float = np.inf
    missing: bool = True
    is_: str | None = None
    is_not: list[str] = field(default_factory=list)


def weak_segment_checks(candidate: Candidate, columns: Sequence[str], *, policy: WeakSegments) -> list[Check]:
    """A check ``weak_segment[conditions].metric`` for the worst segments, the worst first.

    Args:
        candidate: The model, on the test rows.
        columns: The columns that describe segments.
        policy: The policy's `weak_segments` section.
    """
    predictions, resampling, rule = candidate.predictions, candidate.resampling, policy.on_inconclusive
    finding, judging = _halves(resampling)
    least = policy.minimum_rows
    if min(len(finding), len(judging)) < 2 * least:
        message = (
            f"{resampling.rows:,} test rows; to find segments of {least:,} rows in one half and judge them in the "
            f"other takes {4 * least:,}; bring more rows, or lower `model.weak_segments.minimum_rows`"
        )
        return [inconclusive("weak_segments", message, rule=rule, observed=resampling.rows, threshold=4 * least)]
    segments = find_segments(
        candidate.table, columns, errors=row_errors(predictions), finding=finding, judging=judging, policy=policy
    )
    if not segments:
        message = f"no condition on a column separates rows with greater errors, among {len(finding):,} rows"
        return [passed_or_failed("weak_segments", passed=True, message=message, observed=0)]
    checks = []
    for segment, (metric, threshold) in itertools.product(segments[: policy.most], policy.metrics.items()):
        name, rows = f"weak_segment[{segment.name}].{metric}", len(segment.rows)
        reason = why_not_measurable(predictions, segment.rows, minimum_rows=min(least // 2, len(judging)))
        estimate = None if reason else measure(metric, Subset(predictions, segment.rows), resampling=resampling)
        if estimate is None or np.isnan(estimate.value):
            reason = (
                reason
                or (estimate.reason if estimate else "")
                or f"{metric} is not defined on these {rows:,} rows; bring more of them"
            )
            checks.append(inconclusive(name, reason, rule=rule, observed=rows))
            continue
        scope = f"on the segment's {rows:,} rows in the half that it was not found in"
        checks.append(estimate_check(name, estimate, threshold=threshold, rule=rule, scope=scope))
    return checks


def row_errors(predictions: Predictions) -> Array:
    """How wrong each prediction is: the absolute error, the log loss, or without probabilities 0 or 1."""
    if not predictions.classes:
        return np.asarray(np.abs(predictions.predicted - predictions.truth))
    if predictions.probabilities is None:
        return np.asarray(predictions.predicted != predictions.truth, dtype=np.float64)
    classes = np.minimum(predictions.truth, len(predictions.classes) - 1)
    probabilities = predictions.probabilities[np.arange(len(classes)), classes]
    probabilities = np.where(predictions.truth < len(predictions.classes), probabilities, 0.0)
    return np.asarray(-np.log(np.clip(probabilities, 1e-6, 1.0)))


def find_segments(
    table: pl.DataFrame,
    columns: Sequence[str],
    *,
    errors: Array,
    finding: Array,
    judging: Array,
    policy: WeakSegments,
) -> list[Segment]:
    """The leaves of a shallow regression tree over the errors, those with the greatest mean error first.

    Args:
        table: The rows.
        columns: What may separate them; dates and times count as numbers, other columns have 20 values at most.
        errors: How wrong each row's prediction is, shape (rows,).
        finding: The rows that the tree is fitted on.
        judging: The rows that a segment's rows are taken from.
        policy: The tree's depth and the least rows of a leaf.

    Returns:
        The segments whose mean error is above that of all rows.
    """
    from sklearn.tree import DecisionTreeRegressor

    questions = [question for name in columns for question in _questions(table[name])]
    questions = [question for question in questions if len(np.unique(question.values)) > 1]
    if not questions:
        return []
    answers = np.column_stack([question.values for question in questions])
    regressor = DecisionTreeRegressor(max_depth=policy.depth, min_samples_leaf=policy.minimum_rows, random_state=0)
    regressor.fit(answers[finding], errors[finding])
    tree, leaves = regressor.tree_, regressor.apply(answers[judging])
    segments = []
    for leaf, steps in _paths(tree):
        error = float(tree.value[leaf].ravel()[0])
        if steps and error > float(errors[finding].mean()):
            segments.append(Segment(_description(tree, questions, steps=steps), judging[leaves == leaf], error))
    return sorted(segments, key=lambda segment: -segment.error)


def _halves(resampling: Resampling) -> tuple[Array, Array]:
    """Two halves of the rows, with all rows of a group on one side."""
    units = np.arange(resampling.rows) if resampling.groups is None else resampling.groups
    side = np.random.default_rng(resampling.seed + 3).permutation(int(units.max()) + 1) % 2 == 0
    first = side[units]
    return np.flatnonzero(first), np.flatnonzero(~first)


def _questions(series: pl.Series) -> list[_Question]:
    if series.dtype.is_numeric() or series.dtype.is_temporal():
        numbers = as_numbers(series)
        if not series.dtype.is_temporal():
            return [_Question(series.name, np.where(np.isfinite(numbers), numbers, np.nan))]
        first = float(np.nanmin(numbers)) if np.isfinite(numbers).any() else 0.0
        return [_Question(series.name, numbers - first, moment=series.dtype, first=first)]  # the tree sees float32
    text = as_text(series).fill_null("missing")
    counts = text.value_counts(sort=True, name="rows").head(MOST_CATEGORIES)
    values = sorted(counts[series.name].to_list())
    if text.n_unique() == 2:
        return [_Question(series.name, (text == values[1]).cast(pl.Float64).to_numpy(), values[1], values[0])]
    return [_Question(series.name, (text == value).cast(pl.Float64).to_numpy(), category=value) for value in values]


def _paths(tree: Any, node: int = 0, *, steps: _Steps = ()) -> Iterator[tuple[int, _Steps]]:
    """The leaves, each with the nodes on the path to it and whether the path goes left there."""
    if tree.children_left[node] == -1:
        yield node, steps
        return
    yield from _paths(tree, int(tree.children_left[node]), steps=(*steps, (node, True)))
    yield from _paths(tree, int(tree.children_right[node]), steps=(*steps, (node, False)))


def _description(tree: Any, questions: Sequence[_Question], *, steps: _Steps) -> str:
    """The conditions on columns along a path, as people read them."""
    by_column: dict[str, _Conditions] = {}
    for node, is_left in steps:
        question, cut = questions[tree.feature[node]], float(tree.threshold[node])
        conditions = by_column.setdefault(question.column, _Conditions(question))
        if question.category is not None:
            if is_left:
                conditions.is_not.append(question.category)
            else:
                conditions.is_ = question.category
            continue
        conditions.missing = conditions.missing and bool(tree.missing_go_to_left[node]) == is_left
        if is_left:
            conditions.high = min(conditions.high, cut)
        else:
            conditions.low = max(conditions.low, cut)
    return " and ".join(_words(conditions) for conditions in by_column.values())


def _words(conditions: _Conditions) -> str:
    question, name = conditions.question, conditions.question.column
    if question.category is not None:
        if conditions.is_ is not None or question.opposite is not None:
            return f"{name} = {conditions.is_ or question.opposite}"
        return " and ".join(f"{name} ≠ {value}" for value in conditions.is_not)
    has_missing = bool(np.isnan(question.values).any())
    low, high = (None if np.isinf(edge) else _edge(edge, question) for edge in (conditions.low, conditions.high))
    if low is None and high is None:
        return f"{name} is missing" if conditions.missing else f"{name} is not missing"
    text = f"{low} < {name} <= {high}"
    if low is None or high is None:
        text = f"{name} <= {high}" if low is None else f"{name} > {low}"
    return f"({text} or missing)" if has_missing and conditions.missing else text


def _edge(edge: float, question: _Question) -> str:
    if question.moment is None:
        return format_number(edge)
    value = pl.Series([round(edge + question.first)])
    if question.moment.base_type() in {pl.Time, pl.Duration}:
        return str(value.cast(question.moment)[0])
    moment = value.cast(pl.Datetime("us")).dt.round("1m")
    return str((moment.dt.date() if question.moment == pl.Date else moment)[0])
