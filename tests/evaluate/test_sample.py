from __future__ import annotations

import numpy as np
import pytest
from prediction_samples import sample_of_rows
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from modelway.components.core.measures.metrics import Predictions, joined, score
from modelway.components.evaluate.sample import INFLATION, Sample, corrected_level, difference_from_test_rows
from modelway.components.evaluate.statistics.intervals import Estimate, Subset, measure


def test_the_correction_is_that_of_nadeau_and_bengio() -> None:
    """(1/J + n_test/n_train) S², of J = 5 folds, with S² = (1 - 1/5) of a fold's variance, 5 times that of all rows."""
    assert pytest.approx((1 / 5 + 1 / 4) * (1 - 1 / 5) * 5) == INFLATION == 1.8


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_the_corrected_level_widens_a_normal_interval_by_the_root_of_the_inflation(level: float) -> None:
    widened = norm.ppf((1 + corrected_level(level)) / 2) / norm.ppf((1 + level) / 2)
    assert widened == pytest.approx(INFLATION**0.5)


def test_test_rows_alone_are_measured_as_ever() -> None:
    truth = np.arange(40) % 2
    predictions = Predictions(truth, np.roll(truth, 3), None, ("0", "1"))
    sample = sample_of_rows(predictions)
    expected = measure("accuracy", Subset(predictions), resampling=sample.resampling)
    assert accuracy(sample) == expected
    assert sample.scope == "on 40 test rows"


def accuracy(sample: Sample) -> Estimate:
    return sample.estimate(
        "accuracy", lambda predictions, drawn: measure("accuracy", Subset(predictions), resampling=drawn)
    )


def test_repeats_are_averaged_at_the_level_that_was_asked_for() -> None:
    truth = np.arange(40) % 2
    repeats = [
        Predictions(truth, np.where(np.arange(40) < wrong, 1 - truth, truth), None, ("0", "1")) for wrong in (4, 8)
    ]
    estimate = accuracy(sample_of_rows(*repeats, out_of_fold_rows=30))
    assert (estimate.value, estimate.confidence) == (pytest.approx(0.85), 0.95)
    alone = [accuracy(sample_of_rows(repeat)).interval for repeat in repeats]
    assert estimate.interval is not None
    assert all(interval is not None for interval in alone)
    low, high = np.mean(alone, axis=0)  # type: ignore[arg-type]
    assert 0 < estimate.interval[0] < low < 0.85 < high < estimate.interval[1] < 1


def test_a_repeat_without_an_interval_leaves_none() -> None:
    sample = sample_of_rows(*[Predictions(np.zeros(4), np.zeros(4), None, ())] * 2, out_of_fold_rows=2)
    estimate = sample.mean([Estimate(0.5, (0.4, 0.6), 0.1, 0.97), Estimate(0.7)])
    assert np.isnan(estimate.value)
    assert estimate.interval is None
    assert sample.mean([Estimate(0.5), Estimate(0.7)]) == Estimate(0.6)


def test_what_no_interval_of_one_repeat_can_decide_the_mean_does_not() -> None:
    sample = sample_of_rows(*[Predictions(np.zeros(4), np.zeros(4), None, ())] * 2, out_of_fold_rows=2)
    sure, unsure = Estimate(0.5, (0.4, 0.6), 0.1, 0.97), Estimate(0.5, (0.4, 0.6), 0.1, 0.97, "too few errors")
    assert sample.mean([sure, unsure]).reason == "too few errors"
    assert sample.mean([sure, sure]).reason == ""


@pytest.mark.parametrize(("metric", "is_undecided"), [("log_loss", True), ("neg_log_loss", True), ("accuracy", False)])
def test_log_loss_of_what_was_held_to_be_impossible_is_not_judged_out_of_fold(metric: str, is_undecided: bool) -> None:
    """How often a fold's tree errs with certainty depends on how many rows it has."""
    truth, positive = np.arange(200) % 2, np.random.default_rng(0).random(200)
    positive[5] = 0.0  # of a row whose class is 1
    shares = np.column_stack([1 - positive, positive])
    certain = Predictions(truth, (positive > 0.5).astype(int), shares, ("0", "1"))
    sound = Predictions(truth, certain.predicted, np.clip(shares, 0.01, 0.99), ("0", "1"))

    def reason(*repeats: Predictions, out_of_fold_rows: int) -> str:
        sample = sample_of_rows(*repeats, out_of_fold_rows=out_of_fold_rows)
        return sample.estimate(
            metric, lambda predictions, drawn: measure(metric, Subset(predictions), resampling=drawn)
        ).reason

    assert ("1 of 200 rows" in reason(sound, certain, out_of_fold_rows=150)) is is_undecided
    assert reason(sound, sound, out_of_fold_rows=150) == ""
    assert reason(certain, out_of_fold_rows=0) == ""


@pytest.mark.parametrize(("metric", "tells"), [("brier_score", True), ("log_loss", False)])
def test_infinite_losses_do_not_tell_test_rows_from_others(metric: str, tells: bool) -> None:
    truth = np.arange(200) % 2
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 200)
    positive = np.where(np.arange(200) < 150, 0.2 + 0.6 * truth, 0.9 - 0.8 * truth) + noise
    positive[-1] = 1.0 - truth[-1]
    shares = np.column_stack([1 - positive, positive])
    sample = sample_of_rows(Predictions(truth, (positive > 0.5).astype(int), shares, ("0", "1")), out_of_fold_rows=150)
    assert bool(difference_from_test_rows(sample, [(metric, None)])) is tells


def test_readers_are_told_which_rows_were_predicted_by_whom() -> None:
    predictions = Predictions(np.zeros(2150), np.zeros(2150), None, ())
    sample = sample_of_rows(predictions, out_of_fold_rows=1720)
    assert sample.scope == "on 2,150 rows, 1,720 of them out of fold"
    assert sample.count_of(np.arange(1700, 1750)) == "50 rows, 20 of them out of fold"
    assert "predicted the 430 test rows" in sample.note
    alone = sample_of_rows(predictions)
    assert (alone.scope, alone.note, alone.count_of(np.arange(3))) == ("on 2,150 test rows", "", "3 rows")


def test_rows_that_are_alike_are_seldom_taken_for_unlike_and_those_that_are_not_always() -> None:
    alarms = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, 2, 215)
        right = rng.random(215) < 0.8
        answers = np.where(right, truth, 1 - truth)
        sample = sample_of_rows(Predictions(truth, answers, None, ("0", "1")), out_of_fold_rows=172)
        alarms += bool(difference_from_test_rows(sample, [("accuracy", None), ("accuracy", np.arange(100, 215))]))
        answers[172:] = 1 - answers[172:]
        unlike = sample_of_rows(Predictions(truth, answers, None, ("0", "1")), out_of_fold_rows=172)
        assert "certainly worse on 43 test rows" in difference_from_test_rows(unlike, [("accuracy", None)])
        assert difference_from_test_rows(unlike, [("accuracy", np.arange(172))]) == ""  # no test rows to compare
    assert alarms <= 3


def interval_of(metric: str, sample: Sample) -> tuple[float, float]:
    estimate = sample.estimate(
        metric, lambda predictions, drawn: measure(metric, Subset(predictions), resampling=drawn)
    )
    assert estimate.interval is not None
    return estimate.interval


def draw(rows: int, *, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    features = rng.normal(size=(rows, 6))
    signal = 1.2 * features[:, 0] - 0.8 * features[:, 1] + 0.5 * features[:, 2] * features[:, 3]
    return features, (rng.random(rows) < 1 / (1 + np.exp(-signal))).astype(int)


def predictions_of(model: LogisticRegression, features: np.ndarray, truth: np.ndarray) -> Predictions:
    return Predictions(truth, model.predict(features), model.predict_proba(features), ("0", "1"))


def test_intervals_of_215_rows_hold_the_models_true_value_and_are_narrower_than_those_of_43() -> None:
    """The truth is the model's own, on 10,000 other rows."""
    metrics, draws = ("accuracy", "roc_auc", "log_loss"), 60
    covered = dict.fromkeys(metrics, 0)
    widths: dict[str, list[float]] = {name: [] for name in metrics}
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        features, truth = draw(215, rng=rng)
        model = LogisticRegression().fit(features[:172], truth[:172])
        test = predictions_of(model, features[172:], truth[172:])
        population = predictions_of(model, *draw(10_000, rng=rng))
        order, parts = [], []
        for training, held_out in StratifiedKFold(5, shuffle=True, random_state=0).split(features[:172], truth[:172]):
            fold = LogisticRegression().fit(features[training], truth[training])
            parts.append(predictions_of(fold, features[held_out], truth[held_out]))
            order.append(held_out)
        out_of_fold = parts[0]
        for part in parts[1:]:
            out_of_fold = joined(out_of_fold, part)
        sample = sample_of_rows(joined(out_of_fold, test), out_of_fold_rows=172)
        for name in metrics:
            interval, of_test_rows = interval_of(name, sample), interval_of(name, sample_of_rows(test))
            covered[name] += interval[0] <= score(name, population) <= interval[1]
            widths[name].append((interval[1] - interval[0]) / (of_test_rows[1] - of_test_rows[0]))
    assert all(count >= 0.93 * draws for count in covered.values()), covered
    assert all(np.mean(ratios) < 0.7 for ratios in widths.values()), widths
