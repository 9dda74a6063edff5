from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest

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
