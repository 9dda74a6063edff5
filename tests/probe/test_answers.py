from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelway.components.probe.answers import Answer, difference, is_same, predict_offline
from modelway.components.probe.client import Reply
from modelway.components.probe.requests import Sample

SAMPLE = Sample.of(pd.DataFrame({"income": [1.0, 2.0, 3.0]}), [10, 20, 30])
EXPECTED = {"predict": np.array([2.0, 4.0, 6.0])}


def answer(*values: Any, rows: tuple[int, ...] = (1, 2), name: str = "predict", status: int = 200) -> Answer:
    return Answer(
        rows, Reply(status, json.dumps({"error": "busy"}).encode()), {name: np.array(values)} if values else {}
    )


@pytest.mark.parametrize(
    ("actual", "text"),
    [
        (answer(4.0, 6.0005), ""),
        (answer(4.0, 6.1), "row 30 of the test split: `predict` is 6.1, offline 6.0"),
        (answer(4.0), "a batch of 2 rows: `predict` is missing from the answer, or of another shape"),
        (
            answer(4.0, 6.0, name="label"),
            "a batch of 2 rows: `predict` is missing from the answer, or of another shape",
        ),
        (answer(rows=(0,), status=503), "row 10 of the test split was answered 503 (busy)"),
    ],
)
def test_an_answer_is_compared_with_offline_predictions_of_its_rows(actual: Answer, text: str) -> None:
    assert difference(actual, EXPECTED, tolerance=1e-3, sample=SAMPLE) == text


def test_labels_must_be_equal_whatever_the_tolerance() -> None:
    expected = {"predict": np.array([1, 2, 3])}
    assert difference(answer(2, 3), expected, tolerance=10, sample=SAMPLE) == ""
    assert difference(answer(2, 4), expected, tolerance=10, sample=SAMPLE) != ""
    texts = {"predict": np.array(["a", "b", "c"], dtype=object)}
    assert difference(answer("b", "c"), texts, tolerance=10, sample=SAMPLE) == ""


def test_answers_are_the_same_up_to_rounding() -> None:
    assert is_same(answer(4.0, 6.0), answer(4.0, 6.0 + 1e-14))
    assert not is_same(answer(4.0, 6.0), answer(4.0, 6.0 + 1e-9))
    assert not is_same(answer(4.0, 6.0), answer(status=503))


def test_probabilities_are_predicted_where_the_model_has_them() -> None:
    class Classifier:
        def predict(self, rows: pd.DataFrame) -> list[int]:
            return [1] * len(rows)

        def predict_proba(self, rows: pd.DataFrame) -> list[list[float]]:
            return [[0.25, 0.75]] * len(rows)

    outputs = predict_offline(Classifier(), pd.DataFrame({"income": [1.0]}))
    assert {name: values.tolist() for name, values in outputs.items()} == {
        "predict": [1],
        "predict_proba": [[0.25, 0.75]],
    }
