from __future__ import annotations

import numpy as np
import pytest
from prediction_samples import sample_of_rows

from modelway.components.core.checks import OnInconclusive, Verdict
from modelway.components.core.config.model_policy import Calibration
from modelway.components.core.measures.metrics import Predictions
from modelway.components.evaluate.checks.calibration import calibration_check, calibration_error, reliability
from modelway.components.evaluate.statistics.resampling import Resampling


def binary(rows: int, off: float = 0.0, seed: int = 0) -> Predictions:
    """Labels drawn by the probabilities; the model claims those and so much more."""
    dice = np.random.default_rng(seed)
    true = dice.uniform(0.05, 0.75, rows)
    claimed = true + off
    return Predictions(
        (dice.random(rows) < true).astype(int),
        (claimed > 0.5).astype(int),
        np.column_stack([1 - claimed, claimed]),
        ("no", "yes"),
    )


def check(predictions: Predictions, limit: float = 0.05, **more: object) -> object:
    policy = Calibration.model_validate({"expected_calibration_error": limit, **more})
    return calibration_check(sample_of_rows(predictions), policy=policy, rule=OnInconclusive.BLOCK)


def test_the_plain_error_is_that_of_its_definition() -> None:
    predictions = binary(1000, 0.1)
    assert predictions.probabilities is not None
    estimate = calibration_error(predictions, 10, resampling=Resampling(1000))
    assert estimate is not None
    order = np.argsort(predictions.probabilities[:, 1])
    parts = np.array_split(order, 10)
    gaps = [
        abs(predictions.truth[part].mean() - predictions.probabilities[part, 1].mean()) * len(part) for part in parts
    ]
    assert estimate[1] == pytest.approx(sum(gaps) / 1000, abs=0.004)  # bins differ by a row at their edges


def test_a_calibrated_models_error_is_mostly_its_bias() -> None:
    results = [calibration_error(binary(800, seed=seed), 10, resampling=Resampling(800)) for seed in range(40)]
    plain = np.mean([result[1] for result in results if result])
    corrected = np.mean([result[0].value for result in results if result])
    assert corrected < 0.65 * plain


@pytest.mark.parametrize("off", [0.05, 0.1, 0.2])
def test_the_corrected_error_is_how_much_is_claimed_too_much(off: float) -> None:
    results = [calibration_error(binary(1500, off, seed), 10, resampling=Resampling(1500)) for seed in range(20)]
    assert np.mean([result[0].value for result in results if result]) == pytest.approx(off, abs=0.012)


@pytest.mark.parametrize(("off", "rows"), [(0.1, 600), (0.03, 2000), (0.0, 600), (0.001, 2000)])
def test_the_interval_covers_the_true_error_at_least_as_often_as_it_says(off: float, rows: int) -> None:
    results = [calibration_error(binary(rows, off, seed), 10, resampling=Resampling(rows)) for seed in range(100)]
    intervals = [result[0].interval for result in results if result]
    assert np.mean([result is not None and result[0] <= off <= result[1] for result in intervals]) >= 0.93


@pytest.mark.parametrize(
    ("off", "rows", "verdict"),
    [(0.0, 5000, Verdict.PASSED), (0.2, 1000, Verdict.FAILED), (0.05, 500, Verdict.INCONCLUSIVE)],
)
def test_a_verdict_needs_rows(off: float, rows: int, verdict: Verdict) -> None:
    verdict_check = check(binary(rows, off))
    assert verdict_check.name == "calibration"  # type: ignore[attr-defined]
    assert verdict_check.verdict is verdict  # type: ignore[attr-defined]
    assert f"on {rows:,} test rows" in verdict_check.message  # type: ignore[attr-defined]


def test_without_a_level_the_point_decides() -> None:
    policy = Calibration(expected_calibration_error=0.05)
    sample = sample_of_rows(binary(500, 0.2), confidence=None)
    verdict_check = calibration_check(sample, policy=policy, rule=OnInconclusive.BLOCK)
    assert (verdict_check.verdict, verdict_check.interval) == (Verdict.FAILED, None)


@pytest.mark.parametrize(("rule", "blocks"), [("warn", False), ("block", True), (None, True)])
def test_without_probabilities_it_is_open(rule: str | None, blocks: bool) -> None:
    predictions = binary(300)
    verdict_check = check(
        Predictions(predictions.truth, predictions.predicted, None, predictions.classes), on_inconclusive=rule
    )
    assert (verdict_check.verdict, verdict_check.blocks) == (Verdict.INCONCLUSIVE, blocks)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("sure", "verdict"), [(1.0, Verdict.PASSED), (2.5, Verdict.FAILED)])
def test_several_classes_are_judged_by_the_one_predicted(sure: float, verdict: Verdict) -> None:
    dice = np.random.default_rng(3)
    raw = dice.normal(size=(4000, 4))
    true = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    truth = (dice.random((4000, 1)) > true.cumsum(axis=1)).sum(axis=1)
    claimed = np.exp(sure * raw) / np.exp(sure * raw).sum(axis=1, keepdims=True)
    verdict_check = check(Predictions(truth, claimed.argmax(axis=1), claimed, ("a", "b", "c", "d")))
    assert verdict_check.verdict is verdict  # type: ignore[attr-defined]


def test_the_curve_is_over_bins_of_equally_many_rows() -> None:
    curve = reliability(binary(1000), 10)
    assert curve is not None
    assert sum(curve.rows) == 1000
    assert max(curve.rows) - min(curve.rows) <= 2
    assert curve.predicted == sorted(curve.predicted)
    assert curve.observed == pytest.approx(curve.predicted, abs=0.15)


def test_equal_predictions_share_a_bin() -> None:
    claimed = np.repeat([0.2, 0.7], [90, 10])
    truth = np.zeros(100, int)
    predictions = Predictions(truth, truth, np.column_stack([1 - claimed, claimed]), ("no", "yes"))
    curve = reliability(predictions, 10)
    assert curve is not None
    assert (curve.rows, curve.predicted) == ([90, 10], pytest.approx([0.2, 0.7]))
    assert reliability(Predictions(truth, truth, None, ("no", "yes")), 10) is None
