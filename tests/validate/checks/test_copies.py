"""Rows that stand more often than coincidence gives; against joins that multiply rows, and not against surveys."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from modelway.components.core.checks import Check, Verdict
from modelway.components.validate.checks.copies import _greatest_share, copies_check


def survey(rows: int, kinds: int, *, seed: int, skewed: bool = False) -> pl.DataFrame:
    """Answers of so many kinds, all as frequent or few more than others."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, kinds + 1) if skewed else np.ones(kinds)
    kind = rng.choice(kinds, rows, p=weights / weights.sum())
    return pl.DataFrame({"first": kind % 7, "rest": kind // 7})


def check(table: pl.DataFrame) -> Check:
    cut = len(table) // 5
    return copies_check(table[cut:].lazy(), table[:cut].lazy())


SIZES = [(400, 16), (400, 400), (2_000, 162), (2_000, 2_000), (2_000, 20_000), (20_000, 10_000)]


@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize(("rows", "kinds"), SIZES)
def test_coincidences_are_no_copies(rows: int, kinds: int, skewed: bool) -> None:
    checks = [check(survey(rows, kinds, seed=seed, skewed=skewed)) for seed in range(20 if rows < 20_000 else 3)]
    assert {check.verdict for check in checks} == {Verdict.PASSED}


@pytest.mark.parametrize("times", [2, 3, 5])
@pytest.mark.parametrize(("rows", "kinds"), SIZES)
def test_a_table_that_a_join_multiplied_is_caught(rows: int, kinds: int, times: int) -> None:
    copies = check(pl.concat([survey(rows // times, kinds, seed=kinds)] * times).sample(fraction=1, shuffle=True))
    assert (copies.verdict, copies.blocks) == (Verdict.FAILED, True)
    assert "a join may have multiplied rows" in copies.message


@pytest.mark.parametrize(("rows", "share"), [(2_000, 0.5), (20_000, 0.2)])
def test_a_join_that_doubled_some_rows_is_caught_where_most_are_distinct(rows: int, share: float) -> None:
    table = survey(rows, 20 * rows, seed=1)
    copies = check(pl.concat([table, table.head(int(share * rows))]))
    assert copies.verdict is Verdict.FAILED
    assert "contents stand 2 times" in copies.message


@pytest.mark.parametrize(("copied", "verdict"), [(30, Verdict.PASSED), (130, Verdict.FAILED)])
def test_few_copies_are_caught_where_the_split_says_that_rows_are_distinct(copied: int, verdict: Verdict) -> None:
    rows = survey(2_500, 2_500_000, seed=1)
    train, test = pl.concat([rows, rows.head(copied)]).lazy(), rows.head(0).lazy()
    assert copies_check(train, test).verdict is Verdict.PASSED
    copies = copies_check(train, test, mostly_distinct=True)
    assert copies.verdict is verdict
    assert ("by `equal_rows: together`: remove the copies" in copies.message) == (verdict is Verdict.FAILED)


def test_distinct_rows_and_no_rows_pass() -> None:
    assert check(pl.DataFrame({"x": range(100)})).message == "all 100 rows are distinct"
    assert check(pl.DataFrame({"x": []}, schema={"x": pl.Int64})).verdict is Verdict.PASSED


@pytest.mark.parametrize("factor", [2, 3, 4, 5])
def test_no_rate_gives_more_multiples(factor: int) -> None:
    rng = np.random.default_rng(factor)
    for rate in (0.1, 1.0, 2.0, 3.0, 4.0, 5.0, 20.0):
        times = rng.poisson(rate, 200_000)
        share = (times[times > 0] % factor == 0).mean()
        assert share < _greatest_share(factor) + 4 * (0.25 / (times > 0).sum()) ** 0.5
