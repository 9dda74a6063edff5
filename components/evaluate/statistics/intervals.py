"""Confidence intervals of any metric, and of the difference of two: exact where there is one, else by the bootstrap.

- Proportions (accuracy; precision and recall of two classes; shares of rows): Clopper and Pearson (1934); where rows
  come in groups with the effective sample size of Korn and Graubard (1998).
- Area under the ROC curve: DeLong et al. (1988), by groups as in Obuchowski (1997), on the logit scale (Pepe 2003).
- Metrics that are functions of sums (see `additive`): 2,000 bootstrap resamples, BCa (Efron 1987).
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
from modelway.components.evaluate.statistics.resampling import Sampling
from modelway.components.evaluate.statistics.roc_auc import average_precisions, roc_auc_influence
from modelway.components.evaluate.statistics.sum_metrics import Additive, additive

SCORER_RESAMPLES = 200


@dataclass(frozen=True)
class Estimate:
    """Something measured, its confidence interval and standard error where they were asked for."""

    value: float
    interval: Interval | None = None
    error: float | None = None


@dataclass(frozen=True)
class Comparison(Estimate):
    """How much better one part is than another, and the metric of each."""

    first: float = float("nan")
    second: float = float("nan")


@dataclass(frozen=True)
class Part:
    """What a model said about all rows of a split, and which of them are meant; all unless given."""

    predictions: Predictions
    rows: Array | None = None

    @cached_property
    def taken(self) -> Predictions:
        """The predictions of the rows meant."""
        return self.predictions if self.rows is None else self.predictions.take(self.rows)


@dataclass(frozen=True)
class _Spread:
    """How a value varies: by each row's influence, or by resamples and by leaving out each block in turn."""

    value: float
    influence: Array | None = None
    resampled: Array | None = None
    left_out: Array | None = None


def measure(metric: str, part: Part, *, sampling: Sampling) -> Estimate:
    """A metric on some rows with its confidence interval, two-sided.

    Raises:
        ModelwayError: the metric cannot be computed from such predictions.
    """
    value = score(metric, part.taken)
    level = sampling.confidence
    if np.isnan(value) or level is None:
        return Estimate(value)
    found = additive(metric, part.taken)
    if found is not None and found.is_share:
        return share_of(found, sampling, rows=part.rows)
    spread = _spread(metric, part, value=value, found=found, sampling=sampling)
    if spread.influence is not None:
        error = _standard_error(spread.influence, sampling)
        return Estimate(value, _logit(value, error, part=part, sampling=sampling, level=level), error)
    return _bootstrapped(spread, ((1 - level) / 2, (1 + level) / 2))


def compare(metric: str, first: Part, *, second: Part, sampling: Sampling, one_sided: bool = False) -> Comparison:
    """How much better a metric is on one part than on another of the same split: paired, positive is better.

    Args:
        metric: The metric's name.
        first: What is compared.
        second: What it is compared with.
        sampling: How the rows were drawn.
        one_sided: Whether each bound by itself holds at the level, as tests of non-inferiority ask for.

    Raises:
        ModelwayError: the metric cannot be computed from such predictions.
    """
    sign = 1.0 if higher_is_better(metric) else -1.0
    values = [score(metric, part.taken) for part in (first, second)]
    value = sign * (values[0] - values[1]) + 0.0
    level = sampling.confidence
    if np.isnan(value) or level is None:
        return Comparison(value, None, None, *values)
    tail = (1 - level) if one_sided else (1 - level) / 2
    one, other = (
        _spread(metric, part, value=known, found=additive(metric, part.taken), sampling=sampling)
        for part, known in zip((first, second), values, strict=True)
    )
    if one.influence is not None and other.influence is not None:
        error = _standard_error(one.influence - other.influence, sampling)
        reach = error * -_quantile(tail, sampling)
        return Comparison(value, (value - reach, value + reach), error, *values)
    if one.resampled is None or other.resampled is None:
        return Comparison(float("nan"), None, None, *values)
    left_out = None
    if one.left_out is not None and other.left_out is not None:
        left_out = sign * (one.left_out - other.left_out)
    spread = _Spread(value, None, sign * (one.resampled - other.resampled), left_out)
    found = _bootstrapped(spread, (tail, 1 - tail))
    return Comparison(found.value, found.interval, found.error, *values)


def share_of(terms: Additive, sampling: Sampling, *, rows: Array | None = None) -> Estimate:
    """A proportion of rows with its exact interval."""
    hits, tried = terms.terms.sum(axis=0)
    value = float(hits / tried) if tried else float("nan")
    if sampling.confidence is None or not tried:
        return Estimate(value)
    return Estimate(value, _exact(terms.terms, rows, sampling=sampling, level=sampling.confidence))


def _spread(metric: str, part: Part, *, value: float, found: Additive | None, sampling: Sampling) -> _Spread:
    if np.isnan(value):
        return _Spread(value)
    if found is not None:
        sums = sampling.sums(found.terms, part.rows)
        return _Spread(value, None, found.value(sampling.times @ sums), found.value(sums.sum(axis=0) - sums))
    influence = roc_auc_influence(metric, part.taken)
    if influence is not None:
        placed = np.zeros(sampling.rows)
        placed[slice(None) if part.rows is None else part.rows] = influence
        return _Spread(value, placed)
    return _Spread(value, None, _rescored(metric, part, value=value, sampling=sampling))


def _rescored(metric: str, part: Part, *, value: float, sampling: Sampling) -> Array:
    """The metric on resamples, by its scorer; what is resampled of many rows is spread as all of them would be."""
    rows, times = sampling.scored
    if part.rows is not None:
        rows = np.intersect1d(rows, part.rows)
    if not rows.size:
        return np.full(len(times), np.nan)
    kept, blocks = part.predictions.take(rows), sampling.blocks[rows]
    if metric == "average_precision" and kept.probabilities is not None and len(kept.classes) == 2:
        parts = np.array_split(times, max(1, len(times) * len(rows) // 2_000_000))
        positive, scores = kept.truth == 1, kept.probabilities[:, 1]
        found = np.concatenate([average_precisions(positive, scores, weights=some[:, blocks]) for some in parts])
    else:
        found = np.asarray([_scored(metric, kept, times=some[blocks]) for some in times[:SCORER_RESAMPLES]])
    total = len(part.taken.truth)
    if len(rows) < total:
        found = value + (found - _scored(metric, kept, times=np.ones(len(rows)))) * np.sqrt(len(rows) / total)
    return np.asarray(found)


def _scored(metric: str, predictions: Predictions, *, times: Array) -> float:
    import warnings

    drawn = np.repeat(np.arange(len(times)), times.astype(np.int64))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of resamples without a class, which count as not defined
            return score(metric, predictions.take(drawn))
    except ModelwayError:
        return float("nan")


def _bootstrapped(spread: _Spread, levels: tuple[float, float]) -> Estimate:
    """Percentiles of resamples: BCa where each block has been left out in turn, which needs few calls only."""
    from scipy.special import ndtr, ndtri

    if spread.resampled is None:
        return Estimate(spread.value)
    defined = spread.resampled[np.isfinite(spread.resampled)]
    if len(defined) < 0.9 * len(spread.resampled):
        return Estimate(float("nan"))  # it hangs on so few rows that resamples without them have no such metric
    asked = np.asarray(levels)
    if spread.left_out is not None:
        below = (defined < spread.value).mean() + (defined == spread.value).mean() / 2
        kept = spread.left_out[np.isfinite(spread.left_out)]
        moved = kept.mean() - kept
        scale = (moved**2).sum() ** 1.5
        if 0 < below < 1 and scale > 0:
            bias, bend = ndtri(below), (moved**3).sum() / (6 * scale)
            shifted = bias + ndtri(asked)
            asked = ndtr(bias + shifted / (1 - bend * shifted))
    low, high = np.quantile(defined, asked)
    return Estimate(spread.value, (float(low), float(high)), float(defined.std()))


def _exact(terms: Array, rows: Array | None, *, sampling: Sampling, level: float) -> Interval:
    """Clopper and Pearson's interval of a proportion; by groups with the sample size that they are worth."""
    from scipy.special import betaincinv

    hits, tried = terms.sum(axis=0)
    size, value = tried, hits / tried
    if sampling.groups is not None:
        groups = sampling.groups if rows is None else sampling.groups[rows]
        there = groups[terms[:, 1] > 0]
        count = len(np.unique(there))
        residual = np.bincount(groups, weights=(terms[:, 0] - value * terms[:, 1]) / tried)
        variance = (residual**2).sum() * count / max(count - 1, 1)
        # All rows alike tell nothing of how alike those of a group are: each group counts once.
        size = min(tried, value * (1 - value) / variance) if variance > 0 else count
    tail, hit = (1 - level) / 2, value * size
    low = float(betaincinv(hit, size - hit + 1, tail)) if hits > 0 else 0.0
    high = float(betaincinv(hit + 1, size - hit, 1 - tail)) if hits < tried else 1.0
    return low, high


def _standard_error(influence: Array, sampling: Sampling) -> float:
    if sampling.groups is None:
        return float(np.sqrt((influence**2).sum()))
    summed = np.bincount(sampling.groups, weights=influence)
    count = max(len(np.unique(sampling.groups)), 2)
    return float(np.sqrt((summed**2).sum() * count / (count - 1)))


def _quantile(tail: float, sampling: Sampling) -> float:
    """The lower quantile of the standard normal distribution, or of Student's for few groups."""
    from scipy.special import ndtri, stdtrit

    if sampling.groups is None:
        return float(ndtri(tail))
    return float(stdtrit(max(len(np.unique(sampling.groups)) - 1, 1), tail))


def _logit(value: float, error: float, *, part: Part, sampling: Sampling, level: float) -> Interval:
    tail = (1 - level) / 2
    if error > 0 and 0 < value < 1:
        place, reach = np.log(value / (1 - value)), error / (value * (1 - value)) * -_quantile(tail, sampling)
        return float(1 / (1 + np.exp(reach - place))), float(1 / (1 + np.exp(-reach - place)))
    if 0 < value < 1:
        return value, value
    # Perfectly ordered: bounded by how many independent rows of the rarer class did not contradict it.
    groups = np.arange(sampling.rows) if sampling.groups is None else sampling.groups
    meant = groups if part.rows is None else groups[part.rows]
    least = min(len(np.unique(meant[part.taken.truth == one])) for one in range(len(part.taken.classes)))
    bound = tail ** (1 / max(least, 1))
    return (bound, 1.0) if value >= 1 else (0.0, 1 - bound)
