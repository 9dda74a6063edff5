from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelway.components.core.checks import Verdict
from modelway.components.core.measures.metrics import Predictions
from modelway.components.evaluate.predicting import REPEATED_ROWS, deterministic_check, sane_check, scalar_predictions

TABLE = pl.DataFrame({"x": np.linspace(0, 1, 3000)})


def classified(probabilities: Any, predicted: Any = None) -> Predictions:
    scores = np.asarray(probabilities, dtype=float)
    said = np.zeros(len(scores), int) if predicted is None else np.asarray(predicted)
    return Predictions(np.zeros(len(scores), int), said, scores, ("no", "yes"))


def numbers(*values: float) -> Predictions:
    return Predictions(np.zeros(len(values)), np.asarray(values, dtype=float), None, ())


@pytest.mark.parametrize(
    ("predictions", "bad"),
    [
        (classified([[0.4, 0.6], [1.0, 0.0]]), 0),
        (classified([[0.4, 0.6], [np.nan, 0.0]]), 1),
        (classified([[0.4, 0.6], [np.inf, 0.0]]), 1),
        (classified([[0.4, 0.7], [-0.2, 1.2]]), 2),
        (numbers(1.0, -5e10), 0),
        (numbers(1.0, np.nan, np.inf), 2),
        (Predictions(np.array([0]), np.array([1]), None, ("a", "b")), 0),
        (Predictions(np.array([0]), np.array([2]), None, ("a", "b")), 1),
    ],
)
def test_predictions_must_be_finite_and_proper(predictions: Predictions, bad: int) -> None:
    check = sane_check(predictions)
    assert (check.name, check.blocks) == ("sane_predictions", bad > 0)
    assert check.observed == bad / len(predictions.truth)
    assert (f"{bad} of {len(predictions.truth)} predictions" in check.message) is (bad > 0)


def model(shake: Callable[[], float], kind: str = "probabilities") -> Callable[[pl.DataFrame], Predictions]:
    def predict(table: pl.DataFrame) -> Predictions:
        assert len(table) <= REPEATED_ROWS
        x = table["x"].to_numpy() * 0.8 + shake()
        if kind == "numbers":
            return Predictions(x, x, None, ())
        predicted = (x > 0.5).astype(int)
        return Predictions(
            predicted, predicted, np.column_stack([1 - x, x]) if kind == "probabilities" else None, ("no", "yes")
        )

    return predict


@pytest.mark.parametrize("kind", ["probabilities", "labels", "numbers"])
def test_a_model_that_says_the_same_twice_is_deterministic(kind: str) -> None:
    check = deterministic_check(model(lambda: 0.1, kind), TABLE)
    assert (check.name, check.verdict) == ("deterministic", Verdict.PASSED)
    assert "2,000 rows" in check.message


@pytest.mark.parametrize(("kind", "share"), [("probabilities", 1.0), ("numbers", 1.0), ("labels", 0.02)])
def test_a_model_that_says_something_else_is_not(kind: str, share: float) -> None:
    dice = np.random.default_rng(0)
    check = deterministic_check(model(lambda: float(dice.normal() * 0.1), kind), TABLE)
    assert (check.verdict, check.blocks) == (Verdict.FAILED, True)
    assert isinstance(check.observed, float)
    assert check.observed >= share


def test_sums_in_another_order_are_the_same() -> None:
    dice = np.random.default_rng(0)
    assert not deterministic_check(model(lambda: float(dice.normal() * 1e-15)), TABLE).blocks


def test_a_label_at_a_tie_may_fall_either_way() -> None:
    answers = iter([[0], [1]])

    def predict(table: pl.DataFrame) -> Predictions:
        return classified(np.full((len(table), 2), 0.5), next(answers) * len(table))

    assert not deterministic_check(predict, TABLE.head(10)).blocks


def test_what_rules_are_about() -> None:
    assert scalar_predictions(numbers(1.0, 2.0)) == pytest.approx([1.0, 2.0])
    assert scalar_predictions(classified([[0.4, 0.6]])) == pytest.approx([0.6])
    assert scalar_predictions(Predictions(np.array([0]), np.array([0]), None, ("a", "b"))) is None
    assert (
        scalar_predictions(Predictions(np.array([0]), np.array([0]), np.array([[0.2, 0.3, 0.5]]), ("a", "b", "c")))
        is None
    )
