from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, pareto

from modelway.components.core.measures.metrics import Predictions
from modelway.components.evaluate.statistics.comparisons import compare
from modelway.components.evaluate.statistics.estimates import Subset
from modelway.components.evaluate.statistics.group_estimates import estimate
from modelway.components.evaluate.statistics.intervals import measure
from modelway.components.evaluate.statistics.resampling import Resampling
from modelway.components.evaluate.statistics.sufficiency import (
    FEWEST,
    absent_class,
    heavy_losses,
    rare_class,
    rarest_count,
    tail_index,
)


@pytest.mark.parametrize("index", [1.0, 2.0, 4.0])
def test_the_tail_index_is_that_of_the_distribution(index: float) -> None:
    values = pareto(index).rvs(50_000, random_state=0)
    assert tail_index(values) == pytest.approx(index * (1 - 1 / np.sqrt(2500)), rel=0.05)


def test_fewer_rows_must_show_a_lighter_tail() -> None:
    quantiles = pareto(2.0).ppf((np.arange(20_000) + 0.5) / 20_000)
    assert tail_index(quantiles[::100]) < tail_index(quantiles[::10]) < tail_index(quantiles) < 2.0


def guess(positives: int, rows: int = 200, seed: int = 0) -> Predictions:
    positive = np.random.default_rng([seed, positives]).random(rows)
    truth = (np.arange(rows) < positives).astype(int)
    return Predictions(truth, (positive > 0.5).astype(int), np.column_stack([1 - positive, positive]), ("no", "yes"))


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "roc_auc_ovo", "matthews_corrcoef"])
def test_what_counts_is_rows_of_the_rarer_class(metric: str) -> None:
    few = measure(metric, Subset(guess(FEWEST - 1)), resampling=Resampling(200))
    assert "the class 'yes' has 19 rows of 200" in few.reason
    enough = guess(100)
    assert measure(metric, Subset(enough), resampling=Resampling(200)).reason == ""


def test_an_area_in_a_group_of_people_needs_rows_of_every_class_too() -> None:
    assert estimate("roc_auc", guess(19), with_error=True) == rare_class(guess(19), None)
    assert not isinstance(estimate("roc_auc", guess(40), with_error=True), str)


def test_rows_of_one_group_count_once() -> None:
    predictions, groups = guess(60), np.minimum(np.arange(200), 50)
    assert rare_class(predictions, None) == ""
    assert rare_class(predictions, np.repeat(np.arange(20), 10)).startswith("the class 'yes' has 6 groups of rows")
    assert rare_class(predictions, groups).startswith("the class 'no' has 1 group of rows")


def test_few_great_errors_and_heavy_tails_are_no_evidence() -> None:
    dice = np.random.default_rng(0)
    light, few = dice.exponential(size=(1000, 1)), np.full((1000, 1), 1e-6)
    few[:5] = 1.0
    assert heavy_losses(light, None, of_numbers=True) == ""
    assert "count as 5, and an interval that holds takes 20" in heavy_losses(few, None, of_numbers=False)
    heavy = pareto(1.3).rvs((4000, 1), random_state=1)
    heavy[heavy > 100] = 100
    assert "a tail index of" in heavy_losses(heavy, None, of_numbers=True)


@pytest.mark.parametrize(("positives", "draws"), [(1, 40), (2, 40), (5, 20), (19, 20), (20, 300), (60, 300)])
def test_a_guess_hardly_ever_passes_for_certain(positives: int, draws: int) -> None:
    passed = 0
    for seed in range(draws):
        estimate = measure("roc_auc", Subset(guess(positives, seed=seed)), resampling=Resampling(200))
        passed += not estimate.reason and estimate.interval is not None and estimate.interval[0] >= 0.5
    assert passed <= binom.ppf(0.999, draws, 0.025)
    assert positives >= FEWEST or passed == 0


def test_log_loss_of_a_good_model_on_few_rows_is_open() -> None:
    """At an area of 0.998, 100 rows leave three or four errors that are all of the loss."""
    dice = np.random.default_rng(3)
    truth = np.arange(100) % 2
    positive = 1 / (1 + np.exp(-(4.07**2 * (truth - 0.5) + 4.07 * dice.normal(size=100))))
    predictions = Predictions(
        truth, (positive > 0.5).astype(int), np.column_stack([1 - positive, positive]), ("a", "b")
    )
    assert "make up the metric" in measure("log_loss", Subset(predictions), resampling=Resampling(100)).reason


def numbers(rows: int, seed: int, *, freedom: float) -> Predictions:
    dice = np.random.default_rng([seed, rows])
    truth = 2 * dice.normal(size=rows)
    return Predictions(truth, truth + dice.standard_t(freedom, rows), None, ())


@pytest.mark.parametrize("rows", [100, 200, 1000])
def test_errors_of_a_heavy_tail_are_seldom_judged_wrongly(rows: int) -> None:
    """Student's errors of 3 degrees have a mean square of 3, and squares without a variance."""
    wrong = judged = 0
    for seed in range(300):
        estimate = measure(
            "root_mean_squared_error", Subset(numbers(rows, seed, freedom=3)), resampling=Resampling(rows)
        )
        assert estimate.interval is not None
        judged += not estimate.reason
        wrong += not estimate.reason and not estimate.interval[0] <= np.sqrt(3) <= estimate.interval[1]
    assert wrong <= binom.ppf(0.999, 300, 0.05)
    assert judged < 0.2 * 300


def test_errors_of_a_light_tail_are_judged_on_few_rows() -> None:
    reasons = [
        measure("r2", Subset(numbers(200, seed, freedom=1000)), resampling=Resampling(200)).reason for seed in range(60)
    ]
    assert sum(map(bool, reasons)) <= binom.ppf(0.999, 60, 0.15)


def test_a_class_without_a_row_leaves_a_loss_open() -> None:
    """With one positive row of fifty on average, a seventh of splits of 100 rows has none: their log loss is small."""
    predictions = guess(0, rows=100)
    assert absent_class(predictions) == "none of 100 rows is of 'yes', so what such rows would lose is not known"
    assert absent_class(guess(1)) == ""
    for metric in ("log_loss", "brier_score"):
        few = predictions.take(np.arange(100))
        assert "none of 100 rows" in measure(metric, Subset(few), resampling=Resampling(100)).reason


def test_the_rarest_class_counts_by_rows_or_by_groups() -> None:
    assert rarest_count(guess(30), None) == 30
    assert rarest_count(guess(30), np.arange(200) // 10) == 3
    assert rarest_count(numbers(50, 0, freedom=5), np.arange(50) // 2) == 25


@pytest.mark.parametrize(("metric", "sign"), [("max_error", 1.0), ("neg_max_error", -1.0)])
def test_the_greatest_error_is_bounded_on_one_side_alone(metric: str, sign: float) -> None:
    predictions = numbers(500, 0, freedom=5)
    greatest = sign * np.abs(predictions.truth - predictions.predicted).max()
    interval = measure(metric, Subset(predictions), resampling=Resampling(500)).interval
    assert interval == (pytest.approx(min(sign * np.inf, greatest)), pytest.approx(max(sign * np.inf, greatest)))
    comparison = compare(
        metric, Subset(predictions), second=Subset(numbers(500, 0, freedom=4)), resampling=Resampling(500)
    )
    assert "the greatest error is that of one row" in comparison.reason
