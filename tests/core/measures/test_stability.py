"""The population stability index, and what chance adds to it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modelway.components.core.measures.stability import excess_stability_index, population_stability_index

SHARES = np.array([0.4, 0.3, 0.2, 0.1, 0.0])


@pytest.mark.parametrize(("expected_rows", "rows"), [(500, 500), (5000, 300), (200, 4000)])
def test_where_nothing_has_moved_the_excess_is_about_nothing(expected_rows: int, rows: int) -> None:
    """On average over many draws the index is what is taken off."""
    dice = np.random.default_rng(7)
    indexes = []
    for _ in range(2000):
        before, now = (dice.multinomial(count, SHARES) / count for count in (expected_rows, rows))
        indexes.append(population_stability_index(before, now))
    by_chance = 3 * (1 / expected_rows + 1 / rows)
    assert np.mean(indexes) == pytest.approx(by_chance, rel=0.1)


def test_a_shift_stays_what_it_is() -> None:
    later = [0.1, 0.2, 0.3, 0.4, 0.0]
    index = population_stability_index(SHARES, later)
    excess = excess_stability_index(SHARES, later, expected_rows=1000, rows=1000)
    assert excess == pytest.approx(index - 3 * (1 / 1000 + 1 / 1000))
    assert excess_stability_index(SHARES, SHARES, expected_rows=100, rows=100) == 0.0


def test_the_index_is_that_of_the_textbook() -> None:
    # (0.4-0.5)ln(0.4/0.5) + (0.35-0.3)ln(0.35/0.3) + (0.25-0.2)ln(0.25/0.2), worked out by hand
    by_hand = 0.0223143551 + 0.0077075340 + 0.0111571776
    assert population_stability_index([0.5, 0.3, 0.2], [0.4, 0.35, 0.25]) == pytest.approx(by_hand, abs=1e-9)


def test_an_empty_bin_counts_as_a_ten_thousandth() -> None:
    expected = (0.5 - 1e-4) * math.log(0.5 / 1e-4) + (0.5 - 1.0) * math.log(0.5)
    assert population_stability_index([1.0, 0.0], [0.5, 0.5]) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_the_index_is_symmetric_not_negative_and_zero_for_equals(seed: int) -> None:
    dice = np.random.default_rng(seed)
    first, second = dice.dirichlet(np.ones(6)).tolist(), dice.dirichlet(np.ones(6)).tolist()
    assert population_stability_index(first, first) == 0
    assert population_stability_index(first, second) > 0
    assert population_stability_index(first, second) == pytest.approx(population_stability_index(second, first))
