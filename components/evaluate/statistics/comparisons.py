"""Differences of a metric on two subsets of one split, paired; what is resampled and how is as in `intervals`."""

from __future__ import annotations

import numpy as np

from modelway.components.core.config.thresholds import Interval
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Array, Predictions, higher_is_better, score
from modelway.components.evaluate.statistics.areas import (
    freedom_of,
    greatest_unseen,
    influence_of,
    standard_error,
    student_quantile,
)
from modelway.components.evaluate.statistics.bootstrap import bootstrapped, resamples, studentized
from modelway.components.evaluate.statistics.estimates import Comparison, Subset
from modelway.components.evaluate.statistics.resampling import Resampling
from modelway.components.evaluate.statistics.shares import Parts, parts_interval
from modelway.components.evaluate.statistics.sufficiency import heavy_losses, no_width, rare_class, undefined
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
    own = [subset.own_predictions for subset in (first, second)]
    reason = ""
    if own[0].classes and all(sums is None or sums.losses is None for sums in terms):
        reasons = (rare_class(subset.own_predictions, subset.groups(resampling)) for subset in (first, second))
        reason = next(filter(None, reasons), "")
    ours, theirs = (influence_of(metric, subset, resampling) for subset in (first, second))
    if ours is not None and theirs is not None:
        error = standard_error(ours - theirs, resampling)
        widest = first if first.rows is None else second
        reach = error * -student_quantile(tail, freedom_of(ours - theirs, widest, resampling))
        if not reach:
            reach = greatest_unseen(own[0], groups, tail=tail)
        return Comparison(value, (value - reach, value + reach), error, level, reason, values[0], values[1])
    if any(sums is None for sums in terms):
        terms = [None, None]  # only resamples of one kind can be paired
    elif _same_rows(first, second) and terms[0] is not None and terms[1] is not None:
        losses = _losses(metric, value, (terms[0], terms[1]), first=first, resampling=resampling, tail=tail)
        if losses is not None:
            interval, error = losses
            reason = _differing_losses(terms[0], terms[1], groups=groups, of_numbers=not own[0].classes)
            return Comparison(value, interval, error, level, reason or no_width(interval), values[0], values[1])
    (our_resampled, our_left_out), (their_resampled, their_left_out) = (
        resamples(metric, subset.predictions, subset.rows, value=score_, terms=sums, resampling=resampling)
        for subset, score_, sums in zip((first, second), values, terms, strict=True)
    )
    resampled, left_out = sign * (our_resampled - their_resampled), sign * (our_left_out - their_left_out)
    value, bounds, spread = bootstrapped(value, resampled, left_out=left_out, tail=tail)
    return Comparison(value, bounds, spread, level, reason or no_width(bounds), values[0], values[1])


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


def _losses(
    metric: str, value: float, pair: tuple[SumMetric, SumMetric], *, first: Subset, resampling: Resampling, tail: float
) -> tuple[Interval, float] | None:
    """The bootstrap-t interval of a difference of functions of mean losses, and its error; None of other metrics."""
    ours, theirs = pair
    if ours.losses is None or theirs.losses is None:
        return None
    sign, width = (1.0 if higher_is_better(metric) else -1.0), ours.terms.shape[1]

    def difference(sums: Array) -> Array:
        return np.asarray(sign * (ours.value(sums[..., :width]) - theirs.value(sums[..., width:])))

    sums = resampling.sums(np.hstack([ours.terms, theirs.terms]), first.rows)
    interval, error = studentized(sums, difference, times=resampling.times, tail=tail)
    return (min(interval[0], value), max(interval[1], value)), error


def _differing_losses(first: SumMetric, second: SumMetric, *, groups: Array | None, of_numbers: bool) -> str:
    """Why the rows on which two losses differ are too few or too heavy; empty where they are not."""
    if first.losses is None or second.losses is None:
        return ""
    return heavy_losses(np.abs(first.losses[:, :1] - second.losses[:, :1]), groups, of_numbers=of_numbers)
