from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from modelway.components.core.measures.metrics import Array, Predictions, score
from modelway.components.evaluate.statistics.comparisons import compare
from modelway.components.evaluate.statistics.estimates import Subset
from modelway.components.evaluate.statistics.intervals import measure, share_of
from modelway.components.evaluate.statistics.resampling import Resampling
from modelway.components.evaluate.statistics.sum_metrics import MOST_CLASSES, share

AUC = 0.760250  # of two normal distributions one standard deviation apart: Φ(1/√2)


def binary(rows: int, seed: int = 0, noise: float = 0.0) -> Predictions:
    """Two normal distributions, one standard deviation apart, seen with some more noise."""
    dice = np.random.default_rng(seed)
    truth = (np.arange(rows) % 2).astype(int)
    signal = truth + dice.normal(size=rows) + noise * np.random.default_rng(seed + 1).normal(size=rows)
    positive = 1 / (1 + np.exp(0.5 - signal))
    return Predictions(truth, (positive > 0.5).astype(int), np.column_stack([1 - positive, positive]), ("no", "yes"))


def numbers(rows: int, seed: int = 0) -> Predictions:
    dice = np.random.default_rng(seed)
    truth = dice.normal(size=rows)
    return Predictions(truth, truth + dice.normal(size=rows), None, ())


@pytest.mark.parametrize("metric", ["accuracy", "precision", "recall"])
def test_proportions_have_clopper_and_pearsons_interval(metric: str) -> None:
    predictions = binary(200)
    estimate = measure(metric, Subset(predictions), resampling=Resampling(200))
    trials = {
        "accuracy": np.ones(200, bool),
        "precision": predictions.predicted == 1,
        "recall": predictions.truth == 1,
    }[metric]
    hits = int(((predictions.truth == predictions.predicted) & trials).sum())
    expected = binomtest(hits, int(trials.sum())).proportion_ci(0.95, "exact")
    assert estimate.interval == pytest.approx((expected.low, expected.high))
    assert estimate.value == score(metric, predictions)


@pytest.mark.parametrize(("hits", "ends"), [(0, (0.0, 1 - 0.05 ** (1 / 100))), (100, (0.05 ** (1 / 100), 1.0))])
def test_the_ends_of_a_proportion_are_exact(hits: int, ends: tuple[float, float]) -> None:
    estimate = share_of(share(np.arange(100) < hits), Resampling(100, confidence=0.9))
    assert estimate.interval == pytest.approx(ends)


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc", "log_loss", "f1"])
def test_rows_that_are_copies_do_not_make_an_interval_narrower(metric: str) -> None:
    once = binary(300, 4)
    copies = once.take(np.repeat(np.arange(300), 5))
    groups = np.repeat(np.arange(300), 5)
    plain = measure(metric, Subset(once), resampling=Resampling(300)).interval
    naive = measure(metric, Subset(copies), resampling=Resampling(1500)).interval
    by_group = measure(metric, Subset(copies), resampling=Resampling(1500, groups)).interval
    assert plain is not None
    assert naive is not None
    assert by_group is not None
    assert naive[1] - naive[0] < 0.6 * (plain[1] - plain[0])
    assert by_group[1] - by_group[0] == pytest.approx(plain[1] - plain[0], rel=0.1)


def test_groups_that_are_all_right_count_once_each() -> None:
    estimate = share_of(share(np.ones(500, bool)), Resampling(500, np.repeat(np.arange(10), 50)))
    assert estimate.interval == (pytest.approx(0.025 ** (1 / 10)), 1.0)


@pytest.mark.parametrize("rows", [60, 400])
def test_the_interval_of_the_area_covers_the_truth_as_often_as_it_says(rows: int) -> None:
    intervals = [
        measure("roc_auc", Subset(binary(rows, 10 * seed)), resampling=Resampling(rows)).interval for seed in range(200)
    ]
    covered = np.mean([interval is not None and interval[0] <= AUC <= interval[1] for interval in intervals])
    assert 0.92 <= covered <= 0.985


@pytest.mark.parametrize(
    ("metric", "truth"), [("mean_absolute_error", 0.797885), ("root_mean_squared_error", 1.0), ("r2", 0.0)]
)
def test_intervals_of_losses_cover_the_truth_as_often_as_they_say(metric: str, truth: float) -> None:
    intervals = [
        measure(metric, Subset(numbers(150, seed)), resampling=Resampling(150)).interval for seed in range(200)
    ]
    covered = np.mean([interval is not None and interval[0] <= truth <= interval[1] for interval in intervals])
    assert 0.88 <= covered <= 0.99


@pytest.mark.parametrize("metric", ["average_precision", "roc_auc_ovo", "d2_log_loss_score", "balanced_accuracy", "f1"])
def test_any_metric_has_an_interval_around_it(metric: str) -> None:
    predictions = binary(200)
    estimate = measure(metric, Subset(predictions), resampling=Resampling(200))
    assert estimate.interval is not None
    assert estimate.interval[0] <= estimate.value <= estimate.interval[1]
    assert estimate == measure(metric, Subset(predictions), resampling=Resampling(200))


def test_what_is_resampled_of_many_rows_is_spread_as_all_of_them_would_be() -> None:
    """The score's error falls with the root of the rows, though 20,000 of them are resampled."""
    predictions, metric = numbers(80_000), "d2_absolute_error_score"
    estimate = measure(metric, Subset(predictions), resampling=Resampling(80_000))
    small = measure(metric, Subset(predictions.take(np.arange(20_000))), resampling=Resampling(20_000))
    assert estimate.error is not None
    assert small.error is not None
    assert estimate.error == pytest.approx(small.error / 2, rel=0.25)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("metric", ["accuracy", "roc_auc", "log_loss"])
def test_a_greater_level_gives_a_wider_interval(metric: str, level: float) -> None:
    predictions = Subset(binary(200))
    estimate = measure(metric, predictions, resampling=Resampling(200, confidence=level)).interval
    wider = measure(metric, predictions, resampling=Resampling(200, confidence=(1 + level) / 2)).interval
    assert estimate is not None
    assert wider is not None
    assert wider[0] < estimate[0] < estimate[1] < wider[1]


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc", "log_loss", "average_precision"])
def test_no_level_no_interval(metric: str) -> None:
    predictions = binary(50)
    assert measure(metric, Subset(predictions), resampling=Resampling(50, confidence=None)).interval is None
    assert (
        compare(
            metric, Subset(predictions), second=Subset(binary(50, 1)), resampling=Resampling(50, confidence=None)
        ).interval
        is None
    )


@pytest.mark.parametrize(
    ("is_ordered", "expected"), [(True, (0.025 ** (1 / 8), 1.0)), (False, (0.0, 1 - 0.025 ** (1 / 8)))]
)
def test_a_perfect_order_is_bounded_by_how_many_rows_agree(is_ordered: bool, expected: tuple[float, float]) -> None:
    truth = np.array([0] * 20 + [1] * 8)
    positive = np.where(truth == (1 if is_ordered else 0), 0.9, 0.1)
    predictions = Predictions(truth, truth, np.column_stack([1 - positive, positive]), ("no", "yes"))
    assert measure("roc_auc", Subset(predictions), resampling=Resampling(28)).interval == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_a_metric_that_is_not_defined_has_no_interval() -> None:
    predictions = binary(20).take(np.arange(0, 20, 2))
    estimate = measure("roc_auc", Subset(predictions), resampling=Resampling(10))
    assert np.isnan(estimate.value)
    assert estimate.interval is None


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "accuracy", "average_precision", "f1"])
def test_a_comparison_with_itself_is_exactly_nothing(metric: str) -> None:
    predictions = binary(150)
    estimate = compare(
        metric, Subset(predictions), second=Subset(binary(150)), resampling=Resampling(150), one_sided=True
    )
    assert (estimate.value, estimate.interval) == (0.0, (0.0, 0.0))
    assert estimate.first == estimate.second == score(metric, predictions)


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "accuracy", "neg_log_loss", "average_precision"])
def test_better_is_positive(metric: str) -> None:
    good, bad = Subset(binary(3000)), Subset(binary(3000, noise=2.0))
    estimate, reverse = (
        compare(metric, good, second=bad, resampling=Resampling(3000)),
        compare(metric, bad, second=good, resampling=Resampling(3000)),
    )
    assert estimate.interval is not None
    assert estimate.interval[0] > 0
    assert reverse.value == -estimate.value


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "accuracy"])
def test_models_that_err_alike_are_told_apart_more_sharply_than_by_their_own_intervals(metric: str) -> None:
    first, second = Subset(binary(2000)), Subset(binary(2000, noise=0.2))
    estimate = compare(metric, first, second=second, resampling=Resampling(2000))
    own = measure(metric, first, resampling=Resampling(2000))
    assert estimate.interval is not None
    assert own.interval is not None
    assert estimate.interval[1] - estimate.interval[0] < 0.6 * (own.interval[1] - own.interval[0])


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "accuracy"])
def test_differences_cover_the_truth_as_often_as_they_say(metric: str) -> None:
    """Two models with noise of their own and of one size: the true difference is nothing."""

    def two(seed: int) -> list[Subset]:
        dice, truth = np.random.default_rng(seed), np.arange(300) % 2
        common_noise = truth + dice.normal(size=300)
        return [Subset(model_of(truth, common_noise + dice.normal(size=300))) for _ in range(2)]

    outside = {"below": 0, "above": 0}
    for seed in range(300):
        first, second = two(seed)
        estimate = compare(metric, first, second=second, resampling=Resampling(300), one_sided=True).interval
        assert estimate is not None
        outside["below"] += estimate[1] < 0
        outside["above"] += estimate[0] > 0
    assert all(4 <= count <= 27 for count in outside.values()), outside  # of 15 expected


def model_of(truth: Array, signal: Array) -> Predictions:
    positive = 1 / (1 + np.exp(0.5 - signal))
    return Predictions(truth, (positive > 0.5).astype(int), np.column_stack([1 - positive, positive]), ("no", "yes"))


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "average_precision"])
def test_a_part_is_compared_with_the_whole_that_it_belongs_to(metric: str) -> None:
    predictions = binary(4000)
    worse: Any = predictions.probabilities.copy() if predictions.probabilities is not None else None
    worse[:400] = worse[:400, ::-1]
    broken = Predictions(predictions.truth, predictions.predicted, worse, predictions.classes)
    part, resampling = np.arange(400), Resampling(4000)
    estimate = compare(metric, Subset(broken), second=Subset(broken, part), resampling=resampling)
    itself = compare(metric, Subset(predictions), second=Subset(predictions, np.arange(4000)), resampling=resampling)
    assert estimate.interval is not None
    assert estimate.interval[0] > 0.05
    assert itself.interval == (0.0, 0.0)


def test_what_most_resamples_miss_is_not_defined() -> None:
    predictions = numbers(1000)
    subset, whole = Subset(predictions, np.array([3])), Subset(predictions)
    for estimate in (
        measure("median_absolute_error", subset, resampling=Resampling(1000, groups=np.arange(1000))),
        compare("median_absolute_error", subset, second=whole, resampling=Resampling(1000)),
    ):
        assert np.isnan(estimate.value)
        assert estimate.interval is None


@pytest.mark.parametrize("draw", ["normal", "standard_cauchy"])
def test_the_interval_of_the_median_error_holds_whatever_the_tail(draw: str) -> None:
    dice, rows, draws = np.random.default_rng(5), 100, 1000
    truth = float(np.quantile(np.abs(getattr(dice, draw)(size=1_000_000)), 0.5))
    held = 0
    for errors in getattr(dice, draw)(size=(draws, rows)):
        predictions = Predictions(np.zeros(rows), errors, None, ())
        estimate = measure("median_absolute_error", Subset(predictions), resampling=Resampling(rows))
        assert estimate.interval is not None
        held += estimate.interval[0] <= truth <= estimate.interval[1]
    assert 0.94 < held / draws < 0.985


def test_a_negative_median_has_the_bounds_of_the_positive_one() -> None:
    subset, resampling = Subset(numbers(50)), Resampling(50)
    positive, negative = (
        measure(f"{sign}median_absolute_error", subset, resampling=resampling) for sign in ("", "neg_")
    )
    assert positive.interval is not None
    assert negative.interval == (-positive.interval[1], -positive.interval[0])
    few = measure("median_absolute_error", Subset(numbers(5)), resampling=Resampling(5))
    assert few.interval == (0.0, np.inf)


def test_one_row_has_a_value_and_no_evidence() -> None:
    estimate = measure("mean_absolute_error", Subset(numbers(1000), np.array([3])), resampling=Resampling(1000))
    assert estimate.value > 0
    assert "count as 1, and an interval that holds takes 20" in estimate.reason


@pytest.mark.parametrize("predictions", [binary(60_000), numbers(60_000)])
def test_a_part_without_a_row_among_those_resampled_is_not_defined(predictions: Predictions) -> None:
    resampling = Resampling(60_000)
    part = np.setdiff1d(np.arange(60_000), resampling.scorer_sample[0])[:200]
    for metric in ("roc_auc_ovo",) if predictions.classes else ("median_absolute_error",):
        estimate = compare(metric, Subset(predictions), second=Subset(predictions, part), resampling=resampling)
        assert np.isnan(estimate.value)
        assert estimate.interval is None


def test_models_of_other_classes_with_few_rows_each_are_not_resampled() -> None:
    truth = np.arange(600) % MOST_CLASSES
    first, second = (
        Predictions(truth, np.where(np.arange(600) % 7, truth, 0), None, tuple(str(n) for n in range(classes)))
        for classes in (MOST_CLASSES, MOST_CLASSES + 1)
    )
    estimate = compare("f1_macro", Subset(first), second=Subset(second), resampling=Resampling(600))
    assert (estimate.value, estimate.interval) == (0.0, None)
    assert "and an interval that holds takes 20 of every class" in estimate.reason


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_a_share_of_nothing_is_not_defined() -> None:
    predictions = binary(20).take(np.arange(0, 20, 2))
    assert np.isnan(measure("recall", Subset(predictions), resampling=Resampling(10)).value)


@pytest.mark.parametrize("metric", ["log_loss", "roc_auc_ovr"])
def test_a_class_without_training_rows_is_named_where_a_metric_is_not_defined(metric: str) -> None:
    truth = np.array([0, 1, 2] * 40)
    predictions = Predictions(truth, truth % 2, np.full((120, 2), 0.5), ("a", "b"), ("lost",))
    for estimate in (
        measure(metric, Subset(predictions), resampling=Resampling(120)),
        compare(metric, Subset(predictions), second=Subset(predictions), resampling=Resampling(120)),
    ):
        assert np.isnan(estimate.value)
        assert "trained on no row of 'lost', of which there are 40 rows" in estimate.reason


@pytest.mark.parametrize("metric", ["log_loss", "brier_score", "roc_auc"])
def test_an_interval_without_width_is_no_evidence(metric: str) -> None:
    truth = np.arange(100) % 2
    predictions = Predictions(truth, truth, np.full((100, 2), 0.5), ("a", "b"))
    assert measure(metric, Subset(predictions), resampling=Resampling(100)).reason
