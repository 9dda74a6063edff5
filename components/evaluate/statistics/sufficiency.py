"""Whether rows tell enough for an interval to be honest; where they do not, a check is inconclusive, whatever it shows.

What counts is not how many rows there are, but how many of them carry the metric: rows of the rarer class, and rows
whose losses make up the mean. With fewer than `FEWEST` of them every interval that was measured
(`benchmarks/coverage.py`) missed the truth more often than it says, as where the losses' tail is so heavy that their
spread cannot be estimated.
"""

from __future__ import annotations

import numpy as np

from modelway.components.core.config.thresholds import Interval
from modelway.components.core.measures.metrics import Array, Predictions

FEWEST = 20
HEAVIEST_TAIL = 1.5
TAIL_SHARE = 0.05
LEAST_TAIL_ROWS = 10
NO_WIDTH = 1e-9  # of the ends: sums in another order differ by less


def rare_class(predictions: Predictions, groups: Array | None, *, predicted: bool = False) -> str:
    """Why the rarest class has too few rows; empty where it has enough.

    Args:
        predictions: Of the rows.
        groups: The number of each row's group, of which each counts once; None where rows were drawn one by one.
        predicted: Whether rows of each predicted class are needed too.
    """
    for labels, verb in ((predictions.truth, ""), *([(predictions.predicted, " predicted")] if predicted else [])):
        counts = [_units(labels == number, groups) for number in range(len(predictions.classes))]
        if not counts or min(counts) >= FEWEST:
            continue
        number = int(np.argmin(counts))
        unit = "row" if groups is None else "group of rows"
        plural = "" if counts[number] == 1 else "s" if groups is None else ""
        if groups is not None and counts[number] != 1:
            unit = "groups of rows"
        return (
            f"the class {predictions.class_name(number)!r} has {counts[number]:,}{verb} {unit}{plural} of "
            f"{len(labels):,}, and an interval that holds takes {FEWEST} of every class"
        )
    return ""


def heavy_losses(losses: Array, groups: Array | None, *, of_numbers: bool) -> str:
    """Why some losses do not tell their mean; empty where they do.

    The effective number of losses is the square of their sum by the sum of their squares (Kish 1965); the weight of
    their tail is Hill's index (1975) of the greatest 5 %, below 2 of which they have no variance. One standard error is
    subtracted from it, so that fewer rows must show a lighter tail.

    Args:
        losses: Nonnegative, shape (rows, kinds).
        groups: The number of each row's group; None where rows were drawn one by one.
        of_numbers: Whether they are of numbers, whose tails may be heavy, and not of probabilities.
    """
    if groups is not None:
        losses = np.column_stack([np.bincount(groups, weights=column) for column in losses.T])
    for column in losses.T:
        squares = float((column**2).sum())
        effective = float(column.sum()) ** 2 / squares if squares > 0 else 0.0
        if effective < FEWEST:
            return (
                f"the errors of so few rows make up the metric that they count as {effective:.0f}, and an interval "
                f"that holds takes {FEWEST}"
            )
        if of_numbers and tail_index(column) < HEAVIEST_TAIL:
            return (
                f"the greatest errors may be so great (a tail index of {tail_index(column):.2f} after its standard "
                f"error; {HEAVIEST_TAIL:g} at least is needed) that no interval holds; look at those rows, or judge a "
                "metric that they decide less, such as mean_absolute_error or median_absolute_error"
            )
    return ""


def tail_index(values: Array) -> float:
    """Hill's estimate of how fast the tail of nonnegative values falls, less its standard error.

    By the greatest 5 %, ten at least. Infinite where there are fewer values, or they do not differ.
    """
    count = max(LEAST_TAIL_ROWS, int(len(values) * TAIL_SHARE))
    if len(values) <= count:
        return float("inf")
    greatest = np.sort(values)[::-1][: count + 1]
    if greatest[count] <= 0:
        return 0.0
    excess = float(np.log(greatest[:count] / greatest[count]).mean())
    return (1 - 1 / np.sqrt(count)) / excess if excess > 0 else float("inf")


def absent_class(predictions: Predictions) -> str:
    """Which classes that the model knows have no row, so that nothing is known of their losses; empty if none."""
    occurring = set(np.unique(predictions.truth).tolist())
    absent = [name for number, name in enumerate(predictions.classes) if number not in occurring]
    if not absent:
        return ""
    names = ", ".join(map(repr, absent[:5]))
    return f"none of {len(predictions.truth):,} rows is of {names}, so what such rows would lose is not known"


def is_greatest(metric: str) -> bool:
    """Whether a metric is that of the worst row alone, which rows to come may always exceed."""
    return metric.removeprefix("neg_") == "max_error"


def greatest_difference() -> str:
    """Why two greatest errors cannot be compared."""
    return (
        "the greatest error is that of one row, and no interval of it holds; compare a metric of all rows, such as "
        "mean_absolute_error"
    )


def rarest_count(predictions: Predictions, groups: Array | None) -> int:
    """How many rows, or groups of rows, of the rarest class there are; of numbers all count."""
    if not predictions.classes:
        return len(predictions.truth) if groups is None else len(np.unique(groups))
    return min(_units(predictions.truth == number, groups) for number in range(len(predictions.classes)))


def undefined(metric: str, predictions: Predictions) -> str:
    """Why a metric is not defined by the classes that occur, by their names; empty where they are not why."""
    if predictions.untrained:
        names = ", ".join(map(repr, predictions.untrained))
        rows = int((predictions.truth >= len(predictions.classes)).sum())
        return (
            f"{metric} is not defined: the model was trained on no row of {names}, of which there "
            f"{'is 1 row' if rows == 1 else f'are {rows:,} rows'} here; bring training rows of every class"
        )
    occurring = np.unique(predictions.truth)
    missing = [name for number, name in enumerate(predictions.classes) if number not in occurring]
    if not missing:
        return ""
    names = ", ".join(map(repr, missing[:5]))
    return f"{metric} is not defined: none of {len(predictions.truth):,} rows is of {names}; bring such rows"


def no_width(interval: Interval | None) -> str:
    """Why an interval is no evidence; empty unless it has no width."""
    if interval is None or interval[1] - interval[0] > NO_WIDTH * max(map(abs, interval)):
        return ""
    return "these rows do not differ in what the metric is made of, so they do not tell how others would"


def _units(chosen: Array, groups: Array | None) -> int:
    return int(chosen.sum()) if groups is None else len(np.unique(groups[chosen]))
