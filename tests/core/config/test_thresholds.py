from __future__ import annotations

import pytest

from modelway.components.core.checks import Verdict
from modelway.components.core.config.thresholds import Threshold

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


@pytest.mark.parametrize(
    ("threshold", "observed", "nearest"),
    [({"min": 1, "max": 2}, 0, 1), ({"min": 1, "max": 2}, 3, 2), ({"min": 1}, 5, 1), ({"max": 2}, 0, 2)],
)
def test_the_bound_shown_is_the_one_that_decides(threshold: dict[str, float], observed: float, nearest: float) -> None:
    assert Threshold(**threshold).nearest(observed) == nearest
