"""Differences of a metric on two subsets of one split, paired; by what is as in `intervals`."""

from __future__ import annotations

import numpy as np

from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Array, Predictions, higher_is_better, score
from modelway.components.evaluate.statistics.bootstrap import percentiles, resamples
from modelway.components.evaluate.statistics.estimates import Comparison, Subset
from modelway.components.evaluate.statistics.influence import (
    freedom_of,
    greatest_unseen,
    influence_of,
    standard_error,
    student_quantile,
)
from modelway.components.evaluate.statistics.resampling import Resampling
from modelway.components.evaluate.statistics.shares import Parts, parts_interval
from modelway.components.evaluate.statistics.sufficiency import (
    absent_class,
    greatest_difference,
    heavy_losses,
    is_greatest,
    no_width,
    rare_class,
    rarest_count,
    undefined,
)
from modelway.components.evaluate.statistics.sum_metrics import SumMetric, sum_metric


def compare(
    metric: str, first: Subset, *, second: Subset, resampling: Resampling, one_sided: bool = False
) -> Comparison:
    """How much better a metric is on one subset than on another of the same split: paired, positive is better.

    Args:
        metric: The metric's name.
        first: The subset in question.
        second: The subset that it is compared with.
        resampling: How the rows were drawn.
        one_sided: Whether each bound by itself holds at the level, as tests of non-inferiority require.

    Raises:
        ModelwayError: the metric cannot be computed from such predictions.
    """
    sign = 1.0 if higher_is_better(metric) else -1.0
    for subset in (first, second):
        reason = undefined(metric, subset.own_predictions) if subset.own_predictions.untrained else ""
        if reason and not _is_defined(metric, subset.own_predictions):
            return Comparison(float("nan"), reason=reason)
    values = [score(metric, subset.own_predictions) for subset in (first, second)]
    value = sign * (values[0] - values[1]) + 0.0
    level = resampling.confidence
    is_identity = _same(first, second)
    if np.isnan(value) or level is None:
        return Comparison(value, first=values[0], second=values[1], is_identity=is_identity)
    if is_identity:
        return Comparison(value, (value, value), 0.0, level, "", values[0], values[1], is_identity=True)
    return _with_interval(
        metric, (value, values[0], values[1]), first=first, second=second, resampling=resampling, one_sided=one_sided
    )


def _with_interval(
    metric: str,
    results: tuple[float, float, float],
    *,
    first: Subset,
    second: Subset,
    resampling: Resampling,
    one_sided: bool,
) -> Comparison:
    """A difference, of two values, with its interval, by the kind that the metric is of."""
    value, *values = results
    level, sign = resampling.confidence, 1.0 if higher_is_better(metric) else -1.0
    assert level is not None  # noqa: S101 - checked by the caller
    tail = (1 - level) if one_sided else (1 - level) / 2
    groups = first.groups(resampling)
    terms = [sum_metric(metric, subset.own_predictions) for subset in (first, second)]
    pair = _paired(terms[0], terms[1], sign=sign) if _same_rows(first, second) else None
    if pair is not None:
        interval, error = parts_interval(value, pair, groups=groups, tail=tail)
        return Comparison(value, interval, error, level, no_width(interval), values[0], values[1])
    reason = _insufficiency(metric, (terms[0], terms[1]), first=first, second=second, resampling=resampling)
    ours, theirs = (influence_of(metric, subset, resampling) for subset in (first, second))
    if ours is not None and theirs is not None:
        error, is_area = standard_error(ours - theirs, resampling), metric.startswith("roc_auc")
        widest = first if first.rows is None or _same_rows(first, second) else Subset(first.predictions)
        freedom = freedom_of(ours - theirs, widest, resampling, is_area=is_area)
        reach = error * -student_quantile(tail, freedom)
        if not reach and is_area:
            reach = greatest_unseen(first.own_predictions, groups, tail=tail)
        interval = (value - reach, value + reach)
        return Comparison(value, interval, error, level, reason or no_width(interval), values[0], values[1])
    resampled = [
        resamples(metric, subset.predictions, subset.rows, value=score_, resampling=resampling)
        for subset, score_ in zip((first, second), values, strict=True)
    ]
    count = min(rarest_count(subset.own_predictions, subset.groups(resampling)) for subset in (first, second))
    bounds, spread = percentiles(sign * (resampled[0] - resampled[1]), count=count, tail=tail)
    if bounds is None:
        return Comparison(float("nan"), first=values[0], second=values[1])
    return Comparison(value, bounds, spread, level, reason or no_width(bounds), values[0], values[1])


def _insufficiency(
    metric: str,
    terms: tuple[SumMetric | None, SumMetric | None],
    *,
    first: Subset,
    second: Subset,
    resampling: Resampling,
) -> str:
    """Why the rows tell too little of the difference; empty where they do not."""
    subsets, ours, theirs = (first, second), terms[0], terms[1]
    if is_greatest(metric):
        return greatest_difference()
    if ours is None or theirs is None or ours.losses is None or theirs.losses is None:
        if not first.own_predictions.classes:
            return ""
        needs_predicted = metric == "matthews_corrcoef" or metric.startswith("precision")
        reasons = [
            rare_class(subset.own_predictions, subset.groups(resampling), predicted=needs_predicted)
            for subset in subsets
        ]
        return next(filter(None, reasons), "")
    of_numbers = not first.own_predictions.classes
    reasons = [absent_class(subset.own_predictions) for subset in subsets]
    if _same_rows(first, second):
        difference = np.abs(ours.losses[:, :1] - theirs.losses[:, :1])
        reasons.append(heavy_losses(difference, first.groups(resampling), of_numbers=of_numbers))
    else:
        reasons += [
            heavy_losses(losses, subset.groups(resampling), of_numbers=of_numbers)
            for losses, subset in zip((ours.losses, theirs.losses), subsets, strict=True)
        ]
    return next(filter(None, reasons), "")


def _is_defined(metric: str, predictions: Predictions) -> bool:
    """Whether the metric can be computed at all."""
    try:
        return not np.isnan(score(metric, predictions))
    except ModelwayError:
        return False


def _same_rows(first: Subset, second: Subset) -> bool:
    if first.rows is None or second.rows is None:
        return first.rows is second.rows and len(first.predictions.truth) == len(second.predictions.truth)
    return np.array_equal(first.rows, second.rows)


def _same(first: Subset, second: Subset) -> bool:
    """Whether both predict the same for every row."""
    ours, theirs = first.own_predictions, second.own_predictions
    if ours.classes != theirs.classes or len(ours.truth) != len(theirs.truth):
        return False
    pairs: list[tuple[Array | None, Array | None]] = [
        (ours.truth, theirs.truth),
        (ours.predicted, theirs.predicted),
        (ours.probabilities, theirs.probabilities),
        (ours.scores, theirs.scores),
    ]
    return all(
        left is right or (left is not None and right is not None and np.array_equal(left, right))
        for left, right in pairs
    )


def _paired(first: SumMetric | None, second: SumMetric | None, *, sign: float) -> Parts | None:
    """The difference of two shares of the same trials, or of averages of such: the shares of rows won and lost."""
    ours, theirs = (None if terms is None else terms.parts or _single(terms) for terms in (first, second))
    if ours is None or theirs is None or ours.trials.shape != theirs.trials.shape:
        return None
    half = np.array(0.5)
    is_linear = all(float(parts.of_share(half)) == float(half) for parts in (ours, theirs))
    is_alike = np.array_equal(ours.trials, theirs.trials) and np.array_equal(ours.weights, theirs.weights)
    if not (is_linear and is_alike):
        return None
    won, lost = np.maximum(ours.hits - theirs.hits, 0.0), np.maximum(theirs.hits - ours.hits, 0.0)
    return Parts(
        np.hstack([won, lost]),
        np.hstack([ours.trials, ours.trials]),
        sign * np.concatenate([ours.weights, -ours.weights]),
        ours.of_share,
    )


def _single(terms: SumMetric) -> Parts | None:
    """A proportion as the only part."""
    if not terms.is_share:
        return None
    return Parts(terms.terms[:, :1], terms.terms[:, 1:], np.ones(1), terms.of_share)
