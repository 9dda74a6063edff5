"""Calibration: whether predicted probabilities are the shares that come true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelway.components.core.checks import Check, OnInconclusive, inconclusive
from modelway.components.core.config.model_policy import Calibration
from modelway.components.core.config.thresholds import Threshold
from modelway.components.core.measures.metrics import Array, Predictions
from modelway.components.evaluate.checks.metrics import estimate_check
from modelway.components.evaluate.sample import Sample
from modelway.components.evaluate.statistics.estimates import Estimate
from modelway.components.evaluate.statistics.resampling import Resampling
from modelway.components.evaluate.statistics.sum_metrics import SumMetric


@dataclass(frozen=True)
class Reliability:
    """Bins of equally many rows: their mean predicted probability, the share that came true, and their rows."""

    predicted: list[float]
    observed: list[float]
    rows: list[int]


def reliability(predictions: Predictions, bins: int) -> Reliability | None:
    """The reliability curve over bins of equally many rows; rows with equal predictions share a bin.

    With two classes, the probability of the positive class is used; with more, that of the predicted class (top label).

    Args:
        predictions: Of the rows.
        bins: How many bins at most.

    Returns:
        The bins in ascending order; None without probabilities.
    """
    if predictions.probabilities is None or not len(predictions.truth):
        return None
    probabilities, hits = _claims(predictions)
    bin_numbers = _binned(probabilities, bins)
    rows = np.bincount(bin_numbers)
    claims, trues = (np.bincount(bin_numbers, weights=weights) / rows for weights in (probabilities, hits))
    return Reliability(claims.tolist(), trues.tolist(), rows.tolist())


def calibration_error(predictions: Predictions, bins: int, *, resampling: Resampling) -> tuple[Estimate, float] | None:
    """The expected calibration error (Naeini et al. 2015) over bins of equally many rows.

    Noise makes a bin's shares differ from its predictions even for a perfectly calibrated model, so the plain error is
    biased upwards. The bias is estimated from resamples and subtracted (Efron and Tibshirani 1993, chapter 10). The
    interval is wide on purpose: it starts below the plain error less the greatest bias there can be, that of a
    calibrated model, whose bins differ from their predictions by noise alone, on average by sqrt(2/pi) standard errors;
    and it ends above the plain error, which is too great.

    Args:
        predictions: Of the rows.
        bins: How many bins at most.
        resampling: How the rows were drawn.

    Returns:
        The error less its bias with its interval, and the plain error; None without probabilities.
    """
    from scipy.special import ndtri

    if predictions.probabilities is None:
        return None
    probabilities, hits = _claims(predictions)
    bin_numbers = _binned(probabilities, bins)
    count = int(bin_numbers.max()) + 1
    terms = np.zeros((len(bin_numbers), count + 1))
    terms[np.arange(len(bin_numbers)), bin_numbers] = hits - probabilities
    terms[:, count] = 1.0
    metric = SumMetric(terms, lambda sums: np.abs(sums[..., :-1]).sum(axis=-1) / sums[..., -1])
    total = terms.sum(axis=0)
    plain = float(metric.value(total))
    resampled_sums = resampling.times @ resampling.sums(terms, None)
    errors = metric.value(resampled_sums)
    value = max(0.0, 2 * plain - float(errors.mean()))
    if resampling.confidence is None:
        return Estimate(value), plain
    shares = resampled_sums[:, :-1] / resampled_sums[:, -1:]
    bias = float(np.sqrt(2 / np.pi) * shares.std(axis=0).sum())
    error = float(errors.std())
    reach = error * float(ndtri((1 + resampling.confidence) / 2))
    interval = (max(0.0, min(value, plain - bias - reach)), plain + reach)
    return Estimate(value, interval, error, resampling.confidence), plain


def calibration_check(sample: Sample, *, policy: Calibration, rule: OnInconclusive) -> Check:
    """The check ``calibration``: whether the expected calibration error is at most the policy's."""
    rule = policy.on_inconclusive or rule
    estimates = [
        calibration_error(predictions, policy.bins, resampling=sample.corrected) for predictions in sample.repeats
    ]
    measured = [estimate for estimate in estimates if estimate is not None]
    if len(measured) < len(estimates):
        message = "the model gives no probabilities (predict_proba), so calibration cannot be measured"
        return inconclusive("calibration", message, rule=rule)
    plain = float(np.mean([plain_error for _, plain_error in measured]))
    threshold = Threshold(max=policy.expected_calibration_error)
    scope = f"expected calibration error {sample.scope} ({plain:.4f} before bias correction)"
    return estimate_check(
        "calibration", sample.mean([error for error, _ in measured]), threshold=threshold, rule=rule, scope=scope
    )


def _claims(predictions: Predictions) -> tuple[Array, Array]:
    """Each row's probability, and whether the event it refers to occurred."""
    assert predictions.probabilities is not None  # noqa: S101 - checked by the callers
    if len(predictions.classes) == 2:
        return predictions.probabilities[:, 1], (predictions.truth == 1).astype(np.float64)
    top = predictions.probabilities.argmax(axis=1)
    return predictions.probabilities.max(axis=1), (predictions.truth == top).astype(np.float64)


def _binned(values: Array, bins: int) -> Array:
    """The number of each row's bin, without gaps."""
    edges = np.unique(np.quantile(values, np.arange(1, bins) / bins))
    return np.unique(np.searchsorted(edges, values, side="left"), return_inverse=True)[1]
