from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from modelway.components.validate.distances import (
    chi_squared_p,
    cramers_v,
    holm,
    jensen_shannon,
    kolmogorov_smirnov,
    kolmogorov_smirnov_p,
)

Numbers = np.ndarray[Any, np.dtype[np.float64]]


def shares(seed: int, bins: int = 6) -> list[float]:
    return [float(share) for share in np.random.default_rng(seed).dirichlet(np.ones(bins))]


@pytest.mark.parametrize("seed", range(5))
def test_the_jensen_shannon_distance_is_scipys(seed: int) -> None:
    first, second = shares(seed), shares(seed + 100)
    assert jensen_shannon(first, second) == pytest.approx(jensenshannon(first, second, base=2))
    assert jensen_shannon(first, first) == pytest.approx(0, abs=1e-7)


def test_disjoint_distributions_are_one_apart() -> None:
    first, second = [0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]
    assert jensen_shannon(first, second) == pytest.approx(1)
    assert cramers_v(first, second) == pytest.approx(1)


@pytest.mark.parametrize("seed", range(5))
def test_cramers_v_is_scipys_for_samples_of_equal_size(seed: int) -> None:
    dice = np.random.default_rng(seed)
    table = np.array([dice.multinomial(1000, shares(seed)), dice.multinomial(1000, shares(seed + 9))])
    expected = stats.contingency.association(table, method="cramer")
    assert cramers_v((table[0] / 1000).tolist(), (table[1] / 1000).tolist()) == pytest.approx(expected)


def test_kolmogorov_smirnov_at_the_deciles_is_close_to_that_at_every_value() -> None:
    dice = np.random.default_rng(0)
    before, now = dice.normal(size=20_000), dice.normal(0.3, size=20_000)
    edges = np.quantile(before, np.linspace(0, 1, 11)[1:-1])
    binned = [np.bincount(np.searchsorted(edges, values), minlength=10) / 20_000 for values in (before, now)]
    distance = kolmogorov_smirnov([*binned[0], 0.0], [*binned[1], 0.0])
    exact = stats.ks_2samp(before, now).statistic
    assert exact - 0.01 < distance <= exact


def test_missing_values_do_not_move_the_cumulative_distribution() -> None:
    assert kolmogorov_smirnov([0.5, 0.5, 0.0], [0.25, 0.25, 0.5]) == 0
    assert kolmogorov_smirnov([0.5, 0.5, 0.0], [0.0, 0.0, 1.0]) == 1
    assert kolmogorov_smirnov([0.0, 0.0, 1.0], [0.0, 0.0, 1.0]) == 0


@pytest.mark.parametrize("seed", range(5))
def test_the_p_value_of_chi_squared_is_scipys_where_no_bin_is_sparse(seed: int) -> None:
    dice = np.random.default_rng(seed)
    table = np.array([dice.multinomial(700, [0.2] * 5), dice.multinomial(400, [0.25, 0.15, 0.2, 0.2, 0.2])])
    expected = stats.chi2_contingency(table, correction=False).pvalue
    p_value = chi_squared_p(table[0].tolist(), table[1].tolist())
    assert p_value == pytest.approx(expected)


def test_sparse_bins_are_taken_together() -> None:
    assert chi_squared_p([495, 495, *[1] * 10], [495, 495, *[2, 0] * 5]) == pytest.approx(1)


def test_values_that_only_one_sample_happens_to_hold_are_no_difference() -> None:
    before, now = [400, *[1] * 40, 0], [400, *[1, 0] * 20, 20]
    assert chi_squared_p(before, now, rest=41) > 0.05
    assert chi_squared_p(before, now) < 0.01


def test_values_that_have_gone_do_not_make_up_for_values_that_have_come() -> None:
    assert chi_squared_p([*[6] * 130, 0], [*[0] * 130, 780], rest=130) < 1e-12  # the list is of the sample's own values
    assert chi_squared_p([*[3] * 100, 90], [*[0] * 100, 780], rest=100) < 1e-12  # it is of half of them


@pytest.mark.parametrize("skew", [0.0, 1.0, 2.0])
def test_a_list_of_the_samples_own_values_is_no_difference(skew: float) -> None:
    spread, dice = 1 / np.arange(1, 91) ** skew, np.random.default_rng(0)
    p_values = []
    for _ in range(300):
        before, now = (dice.multinomial(rows, spread / spread.sum()) for rows in (500, 1_000))
        listed = before > 0
        shares = [*before[listed].tolist(), 0], [*now[listed].tolist(), int(now[~listed].sum())]
        p_values.append(chi_squared_p(*shares, rest=int(listed.sum())))
    assert np.mean(np.array(p_values) < 0.05) < 0.09
    assert np.mean(np.array(p_values) < 0.01) < 0.04


def test_many_rows_of_values_not_seen_before_are_a_difference() -> None:
    assert chi_squared_p([400, 40, 0], [300, 40, 100], rest=2) < 1e-9
    assert chi_squared_p([400, 40, 3, 0], [300, 40, 3, 100], rest=3) < 1e-9


@pytest.mark.parametrize("spread", [[1.0], [0.2] * 5, [0.7, 0.2, 0.05, 0.03, 0.02], [0.01] * 100])
def test_equal_distributions_seem_different_as_often_as_the_p_value_says(spread: list[float]) -> None:
    dice = np.random.default_rng(0)
    draws = [[dice.multinomial(rows, spread).tolist() for rows in (600, 900)] for _ in range(1000)]
    p_values = np.array([chi_squared_p(before, now) for before, now in draws])
    assert np.mean(p_values < 0.05) < 0.07
    assert np.mean(p_values < 0.01) < 0.02


def test_nothing_is_certain_about_no_rows() -> None:
    assert chi_squared_p([0.0, 0.0], [0.0, 0.0]) == 1
    assert chi_squared_p([50.0, 50.0], [0.0, 0.0]) == 1
    assert kolmogorov_smirnov_p(1.0, 100, current=0) == 1


def test_the_p_value_of_kolmogorov_smirnov_is_scipys() -> None:
    dice = np.random.default_rng(3)
    before, now = dice.normal(size=1000), dice.normal(0.07, size=3000)
    expected = stats.ks_2samp(before, now, method="asymp")
    assert kolmogorov_smirnov_p(expected.statistic, 1000, current=3000) == pytest.approx(expected.pvalue, rel=0.05)


def test_holms_correction_is_that_of_the_textbook() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_corrected_p_value_is_no_smaller_and_keeps_the_order() -> None:
    p_values = np.random.default_rng(0).random(50)
    corrected = np.array(holm(p_values.tolist()))
    assert (corrected >= p_values).all()
    assert all(low <= high for low, high in pairwise(corrected[np.argsort(p_values)]))
