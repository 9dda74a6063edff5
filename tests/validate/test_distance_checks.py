from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from drift_tables import drift, policy

from modelway.components.core.checks import Verdict
from modelway.components.validate.checks.drift import drift_checks
from modelway.components.validate.distributions import measure, measure_like


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
