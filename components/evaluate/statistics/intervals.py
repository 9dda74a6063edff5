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
    """A measured value, with its confidence interval and standard error where they were requested."""

    value: float
    interval: Interval | None = None
    error: float | None = None


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


@dataclass(frozen=True)
class _Spread:
    """How a value varies: by each row's influence, or by resamples and by leaving out each block in turn."""

    value: float
    influence: Array | None = None
    resampled: Array | None = None
    left_out: Array | None = None


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
    spread = _spread(metric, subset, value=value, terms=terms, resampling=resampling)
    if spread.influence is not None:
        error = _standard_error(spread.influence, resampling)
        return Estimate(value, _logit(value, error, subset=subset, resampling=resampling, level=level), error)
    return _bootstrapped(spread, ((1 - level) / 2, (1 + level) / 2))


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
        return Comparison(value, None, None, *values)
    tail = (1 - level) if one_sided else (1 - level) / 2
    ours, theirs = (
        _spread(metric, subset, value=score_, terms=sum_metric(metric, subset.own_predictions), resampling=resampling)
        for subset, score_ in zip((first, second), values, strict=True)
    )
    if ours.influence is not None and theirs.influence is not None:
        error = _standard_error(ours.influence - theirs.influence, resampling)
        reach = error * -_quantile(tail, resampling)
        return Comparison(value, (value - reach, value + reach), error, *values)
    if ours.resampled is None or theirs.resampled is None:
        return Comparison(float("nan"), None, None, *values)
    left_out = None
    if ours.left_out is not None and theirs.left_out is not None:
        left_out = sign * (ours.left_out - theirs.left_out)
    spread = _Spread(value, None, sign * (ours.resampled - theirs.resampled), left_out)
    estimate = _bootstrapped(spread, (tail, 1 - tail))
    return Comparison(estimate.value, estimate.interval, estimate.error, *values)


def share_of(terms: SumMetric, resampling: Resampling, *, rows: Array | None = None) -> Estimate:
    """A proportion of rows with its exact interval."""
    hits, trials = terms.terms.sum(axis=0)
    value = float(hits / trials) if trials else float("nan")
    if resampling.confidence is None or not trials:
        return Estimate(value)
    return Estimate(value, _exact(terms.terms, rows, resampling=resampling, level=resampling.confidence))


def _spread(metric: str, subset: Subset, *, value: float, terms: SumMetric | None, resampling: Resampling) -> _Spread:
    if np.isnan(value):
        return _Spread(value)
    if terms is not None:
        sums = resampling.sums(terms.terms, subset.rows)
        return _Spread(value, None, terms.value(resampling.times @ sums), terms.value(sums.sum(axis=0) - sums))
    influence = roc_auc_influence(metric, subset.own_predictions)
    if influence is not None:
        influences = np.zeros(resampling.rows)
        influences[slice(None) if subset.rows is None else subset.rows] = influence
        return _Spread(value, influences)
    return _Spread(value, None, _rescored(metric, subset, value=value, resampling=resampling))


def _rescored(metric: str, subset: Subset, *, value: float, resampling: Resampling) -> Array:
    """The metric on resamples, by its scorer; the spread of a part of many rows is scaled to that of all rows."""
    rows, times = resampling.scorer_sample
    if subset.rows is not None:
        rows = np.intersect1d(rows, subset.rows)
    if not rows.size:
        return np.full(len(times), np.nan)
    predictions, blocks = subset.predictions.take(rows), resampling.blocks[rows]
    if metric == "average_precision" and predictions.probabilities is not None and len(predictions.classes) == 2:
        parts = np.array_split(times, max(1, len(times) * len(rows) // 2_000_000))
        positive, scores = predictions.truth == 1, predictions.probabilities[:, 1]
        results = np.concatenate(
            [average_precisions(positive, scores, weights=weights[:, blocks]) for weights in parts]
        )
    else:
        results = np.asarray(
            [_resample_score(metric, predictions, times=weights[blocks]) for weights in times[:SCORER_RESAMPLES]]
        )
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


def _bootstrapped(spread: _Spread, levels: tuple[float, float]) -> Estimate:
    """Percentiles of resamples: BCa where each block has been left out in turn."""
    from scipy.special import ndtr, ndtri

    if spread.resampled is None:
        return Estimate(spread.value)
    values = spread.resampled[np.isfinite(spread.resampled)]
    if len(values) < 0.9 * len(spread.resampled):
        return Estimate(float("nan"))  # it depends on so few rows that resamples without them have no such metric
    quantiles = np.asarray(levels)
    if spread.left_out is not None:
        below = (values < spread.value).mean() + (values == spread.value).mean() / 2
        jackknife = spread.left_out[np.isfinite(spread.left_out)]
        deviations = jackknife.mean() - jackknife
        scale = (deviations**2).sum() ** 1.5
        if 0 < below < 1 and scale > 0:
            bias, acceleration = ndtri(below), (deviations**3).sum() / (6 * scale)
            z = bias + ndtri(quantiles)
            quantiles = ndtr(bias + z / (1 - acceleration * z))
    low, high = np.quantile(values, quantiles)
    return Estimate(spread.value, (float(low), float(high)), float(values.std()))


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
