from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from modelway.components.core.policy import ModelPolicy, NoRegression, Slices
from modelway.components.core.verdict import OnInconclusive, Verdict
from modelway.components.evaluate.checks import regression_check, slice_checks, threshold_checks
from modelway.components.evaluate.metrics import Predictions, score
from modelway.components.evaluate.slices import Slice

NAN = float("nan")


def policy(rule: str = "block", rows: int = 2, **metrics: dict[str, float]) -> ModelPolicy:
    return ModelPolicy.model_validate({"metrics": metrics, "minimum_rows": rows, "on_inconclusive": rule})


@pytest.mark.parametrize(
    ("threshold", "observed", "passes", "bound"),
    [
        ({"min": 0.7}, 0.8, True, 0.7),
        ({"min": 0.7}, 0.7, True, 0.7),
        ({"min": 0.7}, 0.6999, False, 0.7),
        ({"max": 0.5}, 0.4, True, 0.5),
        ({"max": 0.5}, 0.5, True, 0.5),
        ({"max": 0.5}, 0.5001, False, 0.5),
        ({"min": 0.2, "max": 0.5}, 0.3, True, 0.2),
        ({"min": 0.2, "max": 0.5}, 0.1, False, 0.2),
        ({"min": 0.2, "max": 0.5}, 0.6, False, 0.5),
        ({"min": 0.0}, 0.0, True, 0.0),
    ],
)
def test_thresholds(threshold: dict[str, float], observed: float, passes: bool, bound: float) -> None:
    (check,) = threshold_checks({"roc_auc": observed, "other": 0.0}, 100, policy(roc_auc=threshold))
    assert check.name == "metric[roc_auc]"
    assert check.verdict is (Verdict.PASSED if passes else Verdict.FAILED)
    assert check.blocks is not passes
    assert (check.observed, check.threshold) == (observed, bound)
    for key, word in (("min", "at least"), ("max", "at most")):
        assert (f"{word} {threshold.get(key)}" in check.message) is (key in threshold)


@pytest.mark.parametrize(("rule", "blocks"), [("block", True), ("warn", False)])
def test_too_few_rows_to_judge_by(rule: str, blocks: bool) -> None:
    asked = policy(rule, 200, roc_auc={"min": 0.7}, f1={"min": 0.1})
    (check,) = threshold_checks({"roc_auc": 0.9, "f1": 0.9}, 199, asked)
    assert (check.name, check.verdict, check.blocks) == ("test_rows", Verdict.INCONCLUSIVE, blocks)
    assert (check.observed, check.threshold) == (199, 200)
    assert len(threshold_checks({"roc_auc": 0.9, "f1": 0.9}, 200, asked)) == 2


@pytest.mark.parametrize(("rule", "blocks"), [("block", True), ("warn", False)])
def test_a_metric_that_is_not_defined_is_open(rule: str, blocks: bool) -> None:
    bad, good = threshold_checks({"roc_auc": NAN, "f1": 0.9}, 100, policy(rule, roc_auc={"min": 0.7}, f1={"min": 0.1}))
    assert (bad.verdict, bad.blocks, bad.observed) == (Verdict.INCONCLUSIVE, blocks, None)
    assert good.verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("metric", "margin", "candidate", "champion", "passes", "better"),
    [
        ("roc_auc", 0.0, 0.80, 0.80, True, 0.0),
        ("roc_auc", 0.0, 0.81, 0.80, True, 0.01),
        ("roc_auc", 0.0, 0.79, 0.80, False, -0.01),
        ("roc_auc", 0.125, 0.75, 0.875, True, -0.125),
        ("roc_auc", 0.125, 0.749, 0.875, False, -0.126),
        ("log_loss", 0.0, 0.50, 0.50, True, 0.0),
        ("log_loss", 0.0, 0.49, 0.50, True, 0.01),
        ("log_loss", 0.0, 0.51, 0.50, False, -0.01),
        ("log_loss", 0.125, 0.625, 0.5, True, -0.125),
        ("log_loss", 0.125, 0.626, 0.5, False, -0.126),
        ("neg_log_loss", 0.0, -0.5, -0.6, True, 0.1),
        ("r2", 0.25, -1.25, -1.0, True, -0.25),
    ],
)
def test_no_regression(
    metric: str, margin: float, candidate: float, champion: float, passes: bool, better: float
) -> None:
    asked = NoRegression(metric=metric, margin=margin)
    check = regression_check(asked, candidate, champion, "3", OnInconclusive.BLOCK)
    assert check.name == f"no_regression[{metric}]"
    assert check.verdict is (Verdict.PASSED if passes else Verdict.FAILED)
    assert check.blocks is not passes
    assert check.observed == pytest.approx(better)
    assert check.threshold == -margin
    assert "champion version 3" in check.message
    assert ("worse" if better < 0 else "better" if better > 0 else "equal") in check.message


@pytest.mark.parametrize("rule", list(OnInconclusive))
@pytest.mark.parametrize(("first", "blocks"), [("allow", False), ("block", True)])
def test_the_first_model_has_nothing_to_be_compared_with(rule: OnInconclusive, first: Any, blocks: bool) -> None:
    check = regression_check(NoRegression(metric="f1", first_model=first), 0.5, None, "", rule)
    assert (check.verdict, check.blocks, check.observed) == (Verdict.INCONCLUSIVE, blocks, 0.5)
    assert "the first model" in check.message
    assert ("first_model: allow" in check.message) is blocks


@pytest.mark.parametrize(("rule", "blocks"), [(OnInconclusive.BLOCK, True), (OnInconclusive.WARN, False)])
@pytest.mark.parametrize("first", ["allow", "block"])
def test_a_champion_that_cannot_judge_leaves_the_answer_open(rule: OnInconclusive, blocks: bool, first: Any) -> None:
    asked = NoRegression(metric="f1", first_model=first)
    check = regression_check(asked, 0.5, None, "3", rule, "it needs the column 'age'")
    assert (check.verdict, check.blocks) == (Verdict.INCONCLUSIVE, blocks)
    assert "champion version 3 cannot judge these rows: it needs the column 'age'" in check.message


@pytest.mark.parametrize(("candidate", "champion"), [(NAN, 0.5), (0.5, NAN), (NAN, NAN)])
def test_scores_that_are_not_defined_cannot_be_compared(candidate: float, champion: float) -> None:
    check = regression_check(NoRegression(metric="f1"), candidate, champion, "3", OnInconclusive.WARN)
    assert (check.verdict, check.blocks) == (Verdict.INCONCLUSIVE, False)


TRUTH = np.array([0, 1] * 10 + [1] * 10)
PREDICTED = np.array([0, 1] * 8 + [1, 0] * 2 + [1] * 10)
PREDICTIONS = Predictions(TRUTH, PREDICTED, np.eye(2)[PREDICTED] * 0.8 + 0.1, ("no", "yes"))
PARTS = {
    "good": Slice("region=north", np.arange(16)),
    "bad": Slice("region=south", np.arange(16, 20)),
    "one class": Slice("region=west", np.arange(20, 30)),
}


def sliced(part: str, rule: str = "warn", rows: int = 2, **metrics: dict[str, float]) -> list[Any]:
    asked = Slices.model_validate(
        {"columns": ["region"], "metrics": metrics, "minimum_rows": rows, "on_inconclusive": rule}
    )
    return slice_checks(PREDICTIONS, [PARTS[part]], asked)


@pytest.mark.parametrize(("part", "passes", "observed"), [("good", True, 1.0), ("bad", False, 0.0)])
def test_slices_are_judged_on_their_own_rows(part: str, passes: bool, observed: float) -> None:
    accuracy, auc = sliced(part, accuracy={"min": 0.5}, roc_auc={"min": 0.5})
    assert accuracy.name == f"slice[{PARTS[part].name}].accuracy"
    assert auc.name == f"slice[{PARTS[part].name}].roc_auc"
    for check in (accuracy, auc):
        assert check.verdict is (Verdict.PASSED if passes else Verdict.FAILED)
        assert check.observed == observed
        assert f"on {len(PARTS[part].rows)} rows" in check.message


@pytest.mark.parametrize(("rule", "blocks"), [("warn", False), ("block", True)])
@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "f1", "recall", "average_precision", "accuracy"])
def test_a_slice_with_one_class_is_open(metric: str, rule: str, blocks: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (check,) = sliced("one class", rule, **{metric: {"min": 0.99}})
    assert (check.verdict, check.blocks) == (Verdict.INCONCLUSIVE, blocks)
    assert "one class only" in check.message


@pytest.mark.parametrize(("rule", "blocks"), [("warn", False), ("block", True)])
@pytest.mark.parametrize(("least", "open_"), [(16, False), (17, True)])
def test_a_small_slice_is_open(rule: str, blocks: bool, least: int, open_: bool) -> None:
    (check,) = sliced("good", rule, least, accuracy={"min": 0.5})
    assert check.verdict is (Verdict.INCONCLUSIVE if open_ else Verdict.PASSED)
    assert check.blocks is (blocks and open_)
    if open_:
        assert (check.observed, check.threshold) == (16, 17)


def test_a_metric_that_cannot_be_computed_on_a_slice_is_open() -> None:
    truth = np.array([0, 1, 0, 1, 2])
    predictions = Predictions(truth, truth, np.eye(3)[truth], ("a", "b", "c"))
    asked = Slices.model_validate({"columns": ["x"], "metrics": {"roc_auc_ovr": {"min": 0.5}}, "minimum_rows": 2})
    (check,) = slice_checks(predictions, [Slice("x=1", np.arange(4))], asked)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "cannot be computed" in check.message


def test_slices_of_numbers() -> None:
    predictions = Predictions(np.arange(10.0), np.arange(10.0) + 1, None, ())
    asked = Slices.model_validate({"columns": ["x"], "metrics": {"mean_absolute_error": {"max": 1}}, "minimum_rows": 2})
    (check,) = slice_checks(predictions, [Slice("x=1", np.arange(4))], asked)
    assert (check.verdict, check.observed) == (Verdict.PASSED, 1.0)
    assert score("mean_absolute_error", predictions.take(np.arange(4))) == 1.0
