from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from modelway.components.core.measures.metrics import Array
from modelway.components.evaluate.statistics.bootstrap import studentized
from modelway.components.evaluate.statistics.resampling import Resampling

ROWS, DRAWS = 150, 250


def log_mean(sums: Array) -> Array:
    return np.asarray(np.log(sums[..., 0] / sums[..., 1]))


@pytest.mark.parametrize(
    ("draw", "mean"),
    [
        (lambda dice: dice.exponential(size=ROWS), 1.0),
        (lambda dice: dice.normal(size=ROWS) ** 2, 1.0),
        (lambda dice: np.exp(dice.normal(size=ROWS)), np.exp(0.5)),
    ],
)
def test_the_interval_of_a_skewed_mean_covers_it(draw: Callable[[np.random.Generator], Array], mean: float) -> None:
    resampling, covered = Resampling(ROWS), 0
    for seed in range(DRAWS):
        losses = draw(np.random.default_rng(seed))
        sums = resampling.sums(np.column_stack([losses, np.ones(ROWS)]), None)
        (low, high), _ = studentized(sums, log_mean, times=resampling.times, tail=0.025)
        covered += low <= np.log(mean) <= high
    assert 0.905 <= covered / DRAWS <= 0.985


def test_the_error_is_that_of_the_mean() -> None:
    losses = np.random.default_rng(0).exponential(size=ROWS)
    resampling = Resampling(ROWS)
    sums = resampling.sums(np.column_stack([losses, np.ones(ROWS)]), None)
    _, error = studentized(sums, lambda sums: sums[..., 0] / sums[..., 1], times=resampling.times, tail=0.025)
    assert error == pytest.approx(losses.std(ddof=1) / np.sqrt(ROWS), rel=1e-4)


def test_losses_that_do_not_differ_have_no_width() -> None:
    resampling = Resampling(20)
    sums = resampling.sums(np.column_stack([np.full(20, 2.0), np.ones(20)]), None)
    interval, error = studentized(sums, log_mean, times=resampling.times, tail=0.025)
    assert (interval[1] - interval[0], error) == (pytest.approx(0.0, abs=1e-9), pytest.approx(0.0, abs=1e-9))
