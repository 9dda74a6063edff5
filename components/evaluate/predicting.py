"""A model's predictions of a table's rows, and whether they are valid: finite, and the same each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from modelway.components.core.checks import Check, passed_or_failed
from modelway.components.core.measures.metrics import Array, Predictions
from modelway.components.evaluate.statistics.resampling import Resampling

REPEATED_ROWS = 2000
TOLERANCE = 1e-9  # sums in another order differ by less

Predict = Callable[[pl.DataFrame], Predictions]


@dataclass(frozen=True)
class Candidate:
    """A model that is to be judged, with its predictions of a split's rows.

    Attributes:
        predict: Predicts a table's rows with the model.
        table: The rows.
        predictions: Of the rows.
        resampling: How the rows were drawn.
    """

    predict: Predict
    table: pl.DataFrame
    predictions: Predictions
    resampling: Resampling


def scalar_predictions(predictions: Predictions) -> Array | None:
    """One number for each row: the predicted one, or the positive class's probability; None where there is no such."""
    if not predictions.classes:
        return predictions.predicted
    if predictions.probabilities is None or len(predictions.classes) != 2:
        return None
    return predictions.probabilities[:, 1]


def sane_check(predictions: Predictions) -> Check:
    """The check ``sane_predictions``: every number finite, every probability in 0 to 1, those of a row summing to 1."""
    rows, probabilities = len(predictions.truth), predictions.probabilities
    if not predictions.classes:
        bad, problem = ~np.isfinite(predictions.predicted), "not finite"
    elif probabilities is None:
        bad, problem = predictions.predicted >= len(predictions.classes), "not among the model's classes"
        if predictions.scores is not None and not np.isfinite(predictions.scores).all():
            bad, problem = ~np.isfinite(predictions.scores), "not finite"
    else:
        odd = ~np.isfinite(probabilities).all(axis=1)
        outside = ((probabilities < -1e-6) | (probabilities > 1 + 1e-6)).any(axis=1)
        bad = odd | outside | (np.abs(probabilities.sum(axis=1) - 1) > 1e-4)
        problem = "not probabilities: not finite, not between 0 and 1, or not of sum 1"
    count = int(bad.sum())
    message = f"all {rows:,} predictions are finite and proper"
    if count:
        first = int(np.flatnonzero(bad)[0])
        message = (
            f"{count:,} of {rows:,} predictions are {problem}, the first at row {first}; look at what the model does "
            "with that row; nothing else was judged"
        )
    return passed_or_failed(
        "sane_predictions", passed=not count, message=message, observed=count / max(rows, 1), threshold=0.0
    )


def deterministic_check(predict: Predict, table: pl.DataFrame) -> Check:
    """The check ``deterministic``: predicting the first rows twice must give the same predictions."""
    rows = table.head(REPEATED_ROWS)
    first, second = predict(rows), predict(rows)
    count = int(_differ(first, second).sum())
    message = f"predicting {len(rows):,} rows twice gives the same predictions"
    if count:
        message = (
            f"predicting {len(rows):,} rows twice gives other predictions for {count:,} of them; fix the model's "
            "random state, or make it independent of earlier requests"
        )
    return passed_or_failed(
        "deterministic", passed=not count, message=message, observed=count / len(rows), threshold=0.0
    )


def _differ(first: Predictions, second: Predictions) -> Array:
    if first.classes != second.classes:
        return np.ones(len(first.truth), dtype=bool)
    if not first.classes:
        return np.asarray(~np.isclose(first.predicted, second.predicted, rtol=TOLERANCE, atol=0, equal_nan=True))
    labels: Array = first.predicted != second.predicted
    if first.scores is not None and second.scores is not None:
        tolerance = TOLERANCE * max(1.0, float(np.nanmax(np.abs(first.scores))))
        return np.asarray(labels | ~np.isclose(first.scores, second.scores, rtol=0, atol=tolerance, equal_nan=True))
    if first.probabilities is None or second.probabilities is None:
        return labels
    apart = ~np.isclose(first.probabilities, second.probabilities, rtol=0, atol=TOLERANCE, equal_nan=True).all(axis=1)
    top = np.sort(first.probabilities, axis=1)
    tied = top[:, -1] - top[:, -2] < TOLERANCE if top.shape[1] > 1 else np.zeros(len(top), dtype=bool)
    return np.asarray(apart | (labels & ~tied))
