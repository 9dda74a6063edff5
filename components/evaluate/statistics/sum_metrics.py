"""Metrics that are functions of sums over rows, so that a resample costs one product of matrices.

Means of losses, shares, functions of the counts of right and wrong predictions, and R² depend on the rows only through
a few sums.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from modelway.components.core.measures.metrics import Array, Predictions
from modelway.components.evaluate.statistics.shares import Parts

MOST_CLASSES = 50

_AVERAGES = ("_macro", "_micro", "_weighted")
_COUNTED = {"precision", "recall", "f1", "jaccard"}


def _same(values: Array) -> Array:
    return values


@dataclass(frozen=True)
class SumMetric:
    """A metric as a function of sums over rows.

    Attributes:
        terms: Each row's contribution to the sums, shape (rows, sums).
        value: The metric of some sums, shape (..., sums) to (...,); NaN where it is not defined.
        is_share: Whether the metric is a proportion, or a function of one: the sums are the hits and the trials.
        of_share: That function, which rises with the share.
        parts: What it is a sum of, where it is an average of proportions.
        loss: A loss that is never negative, of the same sums, which the metric is a function of.
        of_loss: That function.
        losses: The nonnegative terms of each row whose tails decide how much the rows tell, shape (rows, kinds).
    """

    terms: Array
    value: Callable[[Array], Array]
    is_share: bool = False
    of_share: Callable[[Array], Array] = _same
    parts: Parts | None = None
    loss: Callable[[Array], Array] | None = None
    of_loss: Callable[[Array], Array] = _same
    losses: Array | None = None


def sum_metric(metric: str, predictions: Predictions) -> SumMetric | None:
    """The metric as a function of sums; None if it is not one, or not for such predictions.

    Args:
        metric: The metric's name, with or without ``neg_``.
        predictions: Of the rows.
    """
    name = metric.removeprefix("neg_")
    metric_of_sums = _of_classes(name, predictions) if predictions.classes else _of_numbers(name, predictions)
    if metric_of_sums is None or name == metric:
        return metric_of_sums
    positive = metric_of_sums
    return replace(
        positive,
        value=lambda sums: 0.0 - positive.value(sums),
        of_loss=lambda losses: 0.0 - positive.of_loss(losses),
    )


def share(hits: Array, trials: Array | None = None) -> SumMetric:
    """The proportion of hits among the trials; all rows are trials unless given."""
    weights = np.ones(len(hits)) if trials is None else trials.astype(np.float64)
    return SumMetric(np.column_stack([hits.astype(np.float64) * weights, weights]), _ratio_of_sums, is_share=True)


def _of_classes(name: str, predictions: Predictions) -> SumMetric | None:
    truth, predicted, classes = predictions.truth, predictions.predicted, len(predictions.classes)
    right = truth == predicted
    metric, average = next(
        ((name.removesuffix(suffix), suffix) for suffix in _AVERAGES if name.endswith(suffix)), (name, "")
    )
    binary = {"precision": predicted == 1, "recall": truth == 1}
    if name == "accuracy" or (metric in _COUNTED - {"jaccard"} and average == "_micro"):
        return share(right)
    if name in binary and classes == 2:
        return share(right, binary[name])
    if name in {"log_loss", "brier_score"} and predictions.probabilities is not None and truth.max() < classes:
        return _of_probabilities(name, truth, probabilities=predictions.probabilities)
    if classes == 2 and not average and metric in {"f1", "jaccard"}:
        # Of the rows that are positive or predicted so, which share is both: F1 is a function of it (Jaccard's index).
        both, either = right & (truth == 1), (truth == 1) | (predicted == 1)
        of_share = _f1_of_jaccard if metric == "f1" else _same
        terms = share(both, either).terms
        return SumMetric(terms, lambda sums: of_share(_ratio_of_sums(sums)), is_share=True, of_share=of_share)
    value: Callable[[Array], Array] | None = {"balanced_accuracy": _balanced, "matthews_corrcoef": _matthews}.get(name)
    if metric in _COUNTED and (average or classes == 2):
        value = partial(_label_metric, metric=metric, average=average)
    labels = max(classes, int(max(truth.max(), predicted.max())) + 1)
    if value is None or labels > MOST_CLASSES:
        return None
    terms = _counts(truth, predicted, labels=labels)
    return SumMetric(terms, value, parts=_parts(terms, "recall" if name == "balanced_accuracy" else metric, average))


def _parts(terms: Array, metric: str, average: str) -> Parts | None:
    """The proportions that an average over classes is made of; None for other metrics."""
    if metric not in _COUNTED or average == "_micro" or (not average and metric != "recall"):
        return None
    hits, predicted, true = np.split(terms, 3, axis=-1)
    trials = {"precision": predicted, "recall": true}.get(metric, predicted + true - hits)
    occurs = true.sum(axis=0) > 0 if metric == "recall" and not average else (predicted + true).sum(axis=0) > 0
    weights = true.mean(axis=0) if average == "_weighted" else occurs / occurs.sum()
    return Parts(hits, trials, weights, _f1_of_jaccard if metric == "f1" else _same)


def _of_probabilities(name: str, truth: Array, *, probabilities: Array) -> SumMetric:
    rows = np.arange(len(truth))
    if name == "log_loss":
        least = np.finfo(probabilities.dtype).eps  # scikit-learn's bound
        return _mean(-np.log(np.clip(probabilities[rows, truth], least, 1 - least)))
    errors = probabilities.copy()
    errors[rows, truth] -= 1
    squares = (errors**2).sum(axis=1)
    return _mean(squares / 2 if probabilities.shape[1] == 2 else squares)


def _of_numbers(name: str, predictions: Predictions) -> SumMetric | None:
    truth, predicted = predictions.truth, predictions.predicted
    error = predicted - truth
    losses: dict[str, Callable[[], Array]] = {
        "mean_absolute_error": lambda: np.abs(error),
        "mean_squared_error": lambda: error**2,
        "mean_absolute_percentage_error": lambda: np.abs(error) / np.maximum(np.abs(truth), np.finfo(np.float64).eps),
    }
    if min(truth.min(), predicted.min()) > -1:
        losses["mean_squared_log_error"] = lambda: (np.log1p(predicted) - np.log1p(truth)) ** 2
    plain = name.removeprefix("root_")
    if plain in losses:
        return _mean(losses[plain](), root=plain != name)
    if name in {"r2", "explained_variance"}:
        centred = truth - truth.mean()  # keeps the digits of a label far from zero
        columns = [np.ones(len(truth)), centred, centred**2, error, error**2]
        value = _r2 if name == "r2" else _explained_variance
        return SumMetric(
            np.column_stack(columns),
            value,
            loss=lambda sums: 1 - value(sums),
            of_loss=lambda losses: 1 - losses,
            losses=np.column_stack([error**2, centred**2]),
        )
    return None


def _mean(losses: Array, *, root: bool = False) -> SumMetric:
    terms = np.column_stack([losses, np.ones(len(losses))])
    of_loss = np.sqrt if root else _same
    return SumMetric(
        terms,
        lambda sums: of_loss(_ratio_of_sums(sums)),
        loss=_ratio_of_sums,
        of_loss=of_loss,
        losses=terms[:, :1],
    )


def _counts(truth: Array, predicted: Array, *, labels: int) -> Array:
    """For each class: whether it was rightly predicted, whether it was predicted, whether it was true."""
    true, predictions = np.eye(labels)[truth], np.eye(labels)[predicted]
    return np.hstack([true * predictions, predictions, true])


def _divide(above: Array, below: Array, *, empty: float = float("nan")) -> Array:
    ratio: Array = np.divide(above, below, out=np.full(np.broadcast(above, below).shape, empty), where=below != 0)
    return ratio


def _f1_of_jaccard(shares: Array) -> Array:
    return np.asarray(2 * shares / (1 + shares))


def _ratio_of_sums(sums: Array) -> Array:
    return _divide(sums[..., 0], sums[..., 1])


def _label_metric(sums: Array, *, metric: str, average: str) -> Array:
    """Precision, recall, F1 or Jaccard's index; 0 where nothing was predicted or true, as in scikit-learn."""
    hits, predicted, true = np.split(sums, 3, axis=-1)
    if average == "_micro":
        hits, predicted, true = (part.sum(axis=-1, keepdims=True) for part in (hits, predicted, true))
    below = {"precision": predicted, "recall": true, "f1": (predicted + true) / 2}.get(metric, predicted + true - hits)
    values = _divide(hits, below, empty=0.0)
    if average == "_macro":
        occurs = predicted + true > 0
        return _divide((values * occurs).sum(axis=-1), occurs.sum(axis=-1))
    if average == "_weighted":
        return _divide((values * true).sum(axis=-1), true.sum(axis=-1))
    return np.asarray(values[..., 0] if average == "_micro" else values[..., 1])


def _balanced(sums: Array) -> Array:
    hits, _, true = np.split(sums, 3, axis=-1)
    return _divide(_divide(hits, true, empty=0.0).sum(axis=-1), (true > 0).sum(axis=-1))


def _matthews(sums: Array) -> Array:
    hits, predicted, true = np.split(sums, 3, axis=-1)
    rows = true.sum(axis=-1)
    above = hits.sum(axis=-1) * rows - (predicted * true).sum(axis=-1)
    below = np.sqrt((rows**2 - (predicted**2).sum(axis=-1)) * (rows**2 - (true**2).sum(axis=-1)))
    return _divide(above, below, empty=0.0)


def _r2(sums: Array) -> Array:
    rows, first, second, _, squared = np.moveaxis(sums, -1, 0)
    return 1 - _divide(squared, second - _divide(first**2, rows))


def _explained_variance(sums: Array) -> Array:
    rows, first, second, errors, squared = np.moveaxis(sums, -1, 0)
    return 1 - _divide(squared - _divide(errors**2, rows), second - _divide(first**2, rows))
