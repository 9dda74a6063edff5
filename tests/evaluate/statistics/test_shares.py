from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from modelway.components.core.measures.metrics import Array, Predictions, score
from modelway.components.evaluate.statistics.estimates import Subset
from modelway.components.evaluate.statistics.intervals import measure
from modelway.components.evaluate.statistics.resampling import Resampling
from modelway.components.evaluate.statistics.shares import exact_interval

DRAWS = 150


@pytest.mark.parametrize(("hits", "trials"), [(0, 7), (3, 7), (7, 7), (1, 1000)])
def test_bounds_are_scipys(hits: int, trials: int) -> None:
    low, high = exact_interval(np.array(hits), np.array(trials), tail=0.025)
    expected = binomtest(hits, trials).proportion_ci(0.95, "exact")
    assert (float(low), float(high)) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("metric", ["f1", "jaccard"])
def test_of_two_classes_f1_and_jaccards_index_have_an_exact_interval(metric: str) -> None:
    dice = np.random.default_rng(0)
    truth, predicted = (dice.random((2, 300)) < 0.1).astype(int)
    predicted[:15] = truth[:15] = 1
    both, either = int((truth & predicted).sum()), int((truth | predicted).sum())
    ends = binomtest(both, either).proportion_ci(0.95, "exact")
    expected = [2 * end / (1 + end) if metric == "f1" else end for end in (ends.low, ends.high)]
    estimate = measure(metric, Subset(Predictions(truth, predicted, None, ("a", "b"))), resampling=Resampling(300))
    assert estimate.value == pytest.approx(score(metric, Predictions(truth, predicted, None, ("a", "b"))))
    assert estimate.interval == pytest.approx(tuple(expected))


def labels(truth: Array, recalls: Array, dice: np.random.Generator) -> Predictions:
    """Rows of each class predicted rightly by its recall, else to be of the first or the second class."""
    right = dice.random(len(truth)) < recalls[truth]
    predicted = np.where(right, truth, np.where(truth == 0, 1, 0))
    return Predictions(truth, predicted, None, tuple(map(str, range(len(recalls)))))


@pytest.mark.parametrize(
    ("metric", "shares", "recalls", "rows"),
    [
        ("f1", [0.99, 0.01], [0.995, 0.6], 1000),
        ("balanced_accuracy", [0.99, 0.01], [0.995, 0.6], 1000),
        ("f1_macro", [0.4, 0.3, 0.2, 0.08, 0.02], [0.9, 0.8, 0.7, 0.8, 0.6], 500),
        ("precision_macro", [0.5, 0.3, 0.2], [0.9, 0.8, 0.7], 300),
        ("f1_weighted", [0.5, 0.3, 0.2], [0.9, 0.8, 0.7], 300),
    ],
)
def test_intervals_of_rare_classes_cover_the_truth(
    metric: str, shares: list[float], recalls: list[float], rows: int
) -> None:
    dice = np.random.default_rng(1)
    world = dice.choice(len(shares), 1_000_000, p=shares)
    truth = score(metric, labels(world, np.array(recalls), dice))
    covered = 0
    for seed in range(DRAWS):
        dice = np.random.default_rng(seed)
        predictions = labels(dice.choice(len(shares), rows, p=shares), np.array(recalls), dice)
        low, high = measure(metric, Subset(predictions), resampling=Resampling(rows)).interval or (0.0, 0.0)
        covered += low <= truth <= high
    assert covered >= 0.9 * DRAWS


def test_an_average_by_groups_of_copies_is_that_of_single_rows() -> None:
    dice = np.random.default_rng(2)
    truth = dice.choice(3, 200, p=[0.6, 0.3, 0.1])
    once = labels(truth, np.array([0.9, 0.7, 0.6]), dice)
    rows = np.repeat(np.arange(200), 4)
    single = measure("f1_macro", Subset(once), resampling=Resampling(200)).interval
    grouped = measure("f1_macro", Subset(once.take(rows)), resampling=Resampling(800, rows)).interval
    assert grouped == pytest.approx(single, abs=0.01)
