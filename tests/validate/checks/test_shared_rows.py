from __future__ import annotations

import polars as pl
import pytest
from leakage_tables import leakage, table

from modelway.components.core.checks import Verdict


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
    checks = leakage(train, pl.concat([test, train]), sample_rows=1000, shared_rows=0.08)
    assert checks["shared_rows"].verdict is Verdict.INCONCLUSIVE


def test_missing_values_equal_each_other_in_shared_rows() -> None:
    train = table(1).with_columns(dose=pl.lit(None, pl.Float64), age=pl.lit(float("nan")))
    assert leakage(train, train.head(5))["shared_rows"].observed == 1.0
