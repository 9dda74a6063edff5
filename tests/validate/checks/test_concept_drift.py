from __future__ import annotations

import numpy as np
import pytest

from modelway.components.core.checks import Check, Gate, OnInconclusive, Verdict, inconclusive, passed_or_failed
from modelway.components.core.evidence.blessing import Blessing, Hashes
from modelway.components.core.measures.metrics import Predictions
from modelway.components.validate.checks.concept_drift import RegisteredScore, registered_score, skill_check


def binary(seed: int, rows: int = 1_000) -> Predictions:
    """A calibrated model of known probabilities; its ROC AUC is 0.83."""
    dice = np.random.default_rng(seed)
    positive = 1 / (1 + np.exp(-1.6 * dice.normal(size=rows)))
    truth = (dice.random(rows) < positive).astype(int)
    return Predictions(truth, (positive > 0.5).astype(int), np.column_stack([1 - positive, positive]), ("no", "yes"))


def regression(seed: int, rows: int = 1_000) -> Predictions:
    dice = np.random.default_rng(seed)
    predicted = dice.normal(size=rows)
    return Predictions(predicted + dice.normal(size=rows), predicted, None, ())


def with_truth(predictions: Predictions, truth: np.ndarray) -> Predictions:  # type: ignore[type-arg]
    return Predictions(truth, predictions.predicted, predictions.probabilities, predictions.classes)


def flipped(predictions: Predictions, share: float) -> Predictions:
    flips = np.random.default_rng(9).random(len(predictions.truth)) < share
    return with_truth(predictions, np.where(flips, 1 - predictions.truth, predictions.truth))


REGISTERED = {
    "roc_auc": RegisteredScore("roc_auc", 0.83, (0.80, 0.86)),
    "log_loss": RegisteredScore("log_loss", 0.50, (0.47, 0.53)),
    "accuracy": RegisteredScore("accuracy", 0.75, (0.72, 0.78)),
    "r2": RegisteredScore("r2", 0.5, (0.45, 0.55)),
}


def check(predictions: Predictions, metric: str = "roc_auc", groups: np.ndarray | None = None) -> Check:  # type: ignore[type-arg]
    rule = OnInconclusive.WARN
    return skill_check(predictions, REGISTERED[metric], groups=groups, limit=0.5, rule=rule, version="3")


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "accuracy"])
def test_the_champions_skill_passes_on_equal_rows_and_fails_on_inverted_labels(metric: str) -> None:
    kept = check(binary(1), metric)
    assert kept.verdict is Verdict.PASSED
    assert kept.observed == pytest.approx(1, abs=0.15)
    inverted = check(flipped(binary(1), 1.0), metric)
    assert (inverted.verdict, inverted.blocks) == (Verdict.FAILED, True)
    assert inverted.observed == pytest.approx(-1, abs=0.15)
    assert "classes were exchanged" in inverted.message


def test_a_tenth_of_wrong_labels_passes_and_half_of_them_fails() -> None:
    assert check(flipped(binary(2), 0.1)).verdict is Verdict.PASSED
    assert check(flipped(binary(2), 0.5)).verdict is Verdict.FAILED


def test_numbers_are_judged_likewise() -> None:
    assert check(regression(1), "r2").verdict is Verdict.PASSED
    assert check(with_truth(regression(1), -regression(1).truth), "r2").verdict is Verdict.FAILED


def test_few_rows_do_not_decide() -> None:
    assert check(flipped(binary(3, 100), 0.25)).verdict is Verdict.INCONCLUSIVE


def test_rows_of_a_group_are_less_evidence() -> None:
    predictions = binary(4, 100)
    repeated = predictions.take(np.repeat(np.arange(100), 20))
    (low, high), (lower, higher) = (
        check(repeated, groups=groups).interval or (0, 0) for groups in (None, np.repeat(np.arange(100), 20))
    )
    assert higher - lower > 2 * (high - low)


def test_a_champion_without_skill_is_said() -> None:
    registered, rule = RegisteredScore("roc_auc", 0.51, (0.47, 0.55)), OnInconclusive.BLOCK
    result = skill_check(binary(1), registered, limit=0.5, rule=rule, version="3")
    assert (result.verdict, result.blocks) == (Verdict.INCONCLUSIVE, True)
    assert "no skill" in result.message


def test_the_alarm_is_false_as_seldom_as_the_interval_says() -> None:
    verdicts = [check(binary(seed, 300)).verdict for seed in range(10, 18)]
    assert verdicts.count(Verdict.FAILED) == 0
    assert verdicts.count(Verdict.PASSED) >= 7


def blessing(*checks: Check) -> Blessing:
    gates = (Gate(name="data", checks=()), Gate(name="model", checks=checks))
    hashes = Hashes(project="", contract="", policy="")
    return Blessing(project="p", run="r", blessed=True, verdict=Verdict.PASSED, hashes=hashes, image="", gates=gates)


def test_the_registered_score_is_that_of_the_blessing() -> None:
    rule = OnInconclusive.WARN
    accuracy = passed_or_failed("metric[accuracy]", True, message="", observed=0.8, interval=(0.7, 0.9))
    area = passed_or_failed("metric[roc_auc]", True, message="", observed=0.9, interval=(0.85, 0.95))
    others = (
        inconclusive("metric[f1]", "", rule=rule, observed=None),
        passed_or_failed("slice[a=b].roc_auc", True, message="", observed=0.6),
    )
    expected = RegisteredScore("roc_auc", 0.9, (0.85, 0.95))
    assert registered_score(blessing(accuracy, area, *others), ["accuracy", "roc_auc"]) == expected
    assert registered_score(blessing(accuracy, *others), ["f1", "recall"]) == RegisteredScore(
        "accuracy", 0.8, (0.7, 0.9)
    )
    assert registered_score(blessing(*others), ["f1"]) is None
