from __future__ import annotations

import numpy as np
import pytest

from modelway.components.core.measures.unseen import SeenValues


def draw(seed: int, rows: int, *, values: int, skew: float) -> np.ndarray:  # type: ignore[type-arg]
    weights = 1 / np.arange(1, values + 1) ** skew
    return np.random.default_rng(seed).choice(values, rows, p=weights / weights.sum())


def seen_in(sample: np.ndarray) -> SeenValues:  # type: ignore[type-arg]
    return SeenValues.of(np.unique(sample, return_counts=True)[1].tolist())


@pytest.mark.parametrize(("values", "skew"), [(100, 0.0), (100, 1.0), (2_000, 0.0), (2_000, 1.0)])
def test_the_expected_share_is_that_of_further_rows(values: int, skew: float) -> None:
    differences = []
    for seed in range(100):
        sample, further = draw(seed, 500, values=values, skew=skew), draw(seed + 1_000, 500, values=values, skew=skew)
        differences.append((~np.isin(further, sample)).mean() - seen_in(sample).unseen_share)
    assert np.mean(differences) == pytest.approx(0, abs=4 * np.std(differences) / 10)


@pytest.mark.parametrize(("values", "skew"), [(100, 1.0), (2_000, 0.0), (2_000, 1.0), (10**6, 0.0)])
def test_the_p_value_is_small_as_seldom_as_it_says(values: int, skew: float) -> None:
    p_values = []
    for seed in range(200):
        sample, further = draw(seed, 500, values=values, skew=skew), draw(seed + 1_000, 500, values=values, skew=skew)
        p_values.append(seen_in(sample).p_value((~np.isin(further, sample)).sum(), 500))
    assert np.mean(np.array(p_values) < 0.05) < 0.1
    assert np.mean(np.array(p_values) < 0.01) < 0.04


def test_values_that_were_never_seen_are_certain_where_every_value_was_seen_often() -> None:
    seen = SeenValues.of([50.0] * 20)
    assert (seen.rows, seen.once, seen.unseen_share) == (1_000, 0, 0)
    assert seen.p_value(200, 1_000) < 1e-12
    assert seen.p_value(2, 1_000) > 0.05


def test_rows_that_are_alike_weigh_as_one() -> None:
    seen = SeenValues.of([4.0, 8.0, 40.0], rows_per_group=4)
    assert (seen.rows, seen.once, seen.twice) == (13, 1, 1)


def test_nothing_is_certain_without_rows() -> None:
    assert SeenValues.of([]).unseen_share == 1
    assert SeenValues.of([]).p_value(3, 5) == 1
    assert SeenValues.of([5.0]).p_value(0, 0) == 1
