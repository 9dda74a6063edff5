from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t

from modelway.components.core.measures.metrics import Predictions
from modelway.components.evaluate.statistics.bootstrap import percentiles, resamples
from modelway.components.evaluate.statistics.resampling import Resampling


@pytest.mark.parametrize("count", [5, 20, 1000])
def test_the_percentiles_are_as_far_out_as_students_distribution_asks_for(count: int) -> None:
    """Of resamples that are normal, the bounds are those of a t interval with the unbiased standard error."""
    resampled = norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    interval, error = percentiles(resampled, count=count, tail=0.025)
    assert interval is not None
    assert interval[1] == pytest.approx(t.ppf(0.975, count - 1) * np.sqrt(count / (count - 1)), rel=0.01)
    assert interval[0] == pytest.approx(-interval[1])
    assert error == pytest.approx(1.0, rel=0.01)


def test_what_a_tenth_of_the_resamples_miss_is_not_known() -> None:
    resampled = np.random.default_rng(0).normal(size=200)
    resampled[:19] = np.nan
    assert percentiles(resampled, count=50, tail=0.025)[0] is not None
    resampled[:21] = np.nan
    assert percentiles(resampled, count=50, tail=0.025) == (None, None)


def test_resamples_spread_as_the_median_does() -> None:
    """Laplace's median of n errors has the standard error 1 / sqrt(n)."""
    truth = np.zeros(2000)
    predictions = Predictions(truth, np.random.default_rng(1).laplace(size=2000), None, ())
    values = resamples("median_absolute_error", predictions, None, value=np.log(2), resampling=Resampling(2000))
    assert values.std() == pytest.approx(1 / np.sqrt(2000), rel=0.3)
    assert values.mean() == pytest.approx(np.log(2), abs=0.08)
