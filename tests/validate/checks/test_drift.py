from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from drift_tables import drift, policy

from modelway.components.core.checks import Verdict
from modelway.components.core.measures.stability import excess_stability_index
from modelway.components.validate.checks.drift import drift_checks
from modelway.components.validate.distributions import TableStatistics, measure, measure_like


@pytest.fixture
def baseline() -> TableStatistics:
    return measure(pl.DataFrame({"same": range(100), "moved": range(100)}), ["same", "moved"], data_hash="before")


def test_each_column_is_compared(baseline: TableStatistics) -> None:
    now = measure_like(pl.DataFrame({"same": range(100), "moved": range(50, 150)}), baseline, data_hash="now")
    unchanged, shift = drift_checks(now, baseline, policy=policy())
    assert (unchanged.name, unchanged.verdict, unchanged.observed) == ("drift[same]", Verdict.PASSED, 0.0)
    assert (shift.name, shift.verdict, shift.blocks) == ("drift[moved]", Verdict.FAILED, True)
    assert shift.threshold == 0.2
    assert isinstance(shift.observed, float)
    assert shift.observed > 0.2
    assert f"PSI {shift.observed:.3f}" in shift.message


def test_the_threshold_itself_passes(baseline: TableStatistics) -> None:
    now = measure_like(pl.DataFrame({"same": range(30, 130)}), baseline, data_hash="now")
    shares = baseline.columns["same"].shares, now.columns["same"].shares
    index = excess_stability_index(*shares, expected_rows=baseline.rows, rows=now.rows)
    assert drift_checks(now, baseline, policy=policy(index))[0].verdict is Verdict.PASSED
    assert drift_checks(now, baseline, policy=policy(index * 0.999))[0].verdict is Verdict.FAILED


@pytest.mark.parametrize(("rule", "blocks"), [("warn", False), ("block", True)])
def test_without_a_baseline_the_answer_is_open(baseline: TableStatistics, rule: str, blocks: bool) -> None:
    (check,) = drift_checks(baseline, None, policy=policy(rule=rule))
    assert (check.name, check.verdict, check.blocks) == ("drift", Verdict.INCONCLUSIVE, blocks)
    assert "no approved model yet" in check.message


@pytest.mark.parametrize(("least", "rows", "fewest"), [(101, 200, 100), (100, 99, 99)])
@pytest.mark.parametrize(("rule", "blocks"), [("warn", False), ("block", True)])
def test_with_too_few_rows_the_answer_is_open(
    baseline: TableStatistics, least: int, rows: int, fewest: int, rule: str, blocks: bool
) -> None:
    now = measure_like(pl.DataFrame({"same": range(rows)}), baseline, data_hash="now")
    (check,) = drift_checks(now, baseline, policy=policy(minimum_rows=least, rule=rule))
    assert (check.verdict, check.blocks) == (Verdict.INCONCLUSIVE, blocks)
    assert (check.observed, check.threshold) == (fewest, least)


def test_columns_that_only_one_side_has_are_not_compared(baseline: TableStatistics) -> None:
    now = measure_like(pl.DataFrame({"same": range(100), "new": range(100)}), baseline, data_hash="now")
    assert list(now.columns) == ["same"]


def test_one_certain_column_among_many_is_found_and_chance_is_corrected_for() -> None:
    dice = np.random.default_rng(2)
    before = pl.DataFrame({f"x{number}": dice.normal(size=600) for number in range(50)})
    now = pl.DataFrame({f"x{number}": dice.normal(2.0 * (number == 7), size=600) for number in range(50)})
    checks = drift(before, now, policy(psi=0.001))
    assert [name for name, check in checks.items() if check.verdict is Verdict.FAILED] == ["drift[x7]"]
    assert sum(check.verdict is Verdict.INCONCLUSIVE for check in checks.values()) > 10


def test_a_column_may_have_thresholds_of_its_own() -> None:
    dice = np.random.default_rng(5)
    before = pl.DataFrame({"x": dice.normal(size=3000), "y": dice.normal(size=3000)})
    now = before.select(pl.all() + 1)
    checks = drift(before, now, policy(columns={"x": {"psi": 10}}))
    assert {name: check.verdict for name, check in checks.items()} == {
        "drift[x]": Verdict.PASSED,
        "drift[y]": Verdict.FAILED,
    }


@pytest.mark.parametrize(("thresholds", "verdict"), [({}, Verdict.PASSED), ({"label": {"psi": 0.01}}, Verdict.FAILED)])
def test_the_label_is_named_and_judged_as_such(thresholds: dict[str, Any], verdict: Verdict) -> None:
    before = pl.DataFrame({"late": [0] * 9000 + [1] * 1000})
    now = pl.DataFrame({"late": [0] * 8500 + [1] * 1500})
    checks = drift(before, now, policy(**thresholds), "late")
    assert {name: check.verdict for name, check in checks.items()} == {"label_drift[late]": verdict}


def test_a_column_that_the_baseline_lacks_is_inconclusive(baseline: TableStatistics) -> None:
    now = measure_like(pl.DataFrame({"same": range(100), "new": range(100)}), baseline, data_hash="now")
    checks = drift_checks(now, baseline, policy=policy(), label="", columns=["same", "new"])
    assert [(check.name, check.verdict) for check in checks] == [
        ("drift[same]", Verdict.PASSED),
        ("drift[new]", Verdict.INCONCLUSIVE),
    ]
