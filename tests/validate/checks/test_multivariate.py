from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from modelway.components.core.checks import Check, OnInconclusive, Verdict
from modelway.components.core.config.data_policy import Multivariate
from modelway.components.validate.checks.multivariate import multivariate_check
from modelway.examples.insurance.weeks import week


def table(seed: int, rows: int = 2000, correlation: float = 0.0) -> pl.DataFrame:
    dice = np.random.default_rng(seed)
    first, second = dice.normal(size=(2, rows))
    start = dt.datetime(2026, 1, 1)
    return pl.DataFrame(
        {
            "first": first,
            "second": correlation * first + np.sqrt(1 - correlation**2) * second,
            "other": dice.normal(size=rows),
            "with_nulls": [None if value < 0.2 else value for value in dice.random(rows)],
            "plan": [f"plan {value}" for value in dice.integers(0, 5, rows)],
            "code": [f"code {value}" for value in dice.integers(0, 100_000, rows)],
            "flag": dice.random(rows) < 0.3,
            "time": [start + dt.timedelta(days=seed, minutes=minutes) for minutes in range(rows)],
        }
    )


def drift(
    before: pl.DataFrame, now: pl.DataFrame, rule: OnInconclusive = OnInconclusive.WARN, **policy: float
) -> Check:
    return multivariate_check(
        before, now, columns=before.columns, policy=Multivariate.model_validate(policy), rule=rule
    )


def test_a_correlation_that_turns_is_told_though_no_column_changes() -> None:
    check = drift(table(1, correlation=0.8), table(2, correlation=-0.8))
    assert check.verdict is Verdict.FAILED
    assert check.blocks
    assert "'first'" in check.message
    assert "'second'" in check.message
    assert "2,000 rows" in check.message


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rows", [500, 3000])
def test_equal_distributions_pass(rows: int, seed: int) -> None:
    check = drift(table(2 * seed, rows), table(2 * seed + 1, rows))
    assert check.verdict is Verdict.PASSED
    assert isinstance(check.observed, float)
    assert abs(check.observed - 0.5) < 0.08


@pytest.mark.parametrize(
    "change",
    [pl.col("other") + 2, pl.col("with_nulls").fill_null(0.5), pl.lit("plan unseen").alias("plan"), ~pl.col("flag")],
)
def test_a_shift_of_one_column_is_told_and_named(change: pl.Expr) -> None:
    check = drift(table(1), table(2).with_columns(change))
    assert check.verdict is Verdict.FAILED
    assert f"most by '{change.meta.output_name()}'" in check.message


def shops(seed: int, prefix: str, rows: int = 1_000, shops: int = 130) -> pl.DataFrame:
    codes = np.random.default_rng(seed).integers(0, shops, rows)
    return table(seed, rows).select("first", "plan", shop=pl.Series([f"{prefix} {code}" for code in codes]))


def test_renamed_codes_of_few_rows_each_are_told() -> None:
    check = drift(shops(1, "shop"), shops(2, "store"))
    assert check.verdict is Verdict.FAILED
    assert "most by 'shop'" in check.message
    assert "by 3 columns" in check.message
    assert isinstance(check.observed, float)
    assert check.observed > 0.95


@pytest.mark.parametrize("codes", [130, 1_000, 10**6])
def test_equal_distributions_of_rare_codes_pass(codes: int) -> None:
    check = drift(shops(1, "shop", shops=codes), shops(2, "shop", shops=codes))
    assert check.verdict is Verdict.PASSED
    assert isinstance(check.observed, float)
    assert abs(check.observed - 0.5) < 0.06


def test_rows_on_both_sides_are_evidence_for_neither() -> None:
    shared = table(1)
    assert drift(shared, shared).observed == pytest.approx(0.5, abs=0.01)


def survey(seed: int, rows: int, shares: tuple[float, ...] = (1, 1, 1, 1, 1, 1, 1, 1)) -> pl.DataFrame:
    """Eight kinds of rows: three questions, answered by yes or no."""
    kinds = np.random.default_rng(seed).choice(8, rows, p=np.array(shares) / sum(shares))
    return pl.DataFrame({f"question {number}": (kinds >> number) % 2 for number in range(3)})


@pytest.mark.parametrize("shares", [(1, 1, 1, 1, 1, 1, 1, 1), (90, 1, 1, 1, 1, 1, 1, 1), (1, 0, 0, 0, 0, 0, 0, 0)])
def test_a_survey_of_eight_distinct_rows_passes_where_their_shares_are_alike(shares: tuple[float, ...]) -> None:
    before = survey(1, 600, shares)
    for now in (survey(2, 600, shares), pl.concat([before, survey(3, 200, shares)])):
        check = drift(before, now)
        assert check.verdict is Verdict.PASSED
        assert isinstance(check.observed, float)
        assert 0.42 < check.observed < 0.54


def test_a_survey_of_eight_distinct_rows_fails_where_their_shares_have_moved() -> None:
    check = drift(survey(1, 1_000), survey(2, 1_000, (6, 1, 1, 1, 1, 1, 1, 6)))
    assert check.verdict is Verdict.FAILED
    assert "'question 0'" in check.message


def test_kinds_of_rows_that_one_side_alone_has_are_told() -> None:
    check = drift(survey(1, 600, (1, 1, 1, 1, 0, 0, 0, 0)), survey(2, 600, (0, 0, 0, 0, 1, 1, 1, 1)))
    assert (check.verdict, check.observed) == (Verdict.FAILED, 1.0)
    assert "most by 'question 2'" in check.message


def test_a_side_of_one_row_over_and_over_is_no_crash() -> None:
    codes = pl.DataFrame({"code": [f"c{number % 300}" for number in range(600)]})
    for number in range(8):
        alike = pl.DataFrame({"code": [f"c{number}"] * 600})
        assert {drift(codes, alike).name, drift(alike, codes).name} == {"drift[multivariate]"}


def test_a_slight_shift_passes_however_many_rows() -> None:
    check = drift(table(1, 20_000), table(2, 20_000).with_columns(pl.col("other") + 0.1), sample_rows=20_000)
    assert check.verdict is Verdict.PASSED
    assert check.interval is not None
    assert check.interval[0] > 0.5


@pytest.mark.parametrize("rule", list(OnInconclusive))
def test_an_interval_that_straddles_the_threshold_is_inconclusive(rule: OnInconclusive) -> None:
    before, now = table(1, 600), table(2, 600).with_columns(pl.col("other") + 1)
    threshold = drift(before, now).observed
    assert isinstance(threshold, float)
    check = drift(before, now, rule, roc_auc=threshold)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert check.blocks is (rule is OnInconclusive.BLOCK)


def test_too_few_rows_are_inconclusive() -> None:
    check = drift(table(1, 499), table(2, 5000))
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "499 rows" in check.message


def test_times_and_missing_columns_are_left_out() -> None:
    before, now = table(1).select("time", "other"), table(2).select("time", "flag")
    check = multivariate_check(
        before, now, columns=["time", "other", "flag"], policy=Multivariate(), rule=OnInconclusive.WARN
    )
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "no column" in check.message


def test_a_column_of_another_type_is_left_to_the_contract() -> None:
    before, now = table(1).select("other"), table(2).select(pl.col("other").cast(pl.String))
    assert drift(before, now).verdict is Verdict.INCONCLUSIVE


def test_odd_columns_do_no_harm() -> None:
    odd = table(1, 600).select(
        "other",
        nothing=pl.lit(None),
        infinite=pl.when(pl.col("flag")).then(np.inf).otherwise(pl.col("first")),
        lists=pl.concat_list("flag"),
        constant=pl.lit(1),
    )
    assert drift(odd, odd).verdict is Verdict.PASSED


def test_only_a_sample_is_looked_at_and_the_same_one_each_time() -> None:
    before, now = table(1, 3000), table(2, 3000)
    check = drift(before, now, sample_rows=800)
    assert "800 rows from 800" in check.message
    assert check == drift(before, now, sample_rows=800)


def test_weeks_of_the_example_are_told_apart_only_with_drift() -> None:
    columns = ["log_coinsurance", "chronic_diseases", "health", "physical_limitation", "high_use"]
    rule = OnInconclusive.WARN
    assert (
        multivariate_check(week(4), week(5), columns=columns, policy=Multivariate(), rule=rule).verdict
        is Verdict.PASSED
    )
    assert (
        multivariate_check(week(4), week(5, drift=1.0), columns=columns, policy=Multivariate(), rule=rule).verdict
        is Verdict.FAILED
    )
