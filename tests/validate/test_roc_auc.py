from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from modelway.components.validate.roc_auc import roc_auc


@pytest.mark.parametrize("levels", [3, 1000])
def test_the_area_is_scikit_learns(levels: int) -> None:
    dice = np.random.default_rng(levels)
    positive, scores = dice.random(300) < 0.2, dice.integers(0, levels, 300).astype(float)
    area, (low, high) = roc_auc(positive, scores)
    assert area == pytest.approx(roc_auc_score(positive, scores))
    assert low < area < high


def test_the_standard_error_is_that_of_delong() -> None:
    dice = np.random.default_rng(0)
    positive = np.arange(4_000) < 1_000
    scores = dice.normal(size=4_000) + positive
    pairs = (scores[positive][:, None] > scores[~positive][None, :]).astype(float)  # by definition, pair by pair
    error = np.sqrt(pairs.mean(axis=1).var(ddof=1) / 1_000 + pairs.mean(axis=0).var(ddof=1) / 3_000)
    _, (low, high) = roc_auc(positive, scores)
    assert (high - low) / 2 / 1.96 == pytest.approx(error, rel=0.01)


@pytest.mark.parametrize(("area", "positives"), [(0.8, 10), (0.95, 20), (0.985, 50)])
def test_the_interval_covers_the_true_area_however_few_rows_a_class_has(area: float, positives: int) -> None:
    dice = np.random.default_rng(positives)
    positive, draws = np.arange(1_000) < positives, 300
    intervals = [
        roc_auc(positive, dice.normal(size=1_000) + norm.ppf(area) * np.sqrt(2) * positive)[1] for _ in range(draws)
    ]
    assert np.mean([low <= area <= high for low, high in intervals]) >= 0.94


@pytest.mark.parametrize(("sign", "low", "high"), [(1, 0.025 ** (1 / 8), 1.0), (-1, 0.0, 1 - 0.025 ** (1 / 8))])
def test_a_perfect_order_is_as_certain_as_the_rarer_class_has_rows(sign: int, low: float, high: float) -> None:
    area, interval = roc_auc(np.arange(50) >= 42, sign * np.arange(50.0))
    assert area == (1 if sign > 0 else 0)
    assert interval == pytest.approx((low, high))


def test_one_row_of_a_class_is_never_certain() -> None:
    _, (low, high) = roc_auc(np.arange(1_000) == 900, np.arange(1_000.0))
    assert low < 0.5
    assert high > 0.95


def test_equal_scores_are_chance() -> None:
    area, (low, high) = roc_auc(np.arange(1_000) < 300, np.ones(1_000))
    assert area == 0.5
    assert low <= 0.5 <= high
