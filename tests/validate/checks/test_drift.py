from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from modelway.components.core.checks import Check, Verdict
from modelway.components.core.config.data_policy import DataPolicy
from modelway.components.core.measures.stability import excess_stability_index
from modelway.components.validate.checks.drift import drift_checks
from modelway.components.validate.checks.skew import skew_checks
from modelway.components.validate.distributions import TableStatistics, measure, measure_like


def policy(psi: float | None = 0.2, minimum_rows: int = 2, rule: str = "warn", **sections: Any) -> DataPolicy:
    section = {"psi": psi, "minimum_rows": minimum_rows, **sections}
    return DataPolicy.model_validate({"drift": section, "skew": {"psi": psi}, "on_inconclusive": rule})


def drift(before: pl.DataFrame, now: pl.DataFrame, data_policy: DataPolicy, label: str = "") -> dict[str, Check]:
    """The checks of all columns, by their names."""
    baseline = measure(before, before.columns, data_hash="")
    return {
        check.name: check
        for check in drift_checks(measure_like(now, baseline, data_hash=""), baseline, policy=data_policy, label=label)
    }


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


def test_a_small_shift_passes_however_many_rows_are_certain_of_it() -> None:
    dice = np.random.default_rng(0)
    tables = [pl.DataFrame({"x": dice.normal(mean, size=200_000)}) for mean in (0.0, 0.05)]
    check = drift(*tables, policy())["drift[x]"]
    assert check.verdict is Verdict.PASSED
    assert "200,000 rows against the baseline's 200,000" in check.message
    assert float(check.message.split("; p ")[1].split(" ")[0]) < 1e-9


def test_a_p_value_is_never_shown_as_zero() -> None:
    tables = [pl.DataFrame({"x": [value] * 5000}) for value in (1, 2)]
    assert "p under 1e-300 by chi-squared" in drift(*tables, policy())["drift[x]"].message


def test_a_great_distance_on_few_rows_is_inconclusive() -> None:
    dice = np.random.default_rng(1)
    names = np.array([f"c{number}" for number in range(80)])
    tables = [pl.DataFrame({"x": names[dice.integers(0, 80, 150)]}) for _ in range(2)]
    check = drift(*tables, policy())["drift[x]"]
    assert check.verdict is Verdict.INCONCLUSIVE
    assert isinstance(check.observed, float)
    assert check.observed > 0.2
    assert "too few rows to distinguish a shift from chance" in check.message
    assert not check.blocks
    assert drift(*tables, policy(rule="block"))["drift[x]"].blocks


def test_one_certain_column_among_many_is_found_and_chance_is_corrected_for() -> None:
    dice = np.random.default_rng(2)
    before = pl.DataFrame({f"x{number}": dice.normal(size=600) for number in range(50)})
    now = pl.DataFrame({f"x{number}": dice.normal(2.0 * (number == 7), size=600) for number in range(50)})
    checks = drift(before, now, policy(psi=0.001))
    assert [name for name, check in checks.items() if check.verdict is Verdict.FAILED] == ["drift[x7]"]
    assert sum(check.verdict is Verdict.INCONCLUSIVE for check in checks.values()) > 10


SHIFTED = {
    "number": (lambda dice: dice.normal(size=2000), lambda dice: dice.normal(1, size=2000)),
    "text": (lambda dice: dice.choice(["a", "b"], 2000), lambda dice: dice.choice(["a", "b"], 2000, p=[0.9, 0.1])),
    "few": (lambda dice: dice.poisson(1, 2000).clip(0, 4), lambda dice: dice.poisson(3, 2000).clip(0, 4)),
}


@pytest.mark.parametrize(
    ("measure_name", "threshold", "columns"),
    [
        ("psi", 0.2, {"number", "text", "few"}),
        ("jensen_shannon", 0.1, {"number", "text", "few"}),
        ("kolmogorov_smirnov", 0.1, {"number", "few"}),
        ("cramers_v", 0.1, {"text", "few"}),
    ],
)
def test_each_distance_judges_the_columns_that_it_fits(measure_name: str, threshold: float, columns: set[str]) -> None:
    dice = np.random.default_rng(3)
    before, now = (pl.DataFrame({name: make[side](dice) for name, make in SHIFTED.items()}) for side in (0, 1))
    data_policy = policy(**{"psi": None, measure_name: threshold})
    checks = drift(before, now, data_policy)
    assert set(checks) == {f"drift[{name}]" for name in columns}
    for check in checks.values():
        assert (check.verdict, check.threshold) == (Verdict.FAILED, threshold)
    assert {check.verdict for check in drift(before, before, data_policy).values()} == {Verdict.PASSED}


def test_several_distances_are_one_check_that_shows_the_worst() -> None:
    dice = np.random.default_rng(4)
    tables = [pl.DataFrame({"x": dice.normal(mean, size=3000)}) for mean in (0.0, 0.4)]
    check = drift(*tables, policy(psi=5, kolmogorov_smirnov=0.05))["drift[x]"]
    assert (check.verdict, check.threshold) == (Verdict.FAILED, 0.05)
    assert "PSI" in check.message
    assert "Kolmogorov-Smirnov" in check.message


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


def of_people(seed: int, people: int) -> pl.DataFrame:
    """Ten equal rows of each person."""
    values = np.random.default_rng(seed).normal(size=people)
    return pl.DataFrame({"x": np.repeat(values, 10), "person": np.repeat(np.arange(people), 10)})


def test_equal_rows_of_a_group_are_no_evidence_of_their_own() -> None:
    before, now = of_people(6, 60), of_people(18, 60)
    alone = drift(before.select("x"), now.select("x"), policy())["drift[x]"]
    baseline = measure(before, ["x"], data_hash="", group="person")
    (by_group,) = drift_checks(measure_like(now, baseline, data_hash="", group="person"), baseline, policy=policy())
    assert alone.verdict is Verdict.FAILED
    assert by_group.verdict is Verdict.INCONCLUSIVE
    assert "rows of a group are alike" in by_group.message


def test_skew_compares_what_is_served_with_what_is_trained_on() -> None:
    dice = np.random.default_rng(7)
    train = measure(pl.DataFrame({"x": dice.normal(size=3000), "y": dice.normal(size=3000)}), ["x", "y"], data_hash="")
    serving = pl.DataFrame({"x": dice.normal(size=600) * 100, "y": dice.normal(size=600)})
    checks = {
        check.name: check for check in skew_checks(measure_like(serving, train, data_hash=""), train, policy=policy())
    }
    assert {name: check.verdict for name, check in checks.items()} == {
        "skew[x]": Verdict.FAILED,
        "skew[y]": Verdict.PASSED,
    }
    assert "600 rows of the serving data against the 3,000 trained on" in checks["skew[x]"].message
    (row_check,) = skew_checks(measure_like(serving.head(499), train, data_hash=""), train, policy=policy())
    assert (row_check.name, row_check.verdict, row_check.observed, row_check.threshold) == (
        "skew",
        Verdict.INCONCLUSIVE,
        499,
        500,
    )


@pytest.mark.parametrize("kinds", [30, 300, 3000])
def test_equal_samples_of_many_categories_are_not_taken_for_different(kinds: int) -> None:
    dice = np.random.default_rng(8)
    names = np.array([f"c{number}" for number in range(kinds)])
    spread = 1 / np.arange(1, kinds + 1)
    verdicts = []
    for _ in range(100):
        tables = [pl.DataFrame({"x": dice.choice(names, 1500, p=spread / spread.sum())}) for _ in range(2)]
        verdicts.append(drift(*tables, policy(psi=0.001))["drift[x]"].verdict)
    assert verdicts.count(Verdict.FAILED) <= 4  # 1 is expected of an alpha of 0.01
