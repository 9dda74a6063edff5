from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from modelway.components.core.checks import OnInconclusive, Verdict
from modelway.components.core.config.model_policy import ModelPolicy, Slices
from modelway.components.core.measures.metrics import Predictions, score
from modelway.components.evaluate.checks.metrics import threshold_checks
from modelway.components.evaluate.checks.minimum_rows import row_checks
from modelway.components.evaluate.checks.slices import slice_checks
from modelway.components.evaluate.checks.unseen import unseen_checks
from modelway.components.evaluate.slices import Slice
from modelway.components.evaluate.statistics.intervals import Estimate, Interval
from modelway.components.evaluate.statistics.resampling import Resampling

NAN = float("nan")


def policy(rule: str = "block", rows: int = 2, **more: Any) -> ModelPolicy:
    section = {"metrics": {"f1": {"min": 0.1}}, "minimum_rows": rows, "on_inconclusive": rule, **more}
    return ModelPolicy.model_validate(section)


def metric_check(threshold: dict[str, float], value: float, interval: Interval | None, rule: str = "block") -> Any:
    model_policy = policy(rule, metrics={"roc_auc": threshold})
    resampling = Resampling(1234, confidence=None if interval is None else 0.95)
    (check,) = threshold_checks(
        "metric",
        {"roc_auc": Estimate(value, interval)},
        resampling=resampling,
        thresholds=model_policy.metrics,
        rule=model_policy.on_inconclusive,
    )
    assert check.name == "metric[roc_auc]"
    return check


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
def test_thresholds_without_intervals_are_judged_by_the_point(
    threshold: dict[str, float], observed: float, passes: bool, bound: float
) -> None:
    check = metric_check(threshold, observed, None)
    assert check.verdict is (Verdict.PASSED if passes else Verdict.FAILED)
    assert check.blocks is not passes
    assert (check.observed, check.threshold, check.interval) == (observed, bound, None)
    for key, word in (("min", "at least"), ("max", "at most")):
        assert (f"{word} {threshold.get(key, 0):g}" in check.message) is (key in threshold)


@pytest.mark.parametrize(
    ("threshold", "interval", "verdict"),
    [
        ({"min": 0.7}, (0.7, 0.9), Verdict.PASSED),
        ({"min": 0.7}, (0.69, 0.9), Verdict.INCONCLUSIVE),
        ({"min": 0.7}, (0.5, 0.69), Verdict.FAILED),
        ({"max": 0.7}, (0.5, 0.7), Verdict.PASSED),
        ({"max": 0.7}, (0.71, 0.9), Verdict.FAILED),
        ({"min": 0.6, "max": 0.7}, (0.5, 0.8), Verdict.INCONCLUSIVE),
    ],
)
@pytest.mark.parametrize("rule", ["block", "warn"])
def test_thresholds_are_judged_by_the_interval(
    threshold: dict[str, float], interval: Interval, verdict: Verdict, rule: str
) -> None:
    check = metric_check(threshold, sum(interval) / 2, interval, rule)
    assert check.verdict is verdict
    assert check.interval == interval
    assert check.blocks is (verdict is Verdict.FAILED or (verdict is Verdict.INCONCLUSIVE and rule == "block"))
    assert "95% interval" in check.message
    assert "on 1,234 test rows" in check.message
    assert ("bring more of them" in check.message) is (verdict is Verdict.INCONCLUSIVE)


@pytest.mark.parametrize(("rule", "blocks"), [("block", True), ("warn", False)])
def test_too_few_rows_to_judge_by(rule: str, blocks: bool) -> None:
    (check,) = row_checks(199, policy(rule, 200))
    assert (check.name, check.verdict, check.blocks) == ("test_rows", Verdict.INCONCLUSIVE, blocks)
    assert (check.observed, check.threshold) == (199, 200)
    assert row_checks(200, policy(rule, 200)) == []


@pytest.mark.parametrize("rule", ["block", "warn"])
def test_no_rows_at_all_fail_whatever_the_rule(rule: str) -> None:
    (check,) = row_checks(0, policy(rule, 200))
    assert (check.name, check.verdict, check.blocks) == ("test_rows", Verdict.FAILED, True)


@pytest.mark.parametrize(("rule", "blocks"), [("block", True), ("warn", False)])
def test_a_metric_that_is_not_defined_is_open(rule: str, blocks: bool) -> None:
    check = metric_check({"min": 0.7}, NAN, None, rule)
    assert (check.verdict, check.blocks, check.observed) == (Verdict.INCONCLUSIVE, blocks, None)


TRUTH = np.array([0, 1] * 100 + [1] * 20)
PREDICTED = np.array([0, 1] * 60 + [1, 0] * 40 + [1] * 20)
PREDICTIONS = Predictions(TRUTH, PREDICTED, np.eye(2)[PREDICTED] * 0.8 + 0.1, ("no", "yes"))
PARTS = {
    "good": Slice("region=north", np.arange(120)),
    "bad": Slice("region=south", np.arange(120, 200)),
    "one class": Slice("region=west", np.arange(200, 220)),
}


def sliced(part: str, rule: str = "warn", rows: int = 2, gaps: dict[str, float] | None = None, **metrics: Any) -> Any:
    section = Slices.model_validate(
        {"columns": ["x"], "metrics": metrics, "minimum_rows": rows, "on_inconclusive": rule, "max_gap": gaps or {}}
    )
    return slice_checks(PREDICTIONS, [PARTS[part]], resampling=Resampling(len(TRUTH)), policy=section)


@pytest.mark.parametrize(("part", "passes", "observed"), [("good", True, 1.0), ("bad", False, 0.0)])
def test_slices_are_judged_on_their_own_rows(part: str, passes: bool, observed: float) -> None:
    accuracy, auc = sliced(part, accuracy={"min": 0.5}, roc_auc={"min": 0.5})
    assert accuracy.name == f"slice[{PARTS[part].name}].accuracy"
    assert auc.name == f"slice[{PARTS[part].name}].roc_auc"
    for check in (accuracy, auc):
        assert check.verdict is (Verdict.PASSED if passes else Verdict.FAILED)
        assert check.observed == observed
        assert check.interval is not None
        assert f"on {len(PARTS[part].rows)} rows" in check.message


@pytest.mark.parametrize(
    ("part", "limit", "verdict"),
    [("good", 0.1, Verdict.PASSED), ("bad", 0.3, Verdict.FAILED), ("bad", 0.65, Verdict.INCONCLUSIVE)],
)
def test_a_slice_may_be_worse_than_all_rows_by_so_much(part: str, limit: float, verdict: Verdict) -> None:
    accuracy, loss = sliced(part, gaps={"accuracy": limit, "log_loss": 3 * limit}, f1={"min": 0})[1:]
    expected = score("accuracy", PREDICTIONS) - (1.0 if part == "good" else 0.0)
    assert accuracy.name == f"slice_gap[{PARTS[part].name}].accuracy"
    assert accuracy.verdict is verdict
    assert accuracy.observed == pytest.approx(expected, abs=1e-6)
    assert (accuracy.observed > 0) is (loss.observed > 0) is (part == "bad")
    assert "worse in accuracy" in accuracy.message


@pytest.mark.parametrize(("rule", "blocks"), [("warn", False), ("block", True)])
@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "f1", "recall", "average_precision", "accuracy"])
def test_a_slice_with_one_class_is_open(metric: str, rule: str, blocks: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checks = sliced("one class", rule, gaps={metric: 0.01}, **{metric: {"min": 0.99}})
    for check in checks:
        assert (check.verdict, check.blocks) == (Verdict.INCONCLUSIVE, blocks)
        assert "one class only" in check.message
    assert len(checks) == 2


@pytest.mark.parametrize(("rule", "blocks"), [("warn", False), ("block", True)])
@pytest.mark.parametrize(("least", "open_"), [(120, False), (121, True)])
def test_a_small_slice_is_open(rule: str, blocks: bool, least: int, open_: bool) -> None:
    for check in sliced("good", rule, least, gaps={"accuracy": 0.5}, accuracy={"min": 0.5}):
        assert check.verdict is (Verdict.INCONCLUSIVE if open_ else Verdict.PASSED)
        assert check.blocks is (blocks and open_)
        if open_:
            assert (check.observed, check.threshold) == (120, 121)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_a_metric_that_cannot_be_computed_on_a_slice_is_open() -> None:
    truth = np.array([0, 1, 0, 1, 2])
    predictions = Predictions(truth, truth, np.eye(3)[truth], ("a", "b", "c"))
    section = Slices.model_validate({"columns": ["x"], "metrics": {"roc_auc_ovr": {"min": 0.5}}, "minimum_rows": 2})
    (check,) = slice_checks(predictions, [Slice("x=1", np.arange(4))], resampling=Resampling(5), policy=section)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "cannot be computed" in check.message


def test_slices_of_numbers() -> None:
    predictions = Predictions(np.arange(10.0), np.arange(10.0) + 1, None, ())
    section = Slices.model_validate(
        {"columns": ["x"], "metrics": {"mean_absolute_error": {"max": 1}}, "minimum_rows": 2}
    )
    (check,) = slice_checks(
        predictions, [Slice("x=1", np.arange(4))], resampling=Resampling(10, confidence=None), policy=section
    )
    assert (check.verdict, check.observed) == (Verdict.PASSED, 1.0)


@pytest.mark.parametrize("rule", list(OnInconclusive))
def test_unseen_rows_that_are_not_there_are_open_with_the_remedy(rule: OnInconclusive) -> None:
    section = policy(rule.value, unseen={"f1": {"min": 0.1}, "accuracy": {"min": 0.1}})
    first, second = unseen_checks(None, Resampling(0), policy=section)
    assert (first.name, second.name) == ("unseen[f1]", "unseen[accuracy]")
    assert (first.verdict, first.blocks) == (Verdict.INCONCLUSIVE, rule is OnInconclusive.BLOCK)
    assert "data.split.unseen_fraction" in first.message
    assert unseen_checks(None, Resampling(0), policy=policy()) == []


@pytest.mark.parametrize(("least", "verdict"), [(0.4, Verdict.PASSED), (0.95, Verdict.FAILED)])
def test_unseen_rows_are_judged_like_the_test_split(least: float, verdict: Verdict) -> None:
    (check,) = unseen_checks(PREDICTIONS, Resampling(len(TRUTH)), policy=policy(unseen={"accuracy": {"min": least}}))
    assert (check.verdict, check.observed) == (verdict, round(score("accuracy", PREDICTIONS), 6))
    assert "on 220 unseen rows" in check.message
