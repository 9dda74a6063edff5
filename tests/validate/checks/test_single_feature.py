from __future__ import annotations

import polars as pl
import pytest
from leakage_tables import leakage, table, with_feature

from modelway.components.core.checks import OnInconclusive, Verdict
from modelway.components.validate.checks.single_feature import roc_auc_interval

LEAKS = {
    "noisy copy": pl.col("ill") + pl.col("dose").fill_null(0.5) * 1.02,
    "in the middle": pl.col("age") % 1
    + pl.when(pl.col("ill") == 1).then(0.0).otherwise(pl.col("visits") % 2 * 3 - 1.5),
    "odd and even": pl.col("visits") * 2 + pl.col("ill"),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_number_that_predicts_the_label_is_caught(leak: str) -> None:
    checks = leakage(table(1).with_columns(leak=LEAKS[leak]), features=with_feature("leak", "numeric"))
    assert checks["leakage[leak]"].verdict is Verdict.FAILED
    assert checks["leakage[leak]"].blocks
    assert "2,000 training rows" in checks["leakage[leak]"].message
    assert checks["leakage[single features]"].verdict is Verdict.PASSED


def test_a_category_that_predicts_the_label_is_caught() -> None:
    leak = pl.concat_str("clinic", "ill", separator="/")
    checks = leakage(table(1).with_columns(leak=leak), features=with_feature("leak", "categorical"))
    assert checks["leakage[leak]"].verdict is Verdict.FAILED


def test_a_category_that_predicts_one_of_several_classes_is_caught() -> None:
    leak = pl.when(pl.col("stage") == "stage 2").then(pl.lit("surgery")).otherwise(pl.col("clinic"))
    rows = table(1).with_columns(leak=leak)
    checks = leakage(rows, features=with_feature("leak", "categorical"), task="multiclass", label="stage")
    assert checks["leakage[leak]"].verdict is Verdict.FAILED
    assert "best of 4" in checks["leakage[leak]"].message


@pytest.mark.parametrize(
    "leak", [pl.col("cost") * 0.9 + pl.col("age") / 100, pl.col("cost").log() + pl.col("visits") / 1e4]
)
def test_a_number_that_predicts_another_is_caught(leak: pl.Expr) -> None:
    rows = table(1).with_columns(leak=leak)
    checks = leakage(rows, features=with_feature("leak", "numeric"), task="regression", label="cost")
    assert checks["leakage[leak]"].verdict is Verdict.FAILED
    assert "R²" in checks["leakage[leak]"].message


def test_being_missing_is_caught_where_it_tells_the_label() -> None:
    leak = pl.when(pl.col("ill") == 1).then(pl.col("age") * 0 + pl.col("visits"))
    checks = leakage(table(1).with_columns(leak=leak), features=with_feature("leak", "numeric"))
    assert checks["leakage[leak]"].verdict is Verdict.FAILED


def test_the_hour_of_a_time_is_caught_where_it_tells_the_label() -> None:
    leak = pl.col("admitted").dt.truncate("1d") + pl.duration(hours=pl.col("ill") * 2 + pl.col("visits") % 2)
    checks = leakage(table(1).with_columns(leak=leak), features=with_feature("leak", "datetime"))
    assert checks["leakage[leak]"].verdict is Verdict.FAILED


@pytest.mark.parametrize("rule", list(OnInconclusive))
def test_a_skill_near_the_threshold_is_inconclusive(rule: OnInconclusive) -> None:
    rows = table(1, 400)
    skill = leakage(rows, features={"numeric": ["age"]})["leakage[single features]"].observed
    checks = leakage(rows, features={"numeric": ["age"]}, single_feature=skill, rule=rule)
    assert checks["leakage[age]"].verdict is Verdict.INCONCLUSIVE
    assert checks["leakage[age]"].blocks is (rule is OnInconclusive.BLOCK)


@pytest.mark.parametrize(("rows", "label"), [(60, "ill"), (2000, "constant"), (2000, "gone")])
def test_skill_is_inconclusive_without_a_label_that_can_be_judged(rows: int, label: str) -> None:
    checks = leakage(table(1, rows).with_columns(constant=1), label=label)
    assert checks["leakage[single features]"].verdict is Verdict.INCONCLUSIVE


def test_the_interval_is_that_of_hanley_and_mcneil() -> None:
    # Their example (1982, table II): an area of 0.893 with 51 and 58 images has a standard error of 0.032.
    low, high = roc_auc_interval(0.893, 51, negatives=58)
    assert (high - low) / 2 / 1.96 == pytest.approx(0.032, abs=0.0015)
