"""Differences of a metric on two subsets of one split, paired; what is resampled and how is as in `intervals`."""

from __future__ import annotations

import numpy as np

from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Array, Predictions, higher_is_better, score
from modelway.components.evaluate.statistics.areas import (
    freedom_of,
    greatest_unseen,
    influence_of,
    standard_error,
    student_quantile,
)
from modelway.components.evaluate.statistics.bootstrap import bootstrapped, resamples
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
        return Comparison(value, (value, value), 0.0, level, "", *values, is_identity=True)
    tail = (1 - level) if one_sided else (1 - level) / 2
    groups = first.groups(resampling)
    terms = [sum_metric(metric, subset.own_predictions) for subset in (first, second)]
    pair = _paired(terms[0], terms[1], sign=sign) if _same_rows(first, second) else None
    if pair is not None:
        interval, error = parts_interval(value, pair, groups=groups, tail=tail)
        return Comparison(value, interval, error, level, no_width(interval), *values)
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
        return Comparison(value, (value - reach, value + reach), error, level, reason, *values)
    if any(sums is None for sums in terms):
        terms = [None, None]  # only resamples of one kind can be paired
    elif _same_rows(first, second) and terms[0] is not None and terms[1] is not None:
        reason = reason or _differing_losses(terms[0], terms[1], groups=groups, of_numbers=not own[0].classes)
    (our_resampled, our_left_out), (their_resampled, their_left_out) = (
        resamples(metric, subset.predictions, subset.rows, value=score_, terms=sums, resampling=resampling)
        for subset, score_, sums in zip((first, second), values, terms, strict=True)
    )
    resampled, left_out = sign * (our_resampled - their_resampled), sign * (our_left_out - their_left_out)
    value, bounds, spread = bootstrapped(value, resampled, left_out=left_out, tail=tail)
    return Comparison(value, bounds, spread, level, reason or no_width(bounds), *values)


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
    pairs = [(ours.truth, theirs.truth), (ours.predicted, theirs.predicted)]
    pairs += [(ours.probabilities, theirs.probabilities), (ours.scores, theirs.scores)]
    return all(
        (a is None and b is None) or (a is not None and b is not None and np.array_equal(a, b)) for a, b in pairs
    )


def _paired(first: SumMetric | None, second: SumMetric | None, *, sign: float) -> Parts | None:
    """The difference of two shares of the same trials, or of averages of such: the shares of rows won and lost."""
    if first is None or second is None:
        return None
    parts = [terms.parts or _single(terms) for terms in (first, second)]
    if parts[0] is None or parts[1] is None or parts[0].trials.shape != parts[1].trials.shape:
        return None
    ours, theirs = parts
    if not np.array_equal(ours.trials, theirs.trials) or ours.of_share is not theirs.of_share:
        return None
    if (
        first.of_share is not second.of_share
        or ours.of_share(np.float64(0.5)) != 0.5
        or first.of_share(np.float64(0.5)) != 0.5
    ):
        return None
    if not np.array_equal(ours.weights, theirs.weights):
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


def _differing_losses(first: SumMetric, second: SumMetric, *, groups: Array | None, of_numbers: bool) -> str:
    """Why the rows on which two losses differ are too few or too heavy; empty where they are not."""
    if first.losses is None or second.losses is None:
        return ""
    return heavy_losses(np.abs(first.losses[:, :1] - second.losses[:, :1]), groups, of_numbers=of_numbers)
