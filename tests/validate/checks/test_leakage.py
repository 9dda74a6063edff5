from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from user_files import minimal_project

from modelway.components.core.checks import Check, OnInconclusive, Verdict
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.data_policy import Leakage
from modelway.components.core.config.project import Project
from modelway.components.ingest.split import split_table
from modelway.components.validate.checks.leakage import leakage_checks
from modelway.components.validate.checks.single_feature import roc_auc_interval

NOW = dt.datetime(2026, 6, 1)
FEATURES = {"numeric": ["age", "dose", "visits"], "categorical": ["clinic", "smoker"], "datetime": ["admitted"]}


def table(seed: int, rows: int = 2000) -> pl.DataFrame:
    """Clean rows: every feature says a little of the label, or nothing."""
    dice = np.random.default_rng(seed)
    age = dice.normal(50, 15, rows)
    admitted = [dt.datetime(2024, 1, 1) + dt.timedelta(hours=int(hours)) for hours in dice.integers(0, 9000, rows)]
    ill = dice.random(rows) < 1 / (1 + np.exp(-(age - 60) / 10))
    return pl.DataFrame(
        {
            "patient": dice.permutation(rows) // 4 + 1_000_000 * seed,
            "age": age,
            "dose": [None if hole < 0.1 else value for hole, value in dice.random((rows, 2))],
            "visits": dice.poisson(3, rows),
            "clinic": [f"clinic {number}" for number in dice.integers(0, 12, rows)],
            "smoker": dice.random(rows) < 0.3,
            "admitted": admitted,
            "known": [time + dt.timedelta(days=30) for time in admitted],
            "cost": np.exp(dice.normal(3, 1, rows)) * (1 + age / 50),
            "stage": [f"stage {number}" for number in dice.choice(4, rows, p=[0.5, 0.3, 0.15, 0.05])],
            "ill": ill.astype(np.int64),
        }
    )


def leakage(
    train: pl.DataFrame,
    test: pl.DataFrame | None = None,
    *,
    features: dict[str, list[str]] | None = None,
    task: str = "binary",
    label: str = "ill",
    data: dict[str, Any] | None = None,
    contract: dict[str, Any] | None = None,
    serving: list[str] | None = None,
    rule: OnInconclusive = OnInconclusive.WARN,
    **policy: Any,
) -> dict[str, Check]:
    source = {"source": "rows.parquet", **(data or {})}
    project = minimal_project(task=task, label=label, data=source, features=features or FEATURES)
    contract_of_table = Contract.model_validate({"columns": {"age": {"type": "number"}, **(contract or {})}})
    leakage_policy = Leakage.model_validate(policy)
    checks = leakage_checks(
        train.lazy(),
        (table(99, 500) if test is None else test).lazy(),
        project=project,
        contract=contract_of_table,
        policy=leakage_policy,
        rule=rule,
        serving_columns=serving,
        today=NOW,
    )
    assert len({check.name for check in checks}) == len(checks)
    return {check.name: check for check in checks}


def verdicts(checks: dict[str, Check]) -> dict[str, Verdict]:
    return {name: check.verdict for name, check in checks.items() if check.verdict is not Verdict.PASSED}


def with_feature(name: str, kind: str) -> dict[str, list[str]]:
    return FEATURES | {kind: [*FEATURES[kind], name]}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("task", "label"), [("binary", "ill"), ("regression", "cost"), ("multiclass", "stage")])
def test_clean_rows_pass_every_check(task: str, label: str, seed: int) -> None:
    checks = leakage(table(seed), task=task, label=label, data={"label_time": "known"}, groups=["patient"])
    assert verdicts(checks) == {}
    assert set(checks) == {
        "leakage[single features]",
        "duplicate[features]",
        "identifier[features]",
        "shared_rows",
        "shared_groups[patient]",
        "label_time[admitted]",
        "future[admitted]",
        "at_serving[features]",
    }


def test_the_example_is_clean(root: Path) -> None:
    folder = root / "examples" / "insurance"
    project = Project.load(str(folder / "project.yaml"))
    splits = split_table(pl.read_parquet(folder / "claims.parquet"), project.data.split)
    contract = Contract.load(str(folder / "contract.yaml"))
    checks = leakage_checks(
        splits.train.lazy(),
        splits.test.lazy(),
        project=project,
        contract=contract,
        policy=Leakage(),
        rule=OnInconclusive.WARN,
        serving_columns=None,
    )
    assert {check.verdict for check in checks} == {Verdict.PASSED}
    assert "shared_groups[person]" in {check.name for check in checks}


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


@pytest.mark.parametrize(
    ("kind", "copy"),
    [
        ("numeric", pl.col("ill")),
        ("numeric", pl.col("ill") * -3.5 + 1),
        ("categorical", pl.col("ill").cast(pl.String)),
        ("categorical", pl.when(pl.col("ill") == 1).then(pl.lit("yes")).otherwise(pl.lit("no"))),
        ("categorical", pl.when(pl.col("ill") == 1).then(pl.lit("only where ill"))),
    ],
)
def test_a_feature_that_encodes_the_label_is_caught(kind: str, copy: pl.Expr) -> None:
    checks = leakage(table(1).with_columns(copy=copy), features=with_feature("copy", kind))
    assert checks["duplicate[copy]"].verdict is Verdict.FAILED


@pytest.mark.parametrize("copy", [pl.col("cost"), pl.col("cost").log(), -pl.col("cost")])
def test_a_feature_that_rises_or_falls_strictly_with_the_label_is_caught(copy: pl.Expr) -> None:
    rows = table(1).with_columns(copy=copy)
    checks = leakage(rows, features=with_feature("copy", "numeric"), task="regression", label="cost")
    assert checks["duplicate[copy]"].verdict is Verdict.FAILED


def test_features_that_are_the_same_are_inconclusive() -> None:
    rows = table(1).with_columns(again=pl.col("visits").cast(pl.Float64))
    checks = leakage(rows, features=with_feature("again", "numeric"))
    assert verdicts(checks) == {"duplicate[again]": Verdict.INCONCLUSIVE}
    assert "'visits'" in checks["duplicate[again]"].message


IDENTIFIERS = {
    "count": ("numeric", pl.int_range(1, pl.len() + 1).shuffle(seed=1)),
    "count with fractions of none": ("numeric", pl.int_range(1, pl.len() + 1).shuffle(seed=1).cast(pl.Float64)),
    "name": ("categorical", pl.format("row {}", pl.int_range(pl.len()).shuffle(seed=1))),
    "number as a name": ("categorical", pl.int_range(pl.len()).shuffle(seed=1) * 7919),
}


@pytest.mark.parametrize("identifier", IDENTIFIERS)
def test_a_feature_that_names_the_row_is_caught(identifier: str) -> None:
    kind, expression = IDENTIFIERS[identifier]
    checks = leakage(table(1).with_columns(key=expression), features=with_feature("key", kind))
    assert verdicts(checks) == {"identifier[key]": Verdict.FAILED}


def test_evenly_spread_numbers_that_never_repeat_are_inconclusive() -> None:
    rows = table(1).with_columns(key=np.random.default_rng(1).integers(0, 2**60, 2000))
    assert verdicts(leakage(rows, features=with_feature("key", "numeric"))) == {"identifier[key]": Verdict.INCONCLUSIVE}


@pytest.mark.parametrize("unit", ["hours", "days"])
def test_a_time_of_which_each_row_has_its_own_is_inconclusive(unit: str) -> None:
    time = dt.datetime(2019, 1, 1) + pl.duration(**{unit: pl.int_range(pl.len()).shuffle(seed=1)})
    rows = table(1).with_columns(tick=time)
    checks = leakage(rows, features=with_feature("tick", "datetime"))
    assert verdicts(checks) == {"identifier[tick]": Verdict.INCONCLUSIVE}


@pytest.mark.parametrize(
    "measurement",
    [
        pl.col("age") * 1000,
        (pl.col("age") * 1e7).cast(pl.Int64),
        (pl.col("cost") * 1e6).cast(pl.Int64),
        pl.col("cost").round(2),
    ],
)
def test_a_measurement_that_never_repeats_is_no_identifier(measurement: pl.Expr) -> None:
    rows = table(1).with_columns(measured=measurement)
    assert verdicts(leakage(rows, features=with_feature("measured", "numeric"))) == {}


def test_a_number_that_repeats_beyond_the_sample_is_no_identifier() -> None:
    rows = table(1, 40_000).with_columns(often=np.random.default_rng(1).integers(0, 60_000, 40_000))
    checks = leakage(rows, features={"numeric": ["often"]}, sample_rows=1000, single_feature=None)
    assert verdicts(checks) == {}


def test_a_counter_of_rows_that_are_sorted_by_the_label_is_caught() -> None:
    rows = table(1).sort("ill").with_columns(counter=pl.int_range(pl.len()) * 1000.5)
    checks = leakage(rows, features=with_feature("counter", "numeric"), single_feature=None)
    assert verdicts(checks) == {"identifier[counter]": Verdict.FAILED}


def test_a_counter_of_rows_in_no_order_is_let_be() -> None:
    rows = table(1).with_columns(counter=pl.int_range(pl.len()) * 1000.5)
    assert verdicts(leakage(rows, features=with_feature("counter", "numeric"))) == {}


def test_rows_on_both_sides_are_counted() -> None:
    train, test = table(1), table(2, 500)
    checks = leakage(train, pl.concat([test, train.head(7)]))
    assert checks["shared_rows"].verdict is Verdict.FAILED
    assert checks["shared_rows"].message.startswith("7 of 507 test rows")
    assert leakage(train, pl.concat([test, train.head(7)]), shared_rows=0.02)["shared_rows"].verdict is Verdict.PASSED


@pytest.mark.parametrize("train_rows", [3000, 30_000])
def test_rows_on_both_sides_are_found_by_a_sample_of_the_test_rows(train_rows: int) -> None:
    train, test = table(1, train_rows), table(2, 20_000)
    checks = leakage(train, pl.concat([test, train.head(2000)]), sample_rows=2000, shared_rows=0.01)
    share = checks["shared_rows"]
    assert share.verdict is Verdict.FAILED
    assert share.interval is not None
    assert share.interval[0] < 2000 / 22_000 < share.interval[1]
    assert "a random sample of 2,000 of 22,000 test rows" in share.message
    clean = leakage(train, test, sample_rows=2000)["shared_rows"]
    assert clean.verdict is Verdict.PASSED
    assert clean.interval == (0.0, pytest.approx(1 - 0.025 ** (1 / 2000), abs=1e-6))


def test_a_share_that_the_sample_cannot_tell_is_inconclusive() -> None:
    train, test = table(1), table(2, 20_000)
    checks = leakage(train, pl.concat([test, train]), sample_rows=1000, shared_rows=0.09)
    assert checks["shared_rows"].verdict is Verdict.INCONCLUSIVE


def test_missing_values_equal_each_other_in_shared_rows() -> None:
    train = table(1).with_columns(dose=pl.lit(None, pl.Float64), age=pl.lit(float("nan")))
    assert leakage(train, train.head(5))["shared_rows"].observed == 1.0


@pytest.mark.parametrize("by", ["policy", "split"])
def test_groups_on_both_sides_are_caught(by: str) -> None:
    train, test = table(1), table(2, 500)
    options: dict[str, Any] = {"groups": ["patient"]}
    if by == "split":
        options = {"data": {"split": {"by": "group", "column": "patient"}}}
    leaky_test = pl.concat([test, train.head(1).with_columns(age=1.5)])
    assert leakage(train, test, **options)["shared_groups[patient]"].verdict is Verdict.PASSED
    check = leakage(train, leaky_test, **options)["shared_groups[patient]"]
    assert (check.verdict, check.observed) == (Verdict.FAILED, 1)
    assert str(train["patient"][0]) in check.message


def test_a_group_column_that_is_not_there_fails() -> None:
    assert leakage(table(1), groups=["ward"])["shared_groups[ward]"].verdict is Verdict.FAILED


@pytest.mark.parametrize(
    "later", [pl.col("known") + pl.duration(hours=1), (pl.col("known") + pl.duration(days=1)).dt.date()]
)
def test_a_time_after_that_of_the_label_is_caught(later: pl.Expr) -> None:
    train = table(1).with_columns(left=later)
    options = {"features": with_feature("left", "datetime"), "data": {"label_time": "known"}}
    checks = leakage(train, table(2, 500).with_columns(left=later), **options)
    assert verdicts(checks) == {"label_time[left]": Verdict.FAILED}
    assert checks["label_time[left]"].observed == 2500


def test_the_day_of_the_label_is_not_after_it() -> None:
    day = pl.col("known").dt.date()
    options = {"features": with_feature("left", "datetime"), "data": {"label_time": "known"}}
    checks = leakage(table(1).with_columns(left=day), table(2, 500).with_columns(left=day), **options)
    assert verdicts(checks) == {}


def test_a_time_in_the_future_is_caught_unless_the_contract_allows_it() -> None:
    late = pl.when(pl.col("smoker")).then(pl.lit(NOW + dt.timedelta(days=2))).otherwise(pl.col("admitted"))
    train = table(1).with_columns(admitted=late)
    check = leakage(train)["future[admitted]"]
    assert (check.verdict, check.observed) == (Verdict.FAILED, train["smoker"].sum())
    column = {"admitted": {"type": "datetime", "maximum": dt.date(2030, 1, 1)}}
    assert "future[admitted]" not in leakage(train, contract=column)


def test_training_rows_after_the_first_test_row_are_caught() -> None:
    rows, split = table(1).sort("admitted"), {"split": {"by": "time", "column": "admitted"}}
    assert leakage(rows.head(1500), rows.tail(400), data=split)["time_order"].verdict is Verdict.PASSED
    assert leakage(rows.head(1500), rows.slice(1000, 700), data=split)["time_order"].verdict is Verdict.FAILED


def test_a_feature_that_is_not_known_at_serving_is_caught() -> None:
    contract = {"dose": {"type": "number", "at_serving": False}}
    assert verdicts(leakage(table(1), contract=contract)) == {"at_serving[dose]": Verdict.FAILED}
    serving = [name for kind in FEATURES.values() for name in kind if name != "clinic"]
    assert verdicts(leakage(table(1), serving=serving)) == {"at_serving[clinic]": Verdict.FAILED}


def test_the_policy_switches_checks_off() -> None:
    off = {"single_feature": None, "duplicates": False, "identifiers": False, "shared_rows": None, "times": False}
    assert set(leakage(table(1), data={"label_time": "known"}, **off)) == {"at_serving[features]"}


def test_what_is_found_is_the_same_each_time() -> None:
    rows = table(1, 6000)
    assert leakage(rows, sample_rows=1000) == leakage(rows, sample_rows=1000)
    assert (
        "a random sample of 1,000 of 6,000 training rows"
        in leakage(rows, sample_rows=1000)["duplicate[features]"].message
    )


ODD = {
    "nothing": pl.lit(None),
    "not numbers": pl.lit(float("nan")),
    "infinite": pl.when(pl.col("smoker")).then(float("inf")).otherwise(pl.col("age")),
    "constant": pl.lit(1),
    "lists": pl.concat_list("visits"),
    "records": pl.struct("visits", "smoker"),
    "bytes": pl.col("clinic").cast(pl.Binary),
    "categories": pl.col("clinic").cast(pl.Categorical),
    "decimals": pl.col("age").cast(pl.Decimal(12, 2)),
    "durations": pl.col("known") - pl.col("admitted"),
    "zoned": pl.col("admitted").dt.replace_time_zone("UTC"),
    "clock": pl.col("admitted").dt.time(),
}


@pytest.mark.parametrize("rows", [0, 1, 400])
@pytest.mark.parametrize("kind", ["numeric", "categorical", "datetime"])
@pytest.mark.parametrize(("task", "label"), [("binary", "ill"), ("regression", "lists"), ("multiclass", "decimals")])
def test_odd_columns_are_judged_without_an_error(task: str, label: str, kind: str, rows: int) -> None:
    train, test = (table(seed, 400).with_columns(**ODD).head(rows) for seed in (1, 2))
    features = {kind: [name for name in ODD if name != label] + ["not there"]}
    data = {"label_time": "zoned", "split": {"by": "time", "column": "clinic"}}
    assert leakage(train, test, features=features, task=task, label=label, data=data, groups=["lists", "records"])
