from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Predictions
from modelway.components.evaluate.curves import confusion, roc_curves
from modelway.components.evaluate.statistics.comparisons import compare
from modelway.components.evaluate.statistics.estimates import Subset
from modelway.components.evaluate.statistics.intervals import measure
from modelway.components.evaluate.statistics.resampling import Resampling

METRICS = ("roc_auc", "roc_auc_ovr", "log_loss", "accuracy", "f1_macro", "balanced_accuracy", "brier_score", "f1")


def random_model(truth: list[int], classes: int, dice: np.random.Generator) -> Predictions:
    """A model of some classes, of rows among which there may be one class more than it knows."""
    probabilities = dice.dirichlet(np.ones(classes), len(truth))
    names = tuple("abc"[:classes])
    return Predictions(np.array(truth), probabilities.argmax(axis=1), probabilities, names, ("lost",))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("classes", [1, 2, 3])
@pytest.mark.parametrize("rows", [1, 2, 4])
def test_tables_of_a_few_rows_end_in_a_value_or_in_an_error_of_ours(rows: int, classes: int) -> None:
    dice = np.random.default_rng([rows, classes])
    for _ in range(6):
        truth = dice.integers(0, classes + 1, rows).tolist()
        first, second = (random_model(truth, classes, dice) for _ in range(2))
        assert np.sum(confusion(first)) == sum(number < classes for number in truth)
        assert len(roc_curves(first)) <= classes
        for metric in METRICS:
            with suppress(ModelwayError):
                estimate = measure(metric, Subset(first), resampling=Resampling(rows))
                assert estimate.reason or estimate.interval is None or estimate.interval[0] < estimate.interval[1]
            with suppress(ModelwayError):
                comparison = compare(metric, Subset(first), second=Subset(second), resampling=Resampling(rows))
                assert comparison.reason or comparison.interval is None or comparison.interval[0] <= comparison.value


def test_a_share_of_the_same_trials_is_compared_by_rows_won_and_lost() -> None:
    """Of 1,000 rows 30 are won and 10 lost."""
    truth = np.ones(1000, dtype=int)
    second = np.r_[np.zeros(30, int), np.ones(970, int)]
    first = np.r_[np.ones(990, int), np.zeros(10, int)]
    models = [Subset(Predictions(truth, predicted, None, ("no", "yes"))) for predicted in (first, second)]
    comparison = compare("accuracy", models[0], second=models[1], resampling=Resampling(1000))
    assert comparison.value == pytest.approx(0.02)
    assert comparison.interval is not None
    assert comparison.interval[0] > 0
    assert comparison.error == pytest.approx(np.sqrt((0.04 - 0.02**2) / 1000), rel=0.1)


def models(seed: int, rows: int, share: float) -> tuple[Subset, Subset]:
    """Two models that see the same signal, each through as much noise of its own."""
    dice = np.random.default_rng([seed, rows])
    truth = (dice.random(rows) < share).astype(int)
    common, subsets = np.sqrt(0.5) * dice.normal(size=rows), []
    for _ in range(2):
        odds = 2 * (2 * truth + common + np.sqrt(0.5) * dice.normal(size=rows) - 1) + np.log(share / (1 - share))
        positive = 1 / (1 + np.exp(-odds))
        probabilities = np.column_stack([1 - positive, positive])
        subsets.append(Subset(Predictions(truth, (positive > 0.5).astype(int), probabilities, ("no", "yes"))))
    return subsets[0], subsets[1]


@pytest.mark.parametrize(("rows", "share"), [(100, 0.5), (300, 0.1)])
@pytest.mark.parametrize(
    "metric", ["precision", "f1", "f1_macro", "matthews_corrcoef", "roc_auc", "average_precision", "log_loss"]
)
def test_equal_models_are_seldom_called_worse(metric: str, rows: int, share: float) -> None:
    draws, worse = 120, 0
    for seed in range(draws):
        first, second = models(seed, rows, share)
        estimate = compare(metric, first, second=second, resampling=Resampling(rows), one_sided=True)
        worse += not estimate.reason and estimate.interval is not None and estimate.interval[1] < 0
    assert worse <= binom.ppf(0.999, draws, 0.05)


def test_precision_of_few_positive_answers_decides_nothing() -> None:
    first, second = models(0, 400, 0.3)
    timid = replace(first.predictions, predicted=(np.arange(400) == np.argmax(first.predictions.truth)).astype(int))
    estimate = compare("precision", Subset(timid), second=second, resampling=Resampling(400))
    assert "the class 'yes' has 1 predicted row of 400" in estimate.reason


def test_a_part_with_losses_of_few_rows_is_not_compared_with_the_whole() -> None:
    first, _ = models(0, 400, 0.5)
    estimate = compare("log_loss", first, second=Subset(first.predictions, np.arange(10)), resampling=Resampling(400))
    assert "make up the metric" in estimate.reason
