from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from leakage_tables import leakage, table, verdicts, with_feature

from modelway.components.core.checks import Verdict

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
