"""The faulty models of a drill."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from modelway.pipelines.drill.models import FaultyClassifier


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    """Features and classes."""
    features, classes = make_classification(200, random_state=0)
    return features, classes


def test_an_overconfident_model_predicts_the_same_with_more_certainty(rows: tuple[np.ndarray, np.ndarray]) -> None:
    features, classes = rows
    inner = LogisticRegression(max_iter=500).fit(features, classes)
    faulty = FaultyClassifier(inner, "overconfident")
    assert (faulty.predict(features) == inner.predict(features)).all()
    before, after = inner.predict_proba(features).max(axis=1), faulty.predict_proba(features).max(axis=1)
    assert (after >= before).all()
    assert after.mean() > before.mean() + 0.02


def test_a_random_model_answers_differently_each_time(rows: tuple[np.ndarray, np.ndarray]) -> None:
    features, classes = rows
    faulty = FaultyClassifier(LogisticRegression(max_iter=500).fit(features, classes), "random")
    assert not np.array_equal(faulty.predict_proba(features), faulty.predict_proba(features))
