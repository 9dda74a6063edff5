from __future__ import annotations

import pytest

from modelway.components.core.verdict import Check, Verdict
from modelway.components.evaluate.report import bars, sections


def check(name: str, observed: float | int | None, verdict: Verdict = Verdict.PASSED, **more: object) -> Check:
    return Check.model_validate({"name": name, "verdict": verdict, "observed": observed, "message": "said", **more})


def test_bars_share_a_scale_that_holds_everything() -> None:
    first, second = bars(
        [
            check("slice[a].f1", 0.5, interval=(0.4, 0.6), threshold=0.7),
            check("slice[b].f1", 0.9, interval=(0.8, float("inf")), threshold=0.7),
        ]
    )
    places = [first.low, first.point, first.high, first.threshold, second.low, second.point]
    assert places == sorted(places)  # type: ignore[type-var]
    assert all(0 < place < 1 for place in places if place is not None)
    assert (second.high, second.threshold) == (second.point, first.threshold)
    assert first.zero is None


def test_equal_is_drawn_where_differences_are_shown() -> None:
    (bar,) = bars([check("no_regression[f1]", -0.02, interval=(-0.03, 0.01), threshold=-0.01)])
    assert bar.zero is not None
    assert bar.threshold is not None
    assert bar.low < bar.point < bar.threshold < bar.zero < bar.high


def test_a_check_without_an_interval_is_a_point() -> None:
    (bar,) = bars([check("slice[a].f1", 0.5)])
    assert bar.low == bar.point == bar.high == pytest.approx(0.5)


def test_checks_are_shown_by_kind_and_metric_failed_ones_first() -> None:
    made = [
        check("metric[f1]", 0.9),
        check("no_regression[f1]", 0.0),
        check("no_regression[x=1].f1", 0.1),
        check("slice[x=1].f1", 0.9),
        check("slice[x=2].f1", 0.2, Verdict.FAILED),
        check("slice[x=2].log_loss", 0.3),
        check("slice[x=3].f1", 17, Verdict.INCONCLUSIVE),
        check("fairness[sex].demographic_parity_ratio", 0.7),
        check("weak_segment[a > 1].f1", 0.1),
        check("weak_segment[b > 1].f1", 0.0, Verdict.FAILED),
    ]
    found = {section.title: section for section in sections(made)}
    assert list(found) == ["Against the champion", "Slices", "Weak segments", "Fairness"]
    assert [metric for metric, _ in found["Against the champion"].charts] == ["f1"]
    assert [(metric, [bar.check.name for bar in drawn]) for metric, drawn in found["Slices"].charts] == [
        ("f1", ["slice[x=2].f1", "slice[x=1].f1"]),
        ("log_loss", ["slice[x=2].log_loss"]),
    ]
    assert [one.name for one in found["Slices"].others] == ["slice[x=3].f1"]
    assert [bar.check.observed for bar in found["Weak segments"].charts[0][1]] == [0.1, 0.0]  # as they were found
