from __future__ import annotations

import math

import numpy as np
import pytest

from modelway.components.core.measures.quantiles import minimum_samples, quantile_interval, rate_interval


@pytest.mark.parametrize(
    ("quantile", "confidence", "expected"),
    [(0.5, 0.95, 6), (0.95, 0.95, 72), (0.99, 0.95, 368), (0.99, 0.9, 299), (0.999, 0.95, 3688), (0.01, 0.95, 368)],
)
def test_the_fewest_values_are_those_from_which_the_interval_is_finite(
    quantile: float, confidence: float, expected: int
) -> None:
    assert minimum_samples(quantile, confidence) == expected
    enough = quantile_interval(np.arange(expected, dtype=np.float64), quantile, confidence=confidence)
    short = quantile_interval(np.arange(expected - 1, dtype=np.float64), quantile, confidence=confidence)
    assert all(map(math.isfinite, enough))
    assert not all(map(math.isfinite, short))


def test_the_median_of_twenty_lies_between_the_sixth_and_the_fifteenth() -> None:
    assert quantile_interval(np.arange(1, 21, dtype=np.float64), 0.5, confidence=0.95) == (6.0, 15.0)


@pytest.mark.parametrize(("count", "quantile"), [(60, 0.5), (200, 0.95), (600, 0.99)])
def test_the_interval_holds_the_quantile_as_often_as_it_says_whatever_the_distribution(
    count: int, quantile: float
) -> None:
    dice = np.random.default_rng(0)
    draws = np.sort(dice.lognormal(sigma=1.5, size=(3_000, count)), axis=1)
    truth = float(np.quantile(dice.lognormal(sigma=1.5, size=4_000_000), quantile))
    intervals = [quantile_interval(row, quantile, confidence=0.95) for row in draws]
    missed_low = np.mean([low > truth for low, _ in intervals])
    missed_high = np.mean([high < truth for _, high in intervals])
    assert missed_low < 0.025 + 0.01
    assert missed_high < 0.025 + 0.01
    assert missed_low + missed_high > 0.005


def test_no_values_bound_nothing() -> None:
    assert quantile_interval(np.empty(0), 0.5, confidence=0.95) == (-math.inf, math.inf)


def test_the_rates_interval_holds_a_steady_rate_as_often_as_it_says() -> None:
    dice = np.random.default_rng(0)
    covered = 0
    for _ in range(1_000):
        ends = np.cumsum(dice.exponential(0.02, size=201))
        low, high = rate_interval(ends, 200 / (ends[-1] - ends[0]), confidence=0.95) or (0.0, 0.0)
        covered += low <= 50 <= high
    assert 0.92 < covered / 1_000 < 0.98


def test_few_requests_give_no_interval_of_the_rate() -> None:
    assert rate_interval(np.arange(19, dtype=np.float64), 1.0, confidence=0.95) is None
    assert rate_interval(np.arange(20, dtype=np.float64), 1.0, confidence=0.95) is not None
