"""Any scikit-learn metric by name, computed from predictions that were made once."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import sklearn.metrics
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError, first_line
from modelway.components.core.tables.parquet import positive_class

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Predictions:
    """A model's predictions of some rows, and the truth.

    For classification, classes are numbered in the order of `classes`; in a binary task 1 is the positive class.

    Attributes:
        truth: The label, shape (rows,).
        predicted: The predicted label, shape (rows,).
        probabilities: Of each class, shape (rows, classes); None if the model gives none, or for regression.
        classes: The classes' names; empty for regression.
        untrained: The names of classes that occur in the truth and that the model does not know; they are numbered
            after `classes`.
        scores: In a binary task, the decision function's values where the model gives no probabilities, shape (rows,);
            the higher, the more positive.
    """

    truth: Array
    predicted: Array
    probabilities: Array | None
    classes: tuple[str, ...]
    untrained: tuple[str, ...] = ()
    scores: Array | None = None

    @property
    def ranking(self) -> Array | None:
        """In a binary task, what orders the rows by how positive they are; None where nothing does."""
        if len(self.classes) != 2:
            return None
        return self.scores if self.probabilities is None else self.probabilities[:, 1]

    def class_name(self, number: int) -> str:
        """The name of a class, or of one that the model does not know."""
        return (*self.classes, *self.untrained)[number]

    def take(self, rows: Array) -> Predictions:
        """The predictions of some rows."""
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        scores = None if self.scores is None else self.scores[rows]
        return Predictions(self.truth[rows], self.predicted[rows], probabilities, self.classes, self.untrained, scores)


def joined(first: Predictions, second: Predictions) -> Predictions:
    """The predictions of some rows and then of others, by models of the same classes.

    The first rows have no class that those do not know.
    """

    def both(name: str) -> Array | None:
        parts = [getattr(first, name), getattr(second, name)]
        return None if any(part is None for part in parts) else np.concatenate(parts)

    truth, predicted = (
        np.concatenate([getattr(first, name), getattr(second, name)]) for name in ("truth", "predicted")
    )
    return Predictions(truth, predicted, both("probabilities"), second.classes, second.untrained, both("scores"))


def predict(model: Any, features: pd.DataFrame, *, truth: Array, project: Project) -> Predictions:
    """Asks a model for its predictions of some rows, once.

    Raises:
        ModelwayError: the model fails on the rows; names the features it was given.
    """
    try:
        predicted = np.asarray(model.predict(features))
        probabilities = np.asarray(model.predict_proba(features)) if hasattr(model, "predict_proba") else None
        scores = None
        if probabilities is None and project.task == "binary" and hasattr(model, "decision_function"):
            scores = np.asarray(model.decision_function(features), dtype=np.float64)
    except Exception as error:
        raise ModelwayError(
            f"the model failed to predict: {first_line(error)}",
            remedy="check that the model was trained on these features; `--debug` shows where it failed",
        ) from error
    if project.task == "regression":
        return Predictions(truth, predicted.astype(np.float64), None, ())
    model_classes = list(getattr(model, "classes_", np.unique(predicted)))
    classes = ordered_classes(model_classes, project)
    if scores is not None and (scores.ndim != 1 or len(model_classes) != 2):
        scores = None
    if scores is not None and model_classes[1] != classes[1]:
        scores = -scores
    known = set(classes)
    untrained = sorted({value for value in truth.tolist() if value not in known}, key=str)
    order = [model_classes.index(value) for value in classes]
    return Predictions(
        truth=_class_numbers(truth, [*classes, *untrained]),
        predicted=_class_numbers(predicted, classes),
        probabilities=None if probabilities is None else probabilities[:, order],
        classes=tuple(str(value) for value in classes),
        untrained=tuple(str(value) for value in untrained),
        scores=scores,
    )


def ordered_classes(classes: list[Any], project: Project) -> list[Any]:
    """A model's classes in the order of its predictions: in a binary task the positive one is last."""
    if project.task != "binary":
        return classes
    positive = positive_class(classes, project)
    return [*(value for value in classes if value != positive), positive]


def score(name: str, predictions: Predictions) -> float:
    """A metric's value: that of scikit-learn's scorer of this name, or of a loss, which is better small.

    Raises:
        ModelwayError: the metric cannot be computed from such predictions.
    """
    scorer, sign = _scorer(name)
    answers = _stand_in(predictions)
    try:
        return sign * float(scorer(answers, None, predictions.truth))
    except Exception as error:
        raise ModelwayError(
            f"the metric {name} cannot be computed: {first_line(error)}",
            key=f"metrics.{name}",
            value=name,
            remedy="choose a metric that fits the task; for several classes one that averages, such as f1_macro",
        ) from error


def higher_is_better(name: str) -> bool:
    """Whether a greater value is a better one."""
    return _scorer(name)[1] > 0


def check_metric(name: str, key: str, *, file: str) -> None:
    """Checks that a metric of this name exists.

    Raises:
        ModelwayError: there is none; suggests the nearest.
    """
    try:
        _scorer(name)
    except ModelwayError as error:
        raise ModelwayError(error.message, file=file, key=key, value=name, remedy=error.remedy) from error


def _scorer(name: str) -> tuple[Callable[..., float], float]:
    """A scorer, and the sign that turns its value into the metric's."""
    names = set(sklearn.metrics.get_scorer_names())
    if name in names:
        return sklearn.metrics.get_scorer(name), 1.0
    if f"neg_{name}" in names:
        return sklearn.metrics.get_scorer(f"neg_{name}"), -1.0
    metric_names = sorted(names | {scorer.removeprefix("neg_") for scorer in names})
    close = difflib.get_close_matches(name, metric_names, n=3)
    raise ModelwayError(
        f"scikit-learn has no metric {name!r}",
        key=f"metrics.{name}",
        value=name,
        remedy=f"did you mean {' or '.join(close)}?" if close else f"choose one of {', '.join(metric_names)}",
    )


def _class_numbers(values: Array, classes: list[Any]) -> Array:
    """Class numbers; what is not among the classes gets the number after the last."""
    numbers = {value: number for number, value in enumerate(classes)}
    return np.asarray([numbers.get(value, len(classes)) for value in values.tolist()], dtype=np.int64)


def _stand_in(predictions: Predictions) -> _Estimator:
    """The estimator that a scorer asks: it has the methods that the model has."""
    if not predictions.classes:
        return _Regressor(predictions)
    return _Classifier(predictions) if predictions.scores is None else _ScoreClassifier(predictions)


class _Estimator(BaseEstimator):  # type: ignore[misc]
    """Stands for a fitted estimator in scikit-learn's scorers, with the answers already given."""

    def __init__(self, predictions: Predictions) -> None:
        self.predictions = predictions
        self.classes_ = np.arange(len(predictions.classes))

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, X: object) -> Array:  # noqa: ARG002,N803
        return self.predictions.predicted


class _Regressor(RegressorMixin, _Estimator):  # type: ignore[misc]
    """Likewise, of a regressor."""


class _Classifier(ClassifierMixin, _Estimator):  # type: ignore[misc]
    """Likewise, of a classifier."""

    def predict_proba(self, X: object) -> Array:  # noqa: ARG002,N803
        if self.predictions.probabilities is None:
            raise AttributeError("the model gives no probabilities (predict_proba)")
        return self.predictions.probabilities


class _ScoreClassifier(_Classifier):
    """Likewise, of a classifier that has a decision function alone."""

    def decision_function(self, X: object) -> Array | None:  # noqa: ARG002,N803
        return self.predictions.scores
