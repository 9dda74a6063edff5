"""How alike neighbouring rows are."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from modelway.pipelines.project.row_order import growth, rows_as_one

RNG = np.random.default_rng(5)


def autoregressive(rows: int, correlation: float) -> Any:
    noise = RNG.normal(size=rows)
    values = [noise[0]]
    for step in noise[1:]:
        values.append(correlation * values[-1] + np.sqrt(1 - correlation**2) * step)
    return np.array(values)


def tails(values: Any) -> list[Any]:
    low, high = np.quantile(values, [0.1, 0.9])
    return [values <= low, values >= high]


@pytest.mark.parametrize("rows", [5, 50, 100, 500, 5_000])
def test_rows_in_random_order_weigh_as_themselves(rows: int) -> None:
    alike = [rows_as_one(tails(RNG.normal(size=rows))) for _ in range(300)]
    assert sum(number > 1 for number in alike) <= 9  # 1 % of 300, within two standard deviations and some


def test_the_more_alike_neighbours_are_the_more_rows_weigh_as_one() -> None:
    alike = [np.median([rows_as_one(tails(autoregressive(5_000, c))) for _ in range(9)]) for c in (0, 0.5, 0.9, 0.99)]
    assert alike[0] == 1
    assert 1 <= alike[1] < alike[2] < alike[3]
    assert 4 < alike[2] < 25  # (1 + 0.9) / (1 - 0.9) is 19 for the mean of the values themselves


def test_a_block_of_marked_rows_weighs_as_few() -> None:
    mask = np.arange(1_000) >= 900
    assert rows_as_one([mask]) == pytest.approx(111, rel=0.02)
    assert rows_as_one([RNG.permutation(mask)]) == 1


def test_nothing_marked_tells_nothing() -> None:
    assert rows_as_one([]) == 1
    assert rows_as_one([np.zeros(1_000, dtype=bool), np.ones(1_000, dtype=bool)]) == 1


def test_growth_is_told_from_chance_and_from_codes() -> None:
    numbers = np.arange(200)
    assert growth(pl.Series(numbers * 3.0)) == pytest.approx(1)
    assert growth(pl.Series(-(numbers**3))) == pytest.approx(-1)
    assert abs(growth(pl.Series(RNG.permutation(numbers)))) < 0.3
    assert growth(pl.Series(numbers // 40)) == 0
    days = pl.Series(RNG.permutation(numbers)).cast(pl.Date)
    assert growth(days.cast(pl.Int32) * 2, days) == pytest.approx(1)
    assert growth(pl.Series([None] * 200, dtype=pl.Float64)) == 0
