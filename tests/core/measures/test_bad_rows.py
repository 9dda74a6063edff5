"""Tests of bad rows, against the formulas that they invert and against drawn rows."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from modelway.components.core.config.seen import SeenRows
from modelway.components.core.measures.bad_rows import (
    certainly_more,
    commonest_p_value,
    detectable_share,
    least_certain,
    p_value,
)


@pytest.mark.parametrize(("seen_bad", "bad"), [(0, 1), (0, 2), (1, 2), (2, 2)])
def test_the_chance_is_that_of_every_way_to_divide_the_rows(seen_bad: int, bad: int) -> None:
    seen, batch = 5, 4
    ways = list(combinations(range(seen + batch), batch))
    as_bad = sum(sum(row < seen_bad + bad for row in rows) >= bad for rows in ways)
    assert p_value(SeenRows(seen, seen_bad), bad, rows=batch) == pytest.approx(as_bad / len(ways))


@pytest.mark.parametrize(("rows", "batch"), [(500, 500), (20_000, 20_000), (1_000, 50_000), (50_000, 1_000)])
def test_the_fewest_certain_rows_are_those_of_the_closed_form(rows: int, batch: int) -> None:
    level = 0.01 / 60
    least = least_certain(SeenRows(rows), rows=batch, level=level)
    closed = math.log(1 / level) / math.log((rows + batch) / batch)
    assert least is not None
    assert least == pytest.approx(closed, rel=0.02, abs=1)
    assert p_value(SeenRows(rows), least, rows=batch) <= level < p_value(SeenRows(rows), least - 1, rows=batch)


def test_too_few_rows_are_never_certain() -> None:
    assert least_certain(SeenRows(20), rows=10, level=1e-9) is None
    assert least_certain(SeenRows(0), rows=10, level=0.5) is None
    assert least_certain(SeenRows(20), rows=0, level=0.5) is None
    assert p_value(SeenRows(20), 0, rows=10) == 1


@pytest.mark.parametrize("seen_bad", [0, 3, 40])
def test_rows_drawn_alike_are_seldom_certainly_worse(seen_bad: int) -> None:
    level, rng, share = 0.02, np.random.default_rng(seen_bad), seen_bad / 1_000
    draws = [(rng.binomial(1_000, share), rng.binomial(700, share)) for _ in range(1_000)]
    failed = sum(p_value(SeenRows(1_000, int(before)), now, rows=700) <= level for before, now in draws)
    assert failed <= 1_000 * level + 3 * math.sqrt(1_000 * level)


def test_rows_that_are_alike_weigh_as_one() -> None:
    assert p_value(SeenRows(1_000, 0, 10), 100, rows=1_000) == p_value(SeenRows(100), 10, rows=100)
    assert least_certain(SeenRows(1_000, 0, 10), rows=1_000, level=0.001) == 100


def test_what_a_batch_would_find() -> None:
    least = least_certain(SeenRows(20_000), rows=20_000, level=0.01 / 60)
    share = detectable_share(least, rows=20_000)
    assert least == 13
    assert share is not None
    assert share < 0.001  # 0.1 % of bad rows are found with 90 %
    assert np.mean(np.random.default_rng(0).binomial(20_000, share, 20_000) >= least) == pytest.approx(0.9, abs=0.01)
    assert detectable_share(None, rows=100) is None


def test_more_than_what_is_let_pass_must_be_certain() -> None:
    assert not certainly_more(6, rows=500, share=0.01, level=0.01 / 40)
    assert certainly_more(40_000, rows=1_000_000, share=0.01, level=0.01 / 40)
    assert not certainly_more(0, rows=10, share=0.0, level=0.01)
    assert certainly_more(1, rows=10, share=0.0, level=0.01)
    assert not certainly_more(60, rows=500, share=0.01, level=0.01 / 40, rows_as_one=20)


def test_the_commonest_unseen_value_is_one_of_many() -> None:
    seen = SeenRows(1_000)
    assert commonest_p_value(seen, 10, rows=1_000, values=5) == pytest.approx(5 * p_value(seen, 10, rows=1_000))
    assert commonest_p_value(seen, 1, rows=1_000, values=5) == 1
