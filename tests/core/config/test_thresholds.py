from __future__ import annotations

import pytest

from modelway.components.core.checks import OnInconclusive, Verdict
from modelway.components.core.config.thresholds import Threshold, threshold_check

P, F, I = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE  # noqa: E741


@pytest.mark.parametrize(
    ("threshold", "interval", "verdict"),
    [
        ({"min": 0.6}, (0.61, 0.7), P),
        ({"min": 0.6}, (0.6, 0.7), P),
        ({"min": 0.6}, (0.59, 0.7), I),
        ({"min": 0.6}, (0.5, 0.6), I),
        ({"min": 0.6}, (0.5, 0.59), F),
        ({"max": 0.3}, (0.1, 0.3), P),
        ({"max": 0.3}, (0.1, 0.31), I),
        ({"max": 0.3}, (0.31, 0.4), F),
        ({"min": 0.2, "max": 0.4}, (0.25, 0.35), P),
        ({"min": 0.2, "max": 0.4}, (0.1, 0.5), I),
        ({"min": 0.2, "max": 0.4}, (0.41, 0.5), F),
        ({"min": 0.2, "max": 0.4}, (0.1, 0.19), F),
    ],
)
def test_an_interval_is_within_outside_or_across(
    threshold: dict[str, float], interval: tuple[float, float], verdict: Verdict
) -> None:
    assert Threshold(**threshold).judge(interval) is verdict


@pytest.mark.parametrize(("rule", "blocks"), [(OnInconclusive.BLOCK, True), (OnInconclusive.WARN, False)])
def test_what_an_interval_across_the_threshold_does_is_the_policys(rule: OnInconclusive, blocks: bool) -> None:
    check = threshold_check(
        "metric[f1]",
        0.62,
        threshold=Threshold(min=0.6),
        rule=rule,
        scope="on 80 rows",
        interval=(0.55, 0.69),
        confidence=0.95,
    )
    assert (check.verdict, check.blocks, check.interval, check.threshold) == (I, blocks, (0.55, 0.69), 0.6)
    assert check.message.startswith(
        "0.6200 (95% interval 0.5500 to 0.6900) on 80 rows; the policy requires at least 0.6"
    )
    assert "too few rows to decide: bring more, or relax the threshold" in check.message


@pytest.mark.parametrize(("observed", "verdict"), [(0.6, P), (0.599, F)])
def test_without_an_interval_the_point_decides(observed: float, verdict: Verdict) -> None:
    check = threshold_check("m", observed, threshold=Threshold(min=0.6), rule=OnInconclusive.WARN, scope="on 9 rows")
    assert check.verdict is verdict
    assert check.blocks is (verdict is F)
    assert check.interval is None
    assert "interval" not in check.message


@pytest.mark.parametrize(
    ("threshold", "observed", "nearest"),
    [({"min": 1, "max": 2}, 0, 1), ({"min": 1, "max": 2}, 3, 2), ({"min": 1}, 5, 1), ({"max": 2}, 0, 2)],
)
def test_the_bound_shown_is_the_one_that_decides(threshold: dict[str, float], observed: float, nearest: float) -> None:
    assert Threshold(**threshold).nearest(observed) == nearest
