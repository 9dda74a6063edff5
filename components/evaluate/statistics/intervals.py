"""Confidence intervals of metrics and of differences of two: exact where possible, else by influences or resampling.

- Proportions (accuracy; precision, recall, F1 and Jaccard's index of two classes; shares of rows) and averages of
  proportions over classes (balanced accuracy, macro and weighted averages): see `shares`.
- Area under the ROC curve: DeLong et al. (1988), by groups as in Obuchowski (1997), on the logit scale (Pepe 2003),
  with the degrees of freedom that the rows of each class give (Satterthwaite 1946).
- Average precision and Matthews' correlation: by their rows' influences, on the logit scale of their range.
- Means of losses, their roots, R² and explained variance: by their rows' influences, on the loss's logarithm.
- Differences of two: by the difference of influences, on the metric's own scale, except of shares of the same trials.
- The median of absolute errors: by two of them, whose ranks are binomial whatever the errors' distribution.
- Every other metric: scikit-learn's scorer on 200 resamples of at most 20,000 rows, percentiles; of more rows a random
  part is resampled and the spread is scaled to all.
- The greatest error: whatever was seen can be exceeded, so it is bounded on one side alone.

Where no interval holds (see `sufficiency`), an estimate says why, and what is judged by it is inconclusive. An interval
without width is no evidence: rows that do not differ do not tell how others would.

What is independent is what was drawn: a row, or a whole group of rows where the split is by group; rows of a split by
time are taken as independent. Where they are resampled, more than 2,000 of them are put into as many random blocks,
whose resampling has the same variance. All metrics, slices and models share one set of resamples, which makes
comparisons paired.
"""

from __future__ import annotations

import numpy as np

from modelway.components.core.config.thresholds import Interval, metric_range
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Array, score
from modelway.components.core.measures.quantiles import quantile_interval
from modelway.components.evaluate.statistics.bootstrap import percentiles, resamples
from modelway.components.evaluate.statistics.estimates import Estimate, Subset
from modelway.components.evaluate.statistics.influence import (
    freedom_of,
    greatest_unseen,
    influence_of,
    influence_of_sums,
    of_split,
    standard_error,
    student_quantile,
)
from modelway.components.evaluate.statistics.resampling import Resampling
from modelway.components.evaluate.statistics.shares import effective_size, exact_interval, parts_interval
from modelway.components.evaluate.statistics.sufficiency import (
    absent_class,
    heavy_losses,
    is_greatest,
    no_width,
    rare_class,
    rarest_count,
    undefined,
)
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
    if level is not None and is_greatest(metric):
        interval = (-np.inf, value) if metric.startswith("neg_") else (value, np.inf)
        return Estimate(value, interval, confidence=level)
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
        reason = absent_class(own) or heavy_losses(terms.losses, groups, of_numbers=not own.classes)
        interval, error = _of_losses(value, terms, subset=subset, resampling=resampling, tail=tail)
        return Estimate(value, interval, error, level, reason or no_width(interval))
    reason = rare_class(own, groups, predicted=metric == "matthews_corrcoef") if own.classes else ""
    influence = influence_of(metric, subset, resampling)
    if influence is not None:
        interval, error = _of_influence(metric, value, influence, subset=subset, resampling=resampling, tail=tail)
        return Estimate(value, interval, error, level, reason or no_width(interval))
    if metric.removeprefix("neg_") == "median_absolute_error" and groups is None:
        interval = _of_median(np.abs(own.truth - own.predicted), level=level, is_negative=value < 0)
        return Estimate(value, interval, confidence=level, reason=no_width(interval))
    return (
        Estimate(value, reason=reason) if reason else _of_resamples(metric, value, subset=subset, resampling=resampling)
    )


def _of_median(errors: Array, *, level: float, is_negative: bool) -> Interval:
    """The interval of the median of absolute errors, or of its negative; without a bound above for fewer than six."""
    low, high = quantile_interval(np.sort(errors), 0.5, confidence=level)
    return (-high, -max(low, 0.0)) if is_negative else (max(low, 0.0), high)


def _of_resamples(metric: str, value: float, *, subset: Subset, resampling: Resampling) -> Estimate:
    """A value with the percentiles of resamples, where most of them have such a metric."""
    level, count = resampling.confidence, rarest_count(subset.own_predictions, subset.groups(resampling))
    assert level is not None  # noqa: S101 - checked by the caller
    resampled = resamples(metric, subset.predictions, subset.rows, value=value, resampling=resampling)
    bounds, spread = percentiles(resampled, count=count, tail=(1 - level) / 2)
    if bounds is None:
        return Estimate(float("nan"))
    return Estimate(value, bounds, spread, level, no_width(bounds))


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


def _of_influence(
    metric: str, value: float, influence: Array, *, subset: Subset, resampling: Resampling, tail: float
) -> tuple[Interval, float]:
    """The interval of a metric of a bounded range, and its standard error."""
    error, is_area = standard_error(influence, resampling), metric.startswith("roc_auc")
    if is_area and value in {0.0, 1.0}:
        # Perfectly ordered: bounded by how many independent rows of the rarer class agree with it.
        unseen = greatest_unseen(subset.own_predictions, subset.groups(resampling), tail=tail)
        return ((1 - unseen, 1.0) if value else (0.0, unseen)), error
    reach = error * -student_quantile(tail, freedom_of(influence, subset, resampling, is_area=is_area))
    return _logit(value, reach, bounds=metric_range(metric)), error


def _of_losses(
    value: float, terms: SumMetric, *, subset: Subset, resampling: Resampling, tail: float
) -> tuple[Interval, float]:
    """The interval of a function of a loss, on the loss's logarithm, and its standard error by the delta method."""
    assert terms.loss is not None  # noqa: S101 - checked by the caller
    loss = float(terms.loss(terms.terms.sum(axis=0)))
    if not loss > 0:
        return (value, value), 0.0
    influence = of_split(influence_of_sums(terms.terms, terms.loss) / loss, subset, resampling)
    error, centre = standard_error(influence, resampling), float(np.log(loss))
    reach = error * -student_quantile(tail, freedom_of(influence, subset, resampling, is_area=False))
    ends = [float(terms.of_loss(np.exp(np.clip(centre + side * reach, -700.0, 700.0)))) for side in (-1, 1)]
    slope = abs(float(terms.of_loss(np.exp(centre + 1e-6)) - terms.of_loss(np.exp(centre - 1e-6)))) / 2e-6
    return (min(*ends, value), max(*ends, value)), error * slope


def _logit(value: float, reach: float, *, bounds: Interval) -> Interval:
    """The interval on the logit scale of a metric's range, in which it stays."""
    from scipy.special import expit, logit

    low, high = bounds
    share = (value - low) / (high - low)
    if not 0 < share < 1:
        return value, value
    reach /= (high - low) * share * (1 - share)
    ends = [low + (high - low) * float(expit(logit(share) + side * reach)) for side in (-1, 1)]
    return ends[0], ends[1]
