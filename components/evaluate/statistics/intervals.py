"""Confidence intervals of metrics and of differences of two: exact where possible, else by the bootstrap.

- Proportions (accuracy; precision and recall of two classes; shares of rows): Clopper and Pearson (1934); where rows
  come in groups with the effective sample size of Korn and Graubard (1998).
- Area under the ROC curve: DeLong et al. (1988), by groups as in Obuchowski (1997), on the logit scale (Pepe 2003).
- Metrics that are functions of sums (see `sum_metric`): 2,000 bootstrap resamples, BCa (Efron 1987).
- Average precision: 500 resamples, percentiles. Every other metric: scikit-learn's scorer on 200 resamples,
  percentiles. Both on at most 20,000 rows; of more rows a random part is resampled and the spread is scaled to all.

What is resampled is what was drawn independently: a row, or a whole group of rows where the split is by group; rows
of a split by time are taken as independent. More than 2,000 of them are put into as many random blocks, whose
resampling has the same variance. All metrics, slices and models share one set of resamples, which makes comparisons
paired.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from modelway.components.core.config.thresholds import Interval
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Array, Predictions, higher_is_better, score
from modelway.components.evaluate.statistics.resampling import Resampling
from modelway.components.evaluate.statistics.roc_auc import average_precisions, roc_auc_influence
from modelway.components.evaluate.statistics.sum_metrics import SumMetric, sum_metric

SCORER_RESAMPLES = 200


@dataclass(frozen=True)
class Estimate:
    """A measured value, with its confidence interval, standard error and level where they were requested."""

    value: float
    interval: Interval | None = None
    error: float | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class Comparison(Estimate):
    """How much better one subset is than another, and the metric of each."""

    first: float = float("nan")
    second: float = float("nan")


@dataclass(frozen=True)
class Subset:
    """A model's predictions of all rows of a split, and which rows to use; all unless given."""

    predictions: Predictions
    rows: Array | None = None

    @cached_property
    def own_predictions(self) -> Predictions:
        """The predictions of these rows."""
        return self.predictions if self.rows is None else self.predictions.take(self.rows)


def measure(metric: str, subset: Subset, *, resampling: Resampling) -> Estimate:
    """A metric on some rows with its confidence interval, two-sided.

    Raises:
        ModelwayError: the metric cannot be computed from such predictions.
    """
    value = score(metric, subset.own_predictions)
    level = resampling.confidence
    if np.isnan(value) or level is None:
        return Estimate(value)
    terms = sum_metric(metric, subset.own_predictions)
    if terms is not None and terms.is_share:
        return share_of(terms, resampling, rows=subset.rows)
    influence = _influence(metric, subset, resampling)
    if influence is not None:
        error = _standard_error(influence, resampling)
        interval = _logit(value, error, subset=subset, resampling=resampling, level=level)
        return Estimate(value, interval, error, level)
    resampled, left_out = _resamples(metric, subset, value=value, terms=terms, resampling=resampling)
    return Estimate(*_bootstrapped(value, resampled, left_out=left_out, tail=(1 - level) / 2), level)


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
    values = [score(metric, subset.own_predictions) for subset in (first, second)]
    value = sign * (values[0] - values[1]) + 0.0
    level = resampling.confidence
    if np.isnan(value) or level is None:
        return Comparison(value, first=values[0], second=values[1])
    tail = (1 - level) if one_sided else (1 - level) / 2
    ours, theirs = (_influence(metric, subset, resampling) for subset in (first, second))
    if ours is not None and theirs is not None:
        error = _standard_error(ours - theirs, resampling)
        reach = error * -_quantile(tail, resampling)
        return Comparison(value, (value - reach, value + reach), error, level, *values)
    terms = [sum_metric(metric, subset.own_predictions) for subset in (first, second)]
    if any(sums is None for sums in terms):
        terms = [None, None]  # only resamples of one kind can be paired
    (our_resampled, our_left_out), (their_resampled, their_left_out) = (
        _resamples(metric, subset, value=score_, terms=sums, resampling=resampling)
        for subset, score_, sums in zip((first, second), values, terms, strict=True)
    )
    resampled, left_out = sign * (our_resampled - their_resampled), sign * (our_left_out - their_left_out)
    return Comparison(*_bootstrapped(value, resampled, left_out=left_out, tail=tail), level, *values)


def share_of(terms: SumMetric, resampling: Resampling, *, rows: Array | None = None) -> Estimate:
    """A proportion of rows with its exact interval."""
    hits, trials = terms.terms.sum(axis=0)
    value = float(hits / trials) if trials else float("nan")
    if resampling.confidence is None or not trials:
        return Estimate(value)
    level = resampling.confidence
    return Estimate(value, _exact(terms.terms, rows, resampling=resampling, level=level), confidence=level)


def _influence(metric: str, subset: Subset, resampling: Resampling) -> Array | None:
    """How much each row of the split moves an area under the ROC curve; None for other metrics."""
    influence = roc_auc_influence(metric, subset.own_predictions)
    if influence is None or subset.rows is None:
        return influence
    influences = np.zeros(resampling.rows)
    influences[subset.rows] = influence
    return influences


def _resamples(
    metric: str, subset: Subset, *, value: float, terms: SumMetric | None, resampling: Resampling
) -> tuple[Array, Array]:
    """The metric on resamples, and without each block in turn where it is a function of sums."""
    if terms is None:
        return _rescored(metric, subset, value=value, resampling=resampling), np.empty(0)
    sums = resampling.sums(terms.terms, subset.rows)
    return terms.value(resampling.times @ sums), terms.value(sums.sum(axis=0) - sums)


def _rescored(metric: str, subset: Subset, *, value: float, resampling: Resampling) -> Array:
    """The metric on resamples, by its scorer; the spread of a part of many rows is scaled to that of all rows."""
    rows, times = resampling.scorer_sample
    if subset.rows is not None:
        rows = np.intersect1d(rows, subset.rows)
    predictions, blocks = subset.predictions.take(rows), resampling.blocks[rows]
    scores = None
    if metric == "average_precision" and predictions.probabilities is not None and len(predictions.classes) == 2:
        scores = predictions.probabilities[:, 1]
    else:
        times = times[:SCORER_RESAMPLES]
    if not rows.size:
        return np.full(len(times), np.nan)
    if scores is not None:
        positive, parts = predictions.truth == 1, max(1, len(times) * len(rows) // 2_000_000)
        weights = (part[:, blocks] for part in np.array_split(times, parts))
        results = np.concatenate([average_precisions(positive, scores, weights=part) for part in weights])
    else:
        results = np.asarray([_resample_score(metric, predictions, times=part[blocks]) for part in times])
    total = len(subset.own_predictions.truth)
    if len(rows) < total:
        centre = _resample_score(metric, predictions, times=np.ones(len(rows)))
        results = value + (results - centre) * np.sqrt(len(rows) / total)
    return np.asarray(results)


def _resample_score(metric: str, predictions: Predictions, *, times: Array) -> float:
    import warnings

    rows = np.repeat(np.arange(len(times)), times.astype(np.int64))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about resamples without a class, which count as not defined
            return score(metric, predictions.take(rows))
    except ModelwayError:
        return float("nan")


def _bootstrapped(
    value: float, resampled: Array, *, left_out: Array, tail: float
) -> tuple[float, Interval | None, float | None]:
    """The value with percentiles of resamples, BCa where each block was left out in turn, and their spread."""
    from scipy.special import ndtr, ndtri

    values = resampled[np.isfinite(resampled)]
    if len(values) < 0.9 * len(resampled):
        return float("nan"), None, None  # it depends on so few rows that resamples without them have no such metric
    quantiles = np.array([tail, 1 - tail])
    jackknife = left_out[np.isfinite(left_out)]
    if jackknife.size:
        below = (values < value).mean() + (values == value).mean() / 2
        deviations = jackknife.mean() - jackknife
        scale = (deviations**2).sum() ** 1.5
        if 0 < below < 1 and scale > 0:
            bias, acceleration = ndtri(below), (deviations**3).sum() / (6 * scale)
            z = bias + ndtri(quantiles)
            quantiles = ndtr(bias + z / (1 - acceleration * z))
    low, high = np.quantile(values, quantiles)
    return value, (float(low), float(high)), float(values.std())


def _exact(terms: Array, rows: Array | None, *, resampling: Resampling, level: float) -> Interval:
    """Clopper and Pearson's interval of a proportion; by groups with their effective sample size."""
    from scipy.special import betaincinv

    hits, trials = terms.sum(axis=0)
    size, value = trials, hits / trials
    if resampling.groups is not None:
        groups = resampling.groups if rows is None else resampling.groups[rows]
        there = groups[terms[:, 1] > 0]
        count = len(np.unique(there))
        residual = np.bincount(groups, weights=(terms[:, 0] - value * terms[:, 1]) / trials)
        variance = (residual**2).sum() * count / max(count - 1, 1)
        # Equal rows give no estimate of the correlation within a group: each group counts once.
        size = min(trials, value * (1 - value) / variance) if variance > 0 else count
    tail, hit = (1 - level) / 2, value * size
    low = float(betaincinv(hit, size - hit + 1, tail)) if hits > 0 else 0.0
    high = float(betaincinv(hit + 1, size - hit, 1 - tail)) if hits < trials else 1.0
    return low, high


def _standard_error(influence: Array, resampling: Resampling) -> float:
    if resampling.groups is None:
        return float(np.sqrt((influence**2).sum()))
    sums = np.bincount(resampling.groups, weights=influence)
    count = max(len(np.unique(resampling.groups)), 2)
    return float(np.sqrt((sums**2).sum() * count / (count - 1)))


def _quantile(tail: float, resampling: Resampling) -> float:
    """The lower quantile of the standard normal distribution, or of Student's for few groups."""
    from scipy.special import ndtri, stdtrit

    if resampling.groups is None:
        return float(ndtri(tail))
    return float(stdtrit(max(len(np.unique(resampling.groups)) - 1, 1), tail))


def _logit(value: float, error: float, *, subset: Subset, resampling: Resampling, level: float) -> Interval:
    tail = (1 - level) / 2
    if error > 0 and 0 < value < 1:
        log_odds, reach = np.log(value / (1 - value)), error / (value * (1 - value)) * -_quantile(tail, resampling)
        return float(1 / (1 + np.exp(reach - log_odds))), float(1 / (1 + np.exp(-reach - log_odds)))
    if 0 < value < 1:
        return value, value
    # Perfectly ordered: bounded by how many independent rows of the rarer class agree with it.
    groups = np.arange(resampling.rows) if resampling.groups is None else resampling.groups
    row_groups = groups if subset.rows is None else groups[subset.rows]
    least = min(
        len(np.unique(row_groups[subset.own_predictions.truth == code]))
        for code in range(len(subset.own_predictions.classes))
    )
    bound = tail ** (1 / max(least, 1))
    return (bound, 1.0) if value >= 1 else (0.0, 1 - bound)
