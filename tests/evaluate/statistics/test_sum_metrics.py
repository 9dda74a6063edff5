from __future__ import annotations

import numpy as np
import pytest

from modelway.components.core.measures.metrics import Predictions, score
from modelway.components.evaluate.statistics.sum_metrics import share, sum_metric


def classified(classes: int, rows: int = 300, seed: int = 0, probabilities: bool = True) -> Predictions:
    dice = np.random.default_rng(seed)
    truth = dice.integers(0, classes, rows)
    raw = dice.random((rows, classes)) + np.eye(classes)[truth] * 0.5
    raw /= raw.sum(axis=1, keepdims=True)
    return Predictions(truth, raw.argmax(axis=1), raw if probabilities else None, tuple("abcdef"[:classes]))


def numbers(rows: int = 300) -> Predictions:
    dice = np.random.default_rng(1)
    truth = dice.normal(1000, 2, rows)
    return Predictions(truth, truth + dice.normal(0.3, 1, rows), None, ())


COUNTED = [f"{metric}_{average}" for metric in ("precision", "recall", "f1", "jaccard") for average in
           ("macro", "micro", "weighted")]  # fmt: skip
OF_CLASSES = ["accuracy", "balanced_accuracy", "matthews_corrcoef", "log_loss", "brier_score", "neg_log_loss", *COUNTED]
OF_NUMBERS = [
    "mean_absolute_error",
    "mean_squared_error",
    "root_mean_squared_error",
    "mean_absolute_percentage_error",
    "mean_squared_log_error",
    "root_mean_squared_log_error",
    "neg_mean_squared_error",
    "r2",
    "explained_variance",
]


@pytest.mark.parametrize("metric", [*OF_CLASSES, "precision", "recall", "f1", "jaccard"])
def test_two_classes_as_scikit_learn_has_them(metric: str) -> None:
    predictions = classified(2)
    sums = sum_metric(metric, predictions)
    assert sums is not None
    assert sums.value(sums.terms.sum(axis=0)) == pytest.approx(score(metric, predictions), rel=1e-12)


@pytest.mark.parametrize("metric", OF_CLASSES)
@pytest.mark.parametrize("classes", [3, 5])
def test_several_classes_as_scikit_learn_has_them(metric: str, classes: int) -> None:
    predictions = classified(classes)
    sums = sum_metric(metric, predictions)
    assert sums is not None
    assert sums.value(sums.terms.sum(axis=0)) == pytest.approx(score(metric, predictions), rel=1e-12)


@pytest.mark.parametrize("metric", OF_NUMBERS)
def test_numbers_as_scikit_learn_has_them(metric: str) -> None:
    predictions = numbers()
    sums = sum_metric(metric, predictions)
    assert sums is not None
    assert sums.value(sums.terms.sum(axis=0)) == pytest.approx(score(metric, predictions), rel=1e-9)


@pytest.mark.parametrize("metric", ["f1", "balanced_accuracy", "f1_macro", "log_loss", "matthews_corrcoef"])
def test_a_stack_of_weighted_sums_gives_what_the_repeated_rows_give(metric: str) -> None:
    predictions = classified(2, 80)
    times = np.random.default_rng(3).integers(0, 3, size=(5, 80))
    sums = sum_metric(metric, predictions)
    assert sums is not None
    expected = [score(metric, predictions.take(np.repeat(np.arange(80), weights))) for weights in times]
    assert sums.value(times @ sums.terms) == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning", "ignore:y_pred contains classes")
@pytest.mark.parametrize("metric", ["f1_macro", "balanced_accuracy", "precision_macro", "recall_weighted"])
def test_classes_that_do_not_occur_count_as_in_scikit_learn(metric: str) -> None:
    predictions = Predictions(np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1]), None, ("a", "b", "c", "d"))
    sums = sum_metric(metric, predictions)
    assert sums is not None
    assert sums.value(sums.terms.sum(axis=0)) == pytest.approx(score(metric, predictions))


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "median_absolute_error", "top_k_accuracy"])
def test_what_is_no_function_of_sums(metric: str) -> None:
    assert sum_metric(metric, classified(2)) is None
    assert sum_metric(metric, numbers()) is None


def test_probabilities_are_needed_where_the_metric_needs_them() -> None:
    assert sum_metric("log_loss", classified(2, probabilities=False)) is None
    assert sum_metric("accuracy", classified(2, probabilities=False)) is not None


@pytest.mark.parametrize(
    ("metric", "is_share"),
    [("accuracy", True), ("precision", True), ("recall", True), ("f1", True), ("log_loss", False)],
)
def test_proportions_are_known_as_such(metric: str, is_share: bool) -> None:
    sums = sum_metric(metric, classified(2))
    assert sums is not None
    assert sums.is_share is is_share


def test_a_share_of_nothing_is_not_defined() -> None:
    sums = share(np.array([True, False]), np.array([False, False]))
    assert np.isnan(sums.value(sums.terms.sum(axis=0)))
