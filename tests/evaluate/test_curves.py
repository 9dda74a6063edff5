from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve

from modelway.components.core.measures.metrics import Predictions
from modelway.components.evaluate.curves import POINTS, calibration_by_decile, confusion, roc_curves


def predictions(rows: int, classes: int = 2, seed: int = 0) -> Predictions:
    dice = np.random.default_rng(seed)
    truth = dice.integers(0, classes, rows)
    raw = dice.random((rows, classes)) + np.eye(classes)[truth] * 0.5
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    return Predictions(truth, probabilities.argmax(axis=1), probabilities, tuple("abcdef"[:classes]))


@pytest.mark.parametrize("rows", [2, 30, 199, 5000])
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_curves_are_finite_and_small(rows: int, classes: int) -> None:
    curves = roc_curves(predictions(rows, classes, seed=3))
    assert len(curves) <= (1 if classes == 2 else classes)
    for roc in curves:
        assert 2 <= len(roc.fpr) == len(roc.tpr) == len(roc.thresholds) <= POINTS
        assert np.isfinite([roc.fpr, roc.tpr, roc.thresholds]).all()
        assert (roc.fpr[0], roc.tpr[0], roc.fpr[-1], roc.tpr[-1]) == (0.0, 0.0, 1.0, 1.0)
        assert roc.fpr == sorted(roc.fpr)
        assert roc.tpr == sorted(roc.tpr)
        assert roc.thresholds == sorted(roc.thresholds, reverse=True)


def test_a_short_curve_is_scikit_learns() -> None:
    answers = predictions(60)
    assert answers.probabilities is not None
    fpr, tpr, thresholds = roc_curve(answers.truth, answers.probabilities[:, 1])
    (roc,) = roc_curves(answers)
    assert roc.name == "b"
    assert (roc.fpr, roc.tpr) == (fpr.tolist(), tpr.tolist())
    assert roc.thresholds == [1.0, *thresholds[1:].tolist()]


def test_a_long_curve_keeps_its_area() -> None:
    answers = predictions(20_000)
    assert answers.probabilities is not None
    (roc,) = roc_curves(answers)
    assert np.trapezoid(roc.tpr, roc.fpr) == pytest.approx(
        roc_auc_score(answers.truth, answers.probabilities[:, 1]), abs=2e-3
    )


def test_one_curve_for_each_of_several_classes() -> None:
    answers = predictions(300, 3)
    assert answers.probabilities is not None
    curves = roc_curves(answers)
    assert [roc.name for roc in curves] == ["a", "b", "c"]
    for number, roc in enumerate(curves):
        area = roc_auc_score(answers.truth == number, answers.probabilities[:, number])
        assert np.trapezoid(roc.tpr, roc.fpr) == pytest.approx(area, abs=2e-3)


def test_a_class_without_rows_has_no_curve() -> None:
    answers = predictions(300, 3)
    rows = np.flatnonzero(answers.truth != 1)
    assert [roc.name for roc in roc_curves(answers.take(rows))] == ["a", "c"]
    assert roc_curves(answers.take(np.flatnonzero(answers.truth == 0))) == []


def test_without_probabilities_there_is_no_curve() -> None:
    answers = predictions(10)
    assert roc_curves(Predictions(answers.truth, answers.predicted, None, answers.classes)) == []


@pytest.mark.parametrize("classes", [2, 4])
def test_the_confusion_matrix_is_scikit_learns(classes: int) -> None:
    answers = predictions(100, classes)
    assert confusion(answers) == confusion_matrix(answers.truth, answers.predicted).tolist()


def test_the_confusion_matrix_has_a_place_for_every_class() -> None:
    answers = predictions(100, 3)
    part = answers.take(np.flatnonzero(answers.truth == 0))
    curves = confusion(part)
    assert np.shape(curves) == (3, 3)
    assert sum(curves[0]) == len(part.truth)
    assert sum(curves[1]) == sum(curves[2]) == 0


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_predicted_against_actual(rows: int) -> None:
    truth = np.random.default_rng(0).normal(size=rows)
    points = calibration_by_decile(Predictions(truth, truth, None, ()))
    assert len(points) == min(rows, 10)
    assert all(0 <= value <= 1 for point in points for value in point)
    assert all(x == pytest.approx(y) for x, y in points)
    assert points == sorted(points)


def test_a_model_that_says_the_same_of_all_rows() -> None:
    points = calibration_by_decile(Predictions(np.full(20, 5.0), np.full(20, 5.0), None, ()))
    assert points == [(0.0, 0.0)] * 10


def test_rows_of_classes_that_the_model_does_not_know_are_not_drawn() -> None:
    """16 rows of three classes can leave a test split whose classes were not trained on."""
    unknown = Predictions(np.array([2, 2]), np.array([0, 1]), np.array([[0.6, 0.4], [0.3, 0.7]]), ("a", "b"), ("c",))
    assert roc_curves(unknown) == []
    assert confusion(unknown) == [[0, 0], [0, 0]]


def test_a_decision_function_has_the_curve_of_its_scores() -> None:
    answers = predictions(60)
    scores = np.random.default_rng(1).normal(size=60) + answers.truth
    ranked = Predictions(answers.truth, answers.predicted, None, answers.classes, (), scores)
    fpr, tpr, _ = roc_curve(answers.truth, scores)
    (roc,) = roc_curves(ranked)
    assert (roc.fpr, roc.tpr) == (fpr.tolist(), tpr.tolist())
