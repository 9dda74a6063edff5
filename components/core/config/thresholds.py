"""Thresholds, and how an interval compares with one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import model_validator

from modelway.components.core.checks import Verdict
from modelway.components.core.config.document import Section, ValueAtKeyError

# The values that a scikit-learn metric can take, where it is bounded; a threshold outside can never pass or never fail.
_UNIT = (0.0, 1.0)
_RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(
        (
            "accuracy", "balanced_accuracy", "top_k_accuracy", "roc_auc", "roc_auc_ovr", "roc_auc_ovo",
            "roc_auc_ovr_weighted", "roc_auc_ovo_weighted", "average_precision", "brier_score",
        ),
        _UNIT,
    ),
    **{
        metric + average: _UNIT
        for metric in ("precision", "recall", "f1", "jaccard")
        for average in ("", "_macro", "_micro", "_weighted")
    },
    # Of fairness; their literals are in `model_policy`.
    **{
        f"{kind}_{comparison}": _UNIT
        for kind in ("demographic_parity", "equalized_odds", "equal_opportunity")
        for comparison in ("difference", "ratio")
    },
    "matthews_corrcoef": (-1.0, 1.0),
    "r2": (-float("inf"), 1.0),
    "explained_variance": (-float("inf"), 1.0),
    "d2_absolute_error_score": (-float("inf"), 1.0),
}  # fmt: skip
# Bounds beyond which a threshold asks nothing: two distributions are never further apart, and 2 ln 10⁴ is how far
# shares that are floored at 1/10⁴ can be; and more rows than this no check needs in order to conclude.
GREATEST_PSI = 18.4
MOST_ROWS = 1_000_000

_ERRORS = ("_error", "_loss", "_deviance")

Interval = tuple[float, float]


@dataclass(frozen=True)
class Stricter:
    """Marks a policy's number or switch: which direction asks more of a model, so that a weaker one is recognized."""

    when: Literal["lower", "higher"]


LOWER, HIGHER = Stricter("lower"), Stricter("higher")


def metric_range(name: str) -> tuple[float, float]:
    """The smallest and the greatest value the metric can take."""
    low, high = _RANGES.get(name.removeprefix("neg_"), (-float("inf"), float("inf")))
    if name.removeprefix("neg_").endswith(_ERRORS):
        low = max(low, 0.0)
    return (0.0 - high, 0.0 - low) if name.startswith("neg_") else (low, high)


class Threshold(Section):
    """The least and the greatest value that passes."""

    min: Annotated[float | None, HIGHER] = None
    max: Annotated[float | None, LOWER] = None

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("give `min`, `max` or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is greater than max {self.max}: no model can pass")
        return self

    def judge(self, interval: Interval) -> Verdict:
        """Passed if all of the interval is within, failed if all of it is outside, inconclusive if it straddles."""
        low, high = interval
        if (self.min is not None and high < self.min) or (self.max is not None and low > self.max):
            return Verdict.FAILED
        within = (self.min is None or low >= self.min) and (self.max is None or high <= self.max)
        return Verdict.PASSED if within else Verdict.INCONCLUSIVE

    def nearest(self, observed: float) -> float:
        """The bound that decides: the one that is missed, else the least asked for, else the greatest."""
        if self.max is not None and (self.min is None or observed > self.max):
            return self.max
        assert self.min is not None  # noqa: S101 - one of the two is given
        return self.min

    def __str__(self) -> str:
        lower = f"at least {self.min:g}" if self.min is not None else ""
        upper = f"at most {self.max:g}" if self.max is not None else ""
        return " and ".join(filter(None, (lower, upper)))


def check_bounds(threshold: Threshold, key: tuple[str, ...], *, metric: str) -> None:
    """Refuses a threshold on a metric that can never pass, or never fail.

    Args:
        threshold: The threshold.
        key: The parts of its key.
        metric: The metric's name.

    Raises:
        ValueAtKeyError: a bound is outside of what the metric can be, or at the end of it where everything passes.
    """
    low, high = metric_range(metric)
    for name, bound in (("min", threshold.min), ("max", threshold.max)):
        if bound is None or low < bound < high or bound == (high if name == "min" else low):
            continue
        end = f"at most {high:g}" if bound >= high else f"at least {low:g}"
        problem = f"it is {bound:g}, but {metric} is {end}"
        if (name == "min") == (bound <= low):
            problem += ", so nothing can fail; leave the key out, or ask more"
        raise ValueAtKeyError(problem, key=(*key, name), value=bound)


def check_loss(greatest: float, key: tuple[str, ...], *, metric: str) -> None:
    """Refuses a bound on how much of a metric may be lost that no loss can exceed.

    Args:
        greatest: The greatest loss, gap or difference that passes.
        key: The parts of its key.
        metric: The metric's name.

    Raises:
        ValueAtKeyError: two values of the metric are never further apart.
    """
    low, high = metric_range(metric)
    if greatest >= high - low:
        problem = f"it is {greatest:g}, but {metric} goes from {low:g} to {high:g}, so nothing can fail"
        raise ValueAtKeyError(f"{problem}; leave the key out, or ask more", key=key, value=greatest)
