from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from leakage_tables import NOW, leakage, table, verdicts, with_feature

from modelway.components.core.checks import Verdict


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
