"""Confidence intervals of metrics and of differences of two: exact where possible, else by the bootstrap.

- Proportions (accuracy; precision, recall, F1 and Jaccard's index of two classes; shares of rows) and averages of
  proportions over classes (balanced accuracy, macro and weighted averages): see `shares`.
- Area under the ROC curve: DeLong et al. (1988), by groups as in Obuchowski (1997), on the logit scale (Pepe 2003),
  with the degrees of freedom that the rows of each class give (Satterthwaite 1946).
- Means of losses, their roots, R² and explained variance: the bootstrap-t on the loss's logarithm, 2,000 resamples;
  for differences of two on the metric itself.
- Matthews' correlation, and differences of F1 and its like: 2,000 resamples, BCa (Efron 1987).
- Average precision: 500 resamples, percentiles. Every other metric: scikit-learn's scorer on 200 resamples,
  percentiles. Both on at most 20,000 rows; of more rows a random part is resampled and the spread is scaled to all.

Where no interval holds (see `sufficiency`), an estimate says why, and what is judged by it is inconclusive. An interval
without width is no evidence: rows that do not differ do not tell how others would.

What is resampled is what was drawn independently: a row, or a whole group of rows where the split is by group; rows
of a split by time are taken as independent. More than 2,000 of them are put into as many random blocks, whose
resampling has the same variance. All metrics, slices and models share one set of resamples, which makes comparisons
paired.
"""

from __future__ import annotations

import numpy as np

from modelway.components.core.config.thresholds import Interval
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Array, score
from modelway.components.evaluate.statistics.areas import (
    freedom_of,
    greatest_unseen,
    influence_of,
    standard_error,
    student_quantile,
)
from modelway.components.evaluate.statistics.bootstrap import bootstrapped, resamples, studentized
from modelway.components.evaluate.statistics.estimates import Estimate, Subset
from modelway.components.evaluate.statistics.resampling import Resampling
from modelway.components.evaluate.statistics.shares import effective_size, exact_interval, parts_interval
from modelway.components.evaluate.statistics.sufficiency import heavy_losses, no_width, rare_class, undefined
from modelway.components.evaluate.statistics.sum_metrics import SumMetric, sum_metric


def measure(metric: str, subset: Subset, *, resampling: Resampling) -> Estimate:
    """A metric on some rows with its confidence interval, two-sided.

    Raises:
        ModelwayError: the metric cannot be computed from such predictions.
    """
    own, level = subset.own_predictions, resampling.confidence
    try:
        value = score(metric, own)
    except ModelwayError:
        reason = undefined(metric, own) if own.classes else ""
        if not reason:
            raise
        return Estimate(float("nan"), reason=reason)
    if np.isnan(value):
        return Estimate(value, reason=undefined(metric, own) if own.classes else "")
    return Estimate(value) if level is None else _with_interval(metric, value, subset=subset, resampling=resampling)


def _with_interval(metric: str, value: float, *, subset: Subset, resampling: Resampling) -> Estimate:
    """A value with its interval, by the kind that the metric is of."""
    own, level, groups = subset.own_predictions, resampling.confidence, subset.groups(resampling)
    assert level is not None  # noqa: S101 - checked by the caller
    terms, tail = sum_metric(metric, own), (1 - level) / 2
    if terms is not None and terms.is_share:
        return share_of(terms, resampling, rows=subset.rows)
    if terms is not None and terms.parts is not None:
        interval, error = parts_interval(value, terms.parts, groups=groups, tail=tail)
        return Estimate(value, interval, error, level)
    if terms is not None and terms.losses is not None:
        reason = heavy_losses(terms.losses, groups, of_numbers=not own.classes)
        interval, error = _of_losses(value, terms, subset=subset, resampling=resampling, tail=tail)
        return Estimate(value, interval, error, level, reason or no_width(interval))
    reason = rare_class(own, groups, predicted=metric == "matthews_corrcoef") if own.classes else ""
    influence = influence_of(metric, subset, resampling)
    if influence is not None:
        freedom = freedom_of(influence, subset, resampling)
        error = standard_error(influence, resampling)
        interval = _logit(value, error, freedom=freedom, subset=subset, resampling=resampling, level=level)
        return Estimate(value, interval, error, level, reason or no_width(interval))
    resampled, left_out = resamples(
        metric, subset.predictions, subset.rows, value=value, terms=terms, resampling=resampling
    )
    value, bounds, spread = bootstrapped(value, resampled, left_out=left_out, tail=tail)
    return Estimate(value, bounds, spread, level, reason or no_width(bounds))


def share_of(terms: SumMetric, resampling: Resampling, *, rows: Array | None = None) -> Estimate:
    """A proportion of rows, or a function of one, with its exact interval."""
    hits, trials = terms.terms.sum(axis=0)
    value = float(terms.of_share(hits / trials)) if trials else float("nan")
    if resampling.confidence is None or not trials:
        return Estimate(value)
    groups = resampling.groups if resampling.groups is None or rows is None else resampling.groups[rows]
    size = trials if groups is None else effective_size(terms.terms, groups)
    ends = exact_interval(np.asarray(hits / trials * size), np.asarray(size), tail=(1 - resampling.confidence) / 2)
    low, high = (float(terms.of_share(end)) for end in ends)
    return Estimate(value, (low, high), confidence=resampling.confidence)


def _of_losses(
    value: float, terms: SumMetric, *, subset: Subset, resampling: Resampling, tail: float
) -> tuple[Interval, float]:
    """The interval of a function of a loss, on the loss's logarithm, and its standard error by the delta method."""
    assert terms.loss is not None  # noqa: S101 - checked by the caller
    loss, sums = terms.loss, resampling.sums(terms.terms, subset.rows)
    if not loss(sums.sum(axis=0)) > 0:
        return (value, value), 0.0

    def logarithm(sums: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(loss(sums))

    ends, error = studentized(sums, logarithm, times=resampling.times, tail=tail)
    low, high = sorted(float(terms.of_loss(np.exp(np.minimum(end, 700.0)))) for end in ends)
    centre = float(logarithm(sums.sum(axis=0)))
    slope = abs(float(terms.of_loss(np.exp(centre + 1e-6)) - terms.of_loss(np.exp(centre - 1e-6)))) / 2e-6
    return (min(low, value), max(high, value)), error * slope


def _logit(
    value: float, error: float, *, freedom: float, subset: Subset, resampling: Resampling, level: float
) -> Interval:
    from scipy.special import expit

    tail = (1 - level) / 2
    if error > 0 and 0 < value < 1:
        log_odds, reach = np.log(value / (1 - value)), error / (value * (1 - value)) * -student_quantile(tail, freedom)
        return float(expit(log_odds - reach)), float(expit(log_odds + reach))
    if 0 < value < 1:
        return value, value
    # Perfectly ordered: bounded by how many independent rows of the rarer class agree with it.
    bound = 1 - greatest_unseen(subset.own_predictions, subset.groups(resampling), tail=tail)
    return (bound, 1.0) if value >= 1 else (0.0, 1 - bound)
