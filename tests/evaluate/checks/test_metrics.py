from __future__ import annotations

from typing import Any

import pytest

from modelway.components.core.checks import OnInconclusive, Verdict
from modelway.components.core.config.model_policy import ModelPolicy
from modelway.components.core.config.thresholds import Threshold
from modelway.components.evaluate.checks.metrics import estimate_check, threshold_checks
from modelway.components.evaluate.statistics.estimates import Estimate
from modelway.components.evaluate.statistics.intervals import Interval

NAN = float("nan")


def policy(rule: str = "block", rows: int = 2, **more: Any) -> ModelPolicy:
    section = {"metrics": {"f1": {"min": 0.1}}, "minimum_rows": rows, "on_inconclusive": rule, **more}
    return ModelPolicy.model_validate(section)


def metric_check(threshold: dict[str, float], value: float, interval: Interval | None, rule: str = "block") -> Any:
    model_policy = policy(rule, metrics={"roc_auc": threshold})
    (check,) = threshold_checks(
        "metric",
        {"roc_auc": Estimate(value, interval, confidence=0.95)},
        scope="on 1,234 test rows",
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
    assert ("too few rows to decide" in check.message) is (verdict is Verdict.INCONCLUSIVE)


@pytest.mark.parametrize(("rule", "blocks"), [("block", True), ("warn", False)])
def test_a_metric_that_is_not_defined_is_open(rule: str, blocks: bool) -> None:
    check = metric_check({"min": 0.7}, NAN, None, rule)
    assert (check.verdict, check.blocks, check.observed) == (Verdict.INCONCLUSIVE, blocks, None)


@pytest.mark.parametrize(("rule", "blocks"), [(OnInconclusive.BLOCK, True), (OnInconclusive.WARN, False)])
def test_what_an_interval_across_the_threshold_does_is_the_policys(rule: OnInconclusive, blocks: bool) -> None:
    estimate = Estimate(0.62, (0.55, 0.69), confidence=0.95)
    check = estimate_check("metric[f1]", estimate, threshold=Threshold(min=0.6), rule=rule, scope="on 80 rows")
    assert (check.verdict, check.blocks) == (Verdict.INCONCLUSIVE, blocks)
    assert (check.interval, check.threshold) == ((0.55, 0.69), 0.6)
    assert check.message.startswith(
        "0.6200 (95% interval 0.5500 to 0.6900) on 80 rows; the policy requires at least 0.6"
    )
    assert "too few rows to decide: bring more, or relax the threshold" in check.message


@pytest.mark.parametrize(("observed", "verdict"), [(0.6, Verdict.PASSED), (0.599, Verdict.FAILED)])
def test_without_an_interval_the_point_decides(observed: float, verdict: Verdict) -> None:
    threshold, rule = Threshold(min=0.6), OnInconclusive.WARN
    check = estimate_check("m", Estimate(observed), threshold=threshold, rule=rule, scope="on 9 rows")
    assert check.verdict is verdict
    assert check.blocks is (verdict is Verdict.FAILED)
    assert check.interval is None
    assert "interval" not in check.message


@pytest.mark.parametrize(("greatest", "verdict"), [(5.0, Verdict.FAILED), (50.0, Verdict.INCONCLUSIVE)])
def test_the_greatest_error_can_fail_and_never_pass(greatest: float, verdict: Verdict) -> None:
    check = estimate_check(
        "metric[max_error]",
        Estimate(7.5, (7.5, float("inf")), confidence=0.95),
        threshold=Threshold(max=greatest),
        rule=OnInconclusive.BLOCK,
        scope="on 500 test rows",
    )
    assert check.verdict is verdict
    assert ("it can fail and never pass" in check.message) == (verdict is Verdict.INCONCLUSIVE)
