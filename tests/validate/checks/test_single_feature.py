from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from leakage_tables import leakage, table, with_feature
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from modelway.components.core.checks import OnInconclusive, Verdict

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


def binormal(area: float, rows: int, *, share: float, seed: int) -> pl.DataFrame:
    """A feature of two normal distributions, whose area under the ROC curve is known (Hanley, 1988)."""
    dice = np.random.default_rng(seed)
    ill = dice.permutation(rows) < rows * share
    return pl.DataFrame({"ill": ill.astype(int), "age": dice.normal(size=rows) + norm.ppf(area) * np.sqrt(2) * ill})


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("area", "share", "verdict"),
    [
        (0.985, 0.5, Verdict.FAILED),
        (0.97, 0.5, Verdict.PASSED),
        (0.985, 0.01, Verdict.INCONCLUSIVE),
        (0.9, 0.01, Verdict.PASSED),
    ],
)
def test_a_monotone_feature_has_its_plain_area(area: float, share: float, verdict: Verdict, sign: int) -> None:
    rows = binormal(area, 5_000, share=share, seed=1).with_columns(pl.col("age") * sign)
    checks = leakage(rows, features={"numeric": ["age"]}, duplicates=False, identifiers=False)
    check = checks["leakage[single features]" if verdict is Verdict.PASSED else "leakage[age]"]
    assert check.verdict is verdict
    expected = roc_auc_score(rows["ill"], rows["age"])
    assert check.observed == pytest.approx(max(expected, 1 - expected), abs=1e-6)


def test_the_plain_area_is_of_every_class_against_the_rest_and_of_flags() -> None:
    rows = table(1).with_columns(pl.when(pl.col("ill") == 1).then(pl.lit("stage 9")).otherwise("stage").alias("stage"))
    for features in ({"numeric": ["age"]}, {"categorical": ["flag"]}):
        (name,) = next(iter(features.values()))
        rows = rows.with_columns(flag=pl.col("age") > 60)
        kind = {"task": "multiclass", "label": "stage", "duplicates": False, "identifiers": False}
        check = leakage(rows, features=features, **kind)["leakage[single features]"]
        areas = [roc_auc_score(rows["stage"] == stage, rows[name].cast(float)) for stage in rows["stage"].unique()]
        assert check.observed == pytest.approx(max(max(area, 1 - area) for area in areas), abs=0.004)


def test_missing_values_do_not_hide_a_leak() -> None:
    rows = binormal(0.9999, 5_000, share=0.3, seed=1)
    holes = rows.with_columns(pl.when(pl.int_range(pl.len()) % 20 > 0).then("age").alias("age"))
    checks = leakage(holes, features={"numeric": ["age"]}, duplicates=False, identifiers=False)
    assert checks["leakage[age]"].verdict is Verdict.FAILED
