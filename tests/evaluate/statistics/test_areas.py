from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from modelway.components.core.measures.metrics import Predictions
from modelway.components.evaluate.statistics.areas import (
    freedom_of,
    greatest_unseen,
    influence_of,
    standard_error,
    student_quantile,
)
from modelway.components.evaluate.statistics.estimates import Subset
from modelway.components.evaluate.statistics.resampling import Resampling


def subset(positives: int, rows: int = 200) -> Subset:
    positive = np.random.default_rng(positives).random(rows)
    truth = (np.arange(rows) < positives).astype(int)
    return Subset(Predictions(truth, truth, np.column_stack([1 - positive, positive]), ("no", "yes")))


def test_quantiles_are_scipys() -> None:
    assert student_quantile(0.025, 7.5) == pytest.approx(t.ppf(0.025, 7.5))


@pytest.mark.parametrize("positives", [10, 100])
def test_the_freedom_is_that_of_rows_or_of_groups(positives: int) -> None:
    rows, resampling = subset(positives), Resampling(200)
    influence = influence_of("roc_auc", rows, resampling)
    assert influence is not None
    freedom = freedom_of(influence, rows, resampling)
    assert 1 <= freedom <= 198
    assert freedom_of(influence, rows, Resampling(200, np.arange(200) // 20)) == 9


def test_groups_of_one_row_have_the_error_of_rows() -> None:
    rows = subset(60)
    influence = influence_of("roc_auc", rows, Resampling(200))
    assert influence is not None
    single, grouped = (
        standard_error(influence, Resampling(200, groups))
        for groups in (None, np.random.default_rng(0).permutation(200))
    )
    assert grouped == pytest.approx(single, rel=0.005)


def test_what_is_unseen_is_less_the_more_rows_there_are() -> None:
    assert greatest_unseen(subset(10).predictions, None, tail=0.05) == pytest.approx(1 - 0.05 ** (1 / 10))
    assert greatest_unseen(subset(100).predictions, None, tail=0.05) < 0.03
