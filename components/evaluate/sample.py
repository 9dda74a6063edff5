"""The rows that absolute metrics are judged from: the test rows, and out-of-fold predictions where those are few.

A model's metric is the mean over the repeats of cross-validation, each over all rows; the test rows, which the model
itself predicts, are in each repeat. Models of different folds share most of their training rows, so such a score varies
more than one of independent rows. Of `J` scores by `k` folds its variance is ``(1/J + rho/(1 - rho)) S²``, with
``rho = 1/k`` and the variance `S²` among the scores: the corrected resampled variance (Nadeau and Bengio 2003). On
average `S²` is ``(1 - rho)`` times the variance of one fold's score, which is `k` times that of all rows' score, and
that is what a metric's own interval is made of. So the variance is that of as many independent rows times
``1 + (k - 1) / J``, and no fold needs a score of its own, for which a slice has too few rows.

`J` is `k` here, which gives 1.8. Repeats with other folds make the value depend less on the folds' luck (Bouckaert and
Frank 2004), and could count as more scores where the recipe is in question. Here one model is, and its own luck does
not average out. `benchmarks/out_of_fold_coverage.py` measures how often the intervals hold the model's true value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Array, Predictions
from modelway.components.core.measures.out_of_fold import FOLDS
from modelway.components.evaluate.statistics.comparisons import compare
from modelway.components.evaluate.statistics.estimates import Estimate, Subset
from modelway.components.evaluate.statistics.resampling import Resampling

UNLIKE = 0.01  # how often, at most, rows that are alike are taken for unlike
INFLATION = 1 + (FOLDS - 1) / FOLDS  # of the variance of a cross-validated score over that of independent rows


@dataclass(frozen=True)
class Sample:
    """The rows, and a model's predictions of them in each repeat.

    Attributes:
        table: The rows, the test rows last.
        repeats: The predictions in each repeat; one where there are test rows alone.
        resampling: How the rows were drawn.
        out_of_fold_rows: How many of the rows were predicted out of fold.
    """

    table: pl.DataFrame
    repeats: tuple[Predictions, ...]
    resampling: Resampling
    out_of_fold_rows: int = 0

    @property
    def scope(self) -> str:
        """What was measured on, to be read after a value."""
        if not self.out_of_fold_rows:
            return f"on {len(self.table):,} test rows"
        return f"on {self.count_of(np.arange(len(self.table)))}"

    @property
    def note(self) -> str:
        """Who predicted the rows, for readers of the report; empty where the model predicted all."""
        if not self.out_of_fold_rows:
            return ""
        test_rows = f"{len(self.table) - self.out_of_fold_rows:,} test rows"
        return (
            f"The model predicted the {test_rows}. Models of the same recipe predicted the {self.out_of_fold_rows:,} "
            f"training rows, each of them out of fold: by a model that was not fitted on it. Curves, bins and the "
            "confusion matrix show the test rows."
        )

    def count_of(self, rows: Array) -> str:
        """How many rows these are: ``114 rows, 92 of them out of fold``."""
        out_of_fold = int((rows < self.out_of_fold_rows).sum())
        return f"{len(rows):,} rows" + (f", {out_of_fold:,} of them out of fold" if self.out_of_fold_rows else "")

    @cached_property
    def corrected(self) -> Resampling:
        """The resampling by which intervals are as wide as the corrected variance makes them."""
        level = self.resampling.confidence
        if not self.out_of_fold_rows or level is None:
            return self.resampling
        return replace(self.resampling, confidence=corrected_level(level))

    def estimate(self, metric: str, measurement: Callable[[Predictions, Resampling], Estimate]) -> Estimate:
        """An estimate from all repeats.

        Args:
            metric: What is measured.
            measurement: Measures one repeat's predictions.

        Raises:
            ModelwayError: it cannot be computed from such predictions.
        """
        estimate = self.mean([measurement(predictions, self.corrected) for predictions in self.repeats])
        return replace(estimate, reason=estimate.reason or self.why_folds_mislead(metric))

    def mean(self, estimates: Sequence[Estimate]) -> Estimate:
        """The mean of the repeats' estimates and of their intervals' ends, at the level that was asked for."""
        if not self.out_of_fold_rows:
            return estimates[0]
        intervals = [estimate.interval for estimate in estimates if estimate.interval is not None]
        is_undecided = 0 < len(intervals) < len(estimates)  # no repeat's point may stand for all
        value = float("nan") if is_undecided else float(np.mean([estimate.value for estimate in estimates]))
        errors = [estimate.error for estimate in estimates if estimate.error is not None]
        is_complete = len(intervals) == len(estimates)
        low, high = np.mean(intervals, axis=0) if is_complete else (0.0, 0.0)
        return replace(
            estimates[0],
            value=value,
            interval=(float(low), float(high)) if is_complete else None,
            error=float(np.mean(errors)) * INFLATION**0.5 if errors else None,
            confidence=self.resampling.confidence if is_complete else None,
            reason=next((estimate.reason for estimate in estimates if estimate.reason), ""),
        )

    def why_folds_mislead(self, metric: str) -> str:
        """Why models of fewer rows do not tell how the final one does; empty if they do."""
        if not self.out_of_fold_rows or metric.removeprefix("neg_") != "log_loss":
            return ""
        rows = max(_impossible(predictions) for predictions in self.repeats)
        if not rows:
            return ""
        return (
            f"the model, or one of a fold, gave the probability 0 to what came true, on {rows:,} of "
            f"{len(self.table):,} rows, so their log loss is infinite and how often that happens depends on how many "
            "rows a model was trained on; judge brier_score instead, or smooth the probabilities (min_samples_leaf)"
        )


def difference_from_test_rows(sample: Sample, metrics: Iterable[tuple[str, Array | None]]) -> str:
    """Why predictions out of fold cannot stand beside those of the test rows: these are certainly worse; empty if not.

    Labels that are wrong in the training rows alone, say, look right to models that learnt them.

    Args:
        sample: Both kinds of rows.
        metrics: Each metric with the rows that it is judged on; None: all.
    """
    from scipy.special import ndtri

    pairs, predictions = list(metrics), sample.repeats[0]
    for metric, rows in pairs:
        numbers = np.arange(len(sample.table)) if rows is None else rows
        is_test_row = numbers >= sample.out_of_fold_rows
        test, out_of_fold = (Subset(predictions, numbers[part]) for part in (is_test_row, ~is_test_row))
        try:
            if not is_test_row.any() or is_test_row.all() or sample.why_folds_mislead(metric):
                continue
            difference = compare(metric, test, second=out_of_fold, resampling=sample.resampling)
        except ModelwayError:  # too few rows of a kind to tell
            continue
        if difference.error and difference.value / difference.error < ndtri(UNLIKE / len(pairs)):
            return (
                f"{metric} is certainly worse on {is_test_row.sum():,} test rows ({difference.first:.4f}) than on "
                f"{(~is_test_row).sum():,} training rows out of fold ({difference.second:.4f}): the test rows judge"
            )
    return ""


def _impossible(predictions: Predictions) -> int:
    """On how many rows what came true had the probability 0."""
    probabilities, truth = predictions.probabilities, predictions.truth
    if probabilities is None:
        return 0
    rows = np.flatnonzero(truth < len(predictions.classes))
    return int((probabilities[rows, truth[rows]] <= np.finfo(probabilities.dtype).eps).sum())


def corrected_level(level: float) -> float:
    """The level at which an interval for independent rows is as wide as the corrected variance asks for at `level`.

    A higher level widens an interval of any kind, by each end as far as the metric's range and skewness let it.
    """
    from scipy.special import ndtr, ndtri

    return float(2 * ndtr(ndtri((1 + level) / 2) * INFLATION**0.5) - 1)
