"""Metrics that are functions of sums over rows, so that a resample costs one product of matrices.

A mean of losses, a share, what follows from counts of right and wrong answers, and the moments behind R²: all of them
depend on the rows through a few sums only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from modelway.components.core.measures.metrics import Array, Predictions

MOST_CLASSES = 50

_AVERAGES = ("_macro", "_micro", "_weighted")
_COUNTED = {"precision", "recall", "f1", "jaccard"}


@dataclass(frozen=True)
class Additive:
    """A metric by its sums.

    Attributes:
        terms: What each row adds to the sums, shape (rows, sums).
        value: The metric of some sums, shape (..., sums) to (...,); NaN where it is not defined.
        is_share: Whether the sums are how many rows hit, and of how many: the metric is a proportion.
    """

    terms: Array
    value: Callable[[Array], Array]
    is_share: bool = False


def additive(metric: str, predictions: Predictions) -> Additive | None:
    """The metric by its sums; None if it is no function of sums, or not of such predictions.

    Args:
        metric: The metric's name, with or without ``neg_``.
        predictions: What a model said about the rows.
    """
    name = metric.removeprefix("neg_")
    found = _of_classes(name, predictions) if predictions.classes else _of_numbers(name, predictions)
    if found is None or name == metric:
        return found
    return Additive(found.terms, lambda sums: 0.0 - found.value(sums))


def share(hits: Array, trials: Array | None = None) -> Additive:
    """The proportion of rows that hit among those that were tried; all of them unless given."""
    tried = np.ones(len(hits)) if trials is None else trials.astype(np.float64)
    return Additive(np.column_stack([hits.astype(np.float64) * tried, tried]), _ratio_of_sums, is_share=True)


def _of_classes(name: str, predictions: Predictions) -> Additive | None:
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
    value: Callable[[Array], Array] | None = {"balanced_accuracy": _balanced, "matthews_corrcoef": _matthews}.get(name)
    if metric in _COUNTED and (average or classes == 2):
        value = partial(_counted, metric=metric, average=average)
    labels = max(classes, int(max(truth.max(), predicted.max())) + 1)
    return None if value is None or labels > MOST_CLASSES else Additive(_counts(truth, predicted, labels=labels), value)


def _of_probabilities(name: str, truth: Array, *, probabilities: Array) -> Additive:
    rows = np.arange(len(truth))
    if name == "log_loss":
        least = np.finfo(probabilities.dtype).eps  # scikit-learn's bound
        return _mean(-np.log(np.clip(probabilities[rows, truth], least, 1 - least)))
    errors = probabilities.copy()
    errors[rows, truth] -= 1
    summed = (errors**2).sum(axis=1)
    return _mean(summed / 2 if probabilities.shape[1] == 2 else summed)


def _of_numbers(name: str, predictions: Predictions) -> Additive | None:
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
        return Additive(np.column_stack(columns), _r2 if name == "r2" else _explained)
    return None


def _mean(losses: Array, *, root: bool = False) -> Additive:
    terms = np.column_stack([losses, np.ones(len(losses))])
    return Additive(terms, (lambda sums: np.sqrt(_ratio_of_sums(sums))) if root else _ratio_of_sums)


def _counts(truth: Array, predicted: Array, *, labels: int) -> Array:
    """For each class: whether it was rightly predicted, whether it was predicted, whether it was true."""
    true, said = np.eye(labels)[truth], np.eye(labels)[predicted]
    return np.hstack([true * said, said, true])


def _divided(above: Array, below: Array, *, empty: float = float("nan")) -> Array:
    found: Array = np.divide(above, below, out=np.full(np.broadcast(above, below).shape, empty), where=below != 0)
    return found


def _ratio_of_sums(sums: Array) -> Array:
    return _divided(sums[..., 0], sums[..., 1])


def _counted(sums: Array, *, metric: str, average: str) -> Array:
    """Precision, recall, F1 or Jaccard's index; 0 where nothing was predicted or true, as scikit-learn has it."""
    hits, said, true = np.split(sums, 3, axis=-1)
    if average == "_micro":
        hits, said, true = (part.sum(axis=-1, keepdims=True) for part in (hits, said, true))
    below = {"precision": said, "recall": true, "f1": (said + true) / 2}.get(metric, said + true - hits)
    found = _divided(hits, below, empty=0.0)
    if average == "_macro":
        seen = said + true > 0
        return _divided((found * seen).sum(axis=-1), seen.sum(axis=-1))
    if average == "_weighted":
        return _divided((found * true).sum(axis=-1), true.sum(axis=-1))
    return np.asarray(found[..., 0] if average == "_micro" else found[..., 1])


def _balanced(sums: Array) -> Array:
    hits, _, true = np.split(sums, 3, axis=-1)
    return _divided(_divided(hits, true, empty=0.0).sum(axis=-1), (true > 0).sum(axis=-1))


def _matthews(sums: Array) -> Array:
    hits, said, true = np.split(sums, 3, axis=-1)
    rows = true.sum(axis=-1)
    above = hits.sum(axis=-1) * rows - (said * true).sum(axis=-1)
    below = np.sqrt((rows**2 - (said**2).sum(axis=-1)) * (rows**2 - (true**2).sum(axis=-1)))
    return _divided(above, below, empty=0.0)


def _r2(sums: Array) -> Array:
    rows, first, second, _, squared = np.moveaxis(sums, -1, 0)
    return 1 - _divided(squared, second - _divided(first**2, rows))


def _explained(sums: Array) -> Array:
    rows, first, second, errors, squared = np.moveaxis(sums, -1, 0)
    return 1 - _divided(squared - _divided(errors**2, rows), second - _divided(first**2, rows))
