from __future__ import annotations

import numpy as np

from modelway.components.core.measures.metrics import Predictions, score
from modelway.components.evaluate.class_alignment import align_classes


def test_the_same_classes_are_left_as_they_are() -> None:
    predictions = Predictions(np.array([0, 1]), np.array([0, 1]), None, ("a", "b"))
    alignment = align_classes(predictions, predictions)
    assert (alignment.candidate, alignment.rows, alignment.note) == (predictions, None, "")


def test_classes_are_numbered_alike_and_scores_stay() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.3, 0.4, 0.3]])
    candidate = Predictions(np.array([0, 1, 2, 0]), probabilities.argmax(axis=1), probabilities, ("a", "b", "c"))
    order = [2, 0, 1]
    other = Predictions(
        np.array([1, 2, 0, 1]), probabilities[:, order].argmax(axis=1), probabilities[:, order], ("c", "a", "b")
    )
    alignment = align_classes(candidate, other)
    assert alignment.note == ""
    assert alignment.candidate.truth.tolist() == alignment.champion.truth.tolist()
    for metric in ("accuracy", "log_loss", "f1_macro"):
        assert score(metric, alignment.candidate) == score(metric, candidate) == score(metric, alignment.champion)


def test_a_class_that_one_model_lacks_has_no_probability() -> None:
    candidate = Predictions(np.array([0, 1]), np.array([0, 0]), np.array([[1.0], [1.0]]), ("a",), ("b",))
    champion = Predictions(np.array([0, 1]), np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]), ("a", "b"))
    alignment = align_classes(candidate, champion)
    assert alignment.candidate.probabilities is not None
    assert alignment.candidate.probabilities.tolist() == [[1.0, 0.0], [1.0, 0.0]]
    assert (alignment.candidate.classes, alignment.candidate.untrained) == (("a", "b"), ())
    assert "gone is 'b', of which there are 1 rows" in alignment.note
