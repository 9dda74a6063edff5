"""What is measured: a model's predictions of some rows, and values with their intervals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from modelway.components.core.config.thresholds import Interval
from modelway.components.core.measures.metrics import Array, Predictions
from modelway.components.evaluate.statistics.resampling import Resampling


@dataclass(frozen=True)
class Estimate:
    """A measured value, with its confidence interval, standard error and level where they were requested.

    Attributes:
        value: What was measured; NaN where it is not defined.
        interval: Its confidence interval.
        error: Its standard error.
        confidence: The interval's level.
        reason: Why the interval decides nothing, or why the value is not defined; empty where that is not so.
    """

    value: float
    interval: Interval | None = None
    error: float | None = None
    confidence: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Comparison(Estimate):
    """How much better one subset is than another, and the metric of each.

    Attributes:
        first: The metric of the first.
        second: Of the second.
        is_identity: Whether both predict the same on every row.
    """

    first: float = float("nan")
    second: float = float("nan")
    is_identity: bool = False


@dataclass(frozen=True)
class Subset:
    """A model's predictions of all rows of a split, and which rows to use; all unless given."""

    predictions: Predictions
    rows: Array | None = None

    @cached_property
    def own_predictions(self) -> Predictions:
        """The predictions of these rows."""
        return self.predictions if self.rows is None else self.predictions.take(self.rows)

    def groups(self, resampling: Resampling) -> Array | None:
        """The number of each of these rows' groups; None where rows were drawn one by one."""
        if resampling.groups is None or self.rows is None:
            return resampling.groups
        return resampling.groups[self.rows]
