from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from modelway.components.core.measures.metrics import Array, Predictions
from modelway.components.evaluate.statistics.ranking import average_precision_influence, roc_auc_influence


def delong_variance(truth: Array, scores: Array) -> float:
    """The variance by DeLong's definition, pair by pair."""
    above, below = scores[truth == 1], scores[truth == 0]
    wins = (above[:, None] > below).astype(float) + 0.5 * (above[:, None] == below)
    return float(wins.mean(axis=1).var(ddof=1) / len(above) + wins.mean(axis=0).var(ddof=1) / len(below))


def ranking(rows: int, seed: int, digits: int = 8) -> Predictions:
    dice = np.random.default_rng(seed)
    truth = (dice.random(rows) < 0.3).astype(int)
    positive = np.clip((truth * 0.3 + dice.random(rows) * 0.7), 0, 1).round(digits)
    return Predictions(truth, (positive > 0.5).astype(int), np.column_stack([1 - positive, positive]), ("no", "yes"))


@pytest.mark.parametrize("digits", [1, 8])
@pytest.mark.parametrize("rows", [20, 300])
def test_the_influences_sum_to_nothing_and_their_squares_to_delongs_variance(rows: int, digits: int) -> None:
    predictions = ranking(rows, 1, digits)
    assert predictions.probabilities is not None
    influence = roc_auc_influence("roc_auc", predictions)
    assert influence is not None
    expected = delong_variance(predictions.truth, predictions.probabilities[:, 1])
    assert (influence**2).sum() == pytest.approx(expected)
    assert influence.sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("metric", ["roc_auc_ovr", "roc_auc_ovr_weighted"])
def test_the_influences_of_several_classes_are_the_jackknifes(metric: str) -> None:
    dice = np.random.default_rng(2)
    truth = dice.choice(3, 150, p=[0.6, 0.3, 0.1])
    raw = dice.random((150, 3)) + np.eye(3)[truth] * 0.5
    raw /= raw.sum(axis=1, keepdims=True)
    influence = roc_auc_influence(metric, Predictions(truth, raw.argmax(axis=1), raw, ("a", "b", "c")))
    average = "weighted" if metric.endswith("weighted") else "macro"
    is_kept = ~np.eye(150, dtype=bool)
    left_out = np.array([roc_auc_score(truth[k], raw[k], multi_class="ovr", average=average) for k in is_kept])
    assert influence is not None
    assert np.corrcoef(influence, left_out.mean() - left_out)[0, 1] > 0.999
    assert (influence**2).sum() == pytest.approx(((left_out - left_out.mean()) ** 2).sum() * 149 / 150, rel=0.06)


@pytest.mark.parametrize("metric", ["accuracy", "average_precision", "roc_auc_ovo"])
def test_other_metrics_have_none(metric: str) -> None:
    assert roc_auc_influence(metric, ranking(20, 0)) is None


@pytest.mark.parametrize("digits", [1, 8])
def test_the_influence_on_average_precision_is_its_derivative_by_the_rows_weight(digits: int) -> None:
    predictions = ranking(200, 3, digits)
    assert predictions.probabilities is not None
    influence = average_precision_influence("average_precision", predictions)
    assert influence is not None
    step, truth, scores = 1e-5, predictions.truth, predictions.probabilities[:, 1]

    def weighted(row: int, change: float) -> float:
        weights = np.ones(200)
        weights[row] += change
        return float(average_precision_score(truth, scores, sample_weight=weights))

    slopes = np.array([weighted(row, step) - weighted(row, -step) for row in range(200)]) / (2 * step)
    assert influence == pytest.approx(slopes * np.sqrt(200 / 199), abs=1e-8)


def test_without_a_positive_row_there_is_no_average_precision() -> None:
    probabilities = np.array([[0.7, 0.3], [0.3, 0.7]])
    negatives = Predictions(np.zeros(2, int), np.zeros(2, int), probabilities, ("no", "yes"))
    assert average_precision_influence("average_precision", negatives) is None
