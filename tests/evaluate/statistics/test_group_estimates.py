from __future__ import annotations

import numpy as np
import pytest
from group_predictions import binary

from modelway.components.core.measures.metrics import Predictions, score
from modelway.components.evaluate.statistics.group_estimates import GroupEstimate, estimate, spread_interval


@pytest.mark.parametrize(
    ("shares", "rows"),
    [
        ([0.3, 0.5], [300, 300]),
        ([0.3, 0.3], [100, 1000]),
        ([0.05, 0.05, 0.1], [100, 300, 500]),
        ([0.4] * 20, [100] * 20),
        ([0.02, 0.02], [60, 60]),
    ],
)
def test_intervals_hold_what_is_true_as_often_as_they_say(shares: list[float], rows: list[int]) -> None:
    random, trials = np.random.default_rng(5), 1000
    true, sizes = np.array(shares), np.array(rows)
    hits = {"difference": 0, "ratio": 0}
    for _ in range(trials):
        share = (random.binomial(sizes, true) + 1) / (sizes + 2)
        errors = np.sqrt(share * (1 - share) / (sizes + 2))
        for kind, value in (("difference", np.ptp(true)), ("ratio", true.min() / true.max())):
            low, high = spread_interval(kind, share, errors=errors, confidence=0.95)
            hits[kind] += low <= value <= high
    assert min(hits.values()) / trials > 0.93


@pytest.mark.parametrize("rows", [300, 10_000])
@pytest.mark.parametrize("metric", ["accuracy", "recall", "log_loss"])
def test_standard_errors_of_means_are_the_known_ones(metric: str, rows: int) -> None:
    predictions, _ = binary({"all": rows})
    group = estimate(metric, predictions, with_error=True)
    assert isinstance(group, GroupEstimate)
    assert predictions.probabilities is not None
    right = predictions.truth == predictions.predicted
    losses = {
        "accuracy": right.astype(np.float64),
        "recall": right[predictions.truth == 1].astype(np.float64),
        "log_loss": -np.log(predictions.probabilities[np.arange(rows), predictions.truth]),
    }[metric]
    expected = losses.std() / np.sqrt(len(losses))
    # Blocks and samples of the rows make the error itself uncertain; leaving out one row does not.
    tolerance = 0.5 if metric == "log_loss" else 0.1 if rows > 2000 else 0.01
    assert group.error == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("metric", ["roc_auc", "f1"])
def test_standard_errors_are_near_the_spread_over_fresh_samples(metric: str) -> None:
    values, errors = [], []
    for seed in range(20):
        predictions, _ = binary({"all": 400}, seed=seed)
        values.append(score(metric, predictions))
        group = estimate(metric, predictions, with_error=True)
        assert isinstance(group, GroupEstimate)
        errors.append(group.error)
    assert np.mean(errors) == pytest.approx(np.std(values, ddof=1), rel=0.4)


@pytest.mark.parametrize("metric", ["accuracy", "recall", "f1", "roc_auc"])
@pytest.mark.parametrize("right", [True, False])
def test_a_perfect_group_is_not_certain(metric: str, right: bool) -> None:
    truth = np.arange(120) % 2
    predicted = truth if right else 1 - truth
    probabilities = np.stack([1.0 - predicted, predicted.astype(np.float64)], axis=1)
    group = estimate(metric, Predictions(truth, predicted, probabilities, ("no", "yes")), with_error=True)
    assert isinstance(group, GroupEstimate)
    low, high = group.interval(0.95)
    assert 0.03 < high - low < 0.3
    assert (high if right else low) == group.value == float(right)
