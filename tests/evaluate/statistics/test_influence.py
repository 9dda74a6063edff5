from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from modelway.components.core.measures.metrics import Predictions, score
from modelway.components.evaluate.statistics.estimates import Subset
from modelway.components.evaluate.statistics.influence import (
    freedom_of,
    greatest_unseen,
    influence_of,
    influence_of_sums,
    standard_error,
    student_quantile,
)
from modelway.components.evaluate.statistics.resampling import Resampling

ROWS = 200


def subset(positives: int, rows: int = ROWS) -> Subset:
    positive = np.random.default_rng(positives).random(rows)
    truth = (np.arange(rows) < positives).astype(int)
    predicted = (positive > 0.6).astype(int)
    return Subset(Predictions(truth, predicted, np.column_stack([1 - positive, positive]), ("no", "yes")))


def of_numbers() -> Subset:
    dice = np.random.default_rng(0)
    truth = dice.normal(3, 2, size=ROWS)
    return Subset(Predictions(truth, truth + dice.standard_t(4, ROWS), None, ()))


def test_quantiles_are_scipys() -> None:
    assert student_quantile(0.025, 7.5) == pytest.approx(t.ppf(0.025, 7.5))


@pytest.mark.parametrize(
    ("metric", "rows"),
    [
        *((metric, subset(80)) for metric in ("average_precision", "log_loss", "brier_score", "matthews_corrcoef")),
        *((metric, subset(80)) for metric in ("precision", "f1", "f1_macro", "balanced_accuracy", "neg_log_loss")),
        *((metric, of_numbers()) for metric in ("r2", "root_mean_squared_error", "mean_absolute_error")),
    ],
)
def test_influences_are_the_jackknifes_of_scikit_learns_metric(metric: str, rows: Subset) -> None:
    """Without a row the metric is less by the row's influence, nearly."""
    influence = influence_of(metric, rows, Resampling(ROWS))
    left_out = [score(metric, rows.predictions.take(np.delete(np.arange(ROWS), row))) for row in range(ROWS)]
    jackknife = np.mean(left_out) - np.array(left_out)
    assert influence is not None
    assert np.corrcoef(influence, jackknife)[0, 1] > 0.99
    error = np.sqrt((ROWS - 1) / ROWS * (jackknife**2).sum())
    assert standard_error(influence, Resampling(ROWS)) == pytest.approx(error, rel=0.05)


def test_the_error_of_a_mean_is_that_of_the_textbook() -> None:
    losses = np.random.default_rng(0).exponential(size=150)
    terms = np.column_stack([losses, np.ones(150)])
    influence = influence_of_sums(terms, lambda sums: sums[..., 0] / sums[..., 1])
    assert standard_error(influence, Resampling(150)) == pytest.approx(losses.std(ddof=1) / np.sqrt(150), rel=1e-6)


def test_losses_that_do_not_differ_have_no_influence() -> None:
    terms = np.column_stack([np.full(20, 0.7), np.ones(20)])
    assert not influence_of_sums(terms, lambda sums: sums[..., 0] / sums[..., 1]).any()


@pytest.mark.parametrize("positives", [10, 100])
def test_the_freedom_is_that_of_rows_or_of_groups(positives: int) -> None:
    rows, resampling = subset(positives), Resampling(ROWS)
    influence = influence_of("roc_auc", rows, resampling)
    assert influence is not None
    freedom = freedom_of(influence, rows, resampling, is_area=True)
    assert 1 <= freedom <= ROWS - 2
    by_group = Resampling(ROWS, np.arange(ROWS) // 20)
    assert freedom_of(influence, rows, by_group, is_area=True) == 9


def test_few_rows_that_make_up_a_metric_give_few_degrees_of_freedom() -> None:
    """Where `k` of `n` rows differ, all by as much, the kurtosis is `n / k`."""
    rows = of_numbers()
    for count in (5, 20, 40):
        influence = np.zeros(ROWS)
        influence[: 2 * count : 2], influence[1 : 2 * count : 2] = 1.0, -1.0
        freedom = freedom_of(influence, rows, Resampling(ROWS), is_area=False)
        assert freedom == pytest.approx(ROWS / (ROWS / (2 * count) - 1), rel=1e-9)
    spread = np.random.default_rng(0).normal(size=ROWS)
    assert freedom_of(spread, rows, Resampling(ROWS), is_area=False) == pytest.approx(ROWS / 2, rel=0.3)


def test_groups_of_one_row_have_the_error_of_rows() -> None:
    rows = subset(60)
    influence = influence_of("roc_auc", rows, Resampling(ROWS))
    assert influence is not None
    single, grouped = (
        standard_error(influence, Resampling(ROWS, groups))
        for groups in (None, np.random.default_rng(0).permutation(ROWS))
    )
    assert grouped == pytest.approx(single, rel=0.005)


def test_copies_of_rows_do_not_make_the_freedom_greater() -> None:
    rows = of_numbers()
    groups = np.repeat(np.arange(ROWS), 5)
    copies = Subset(rows.predictions.take(groups))
    plain, by_group = (
        freedom_of(influence, sample, resampling, is_area=False)
        for sample, resampling in ((rows, Resampling(ROWS)), (copies, Resampling(5 * ROWS, groups)))
        if (influence := influence_of("r2", sample, resampling)) is not None
    )
    assert by_group == pytest.approx(plain)


def test_what_is_unseen_is_less_the_more_rows_there_are() -> None:
    assert greatest_unseen(subset(10).predictions, None, tail=0.05) == pytest.approx(1 - 0.05 ** (1 / 10))
    assert greatest_unseen(subset(100).predictions, None, tail=0.05) < 0.03
