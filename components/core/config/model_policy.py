"""The part of ``policy.yaml`` that says when a model may be registered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from modelway.components.core.checks import Mode, OnInconclusive
from modelway.components.core.config.document import Section
from modelway.components.core.config.thresholds import HIGHER, LOWER, MOST_ROWS, Threshold

TypeName = Annotated[str, StringConstraints(pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)+$")]
FairnessMetric = Literal[
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "equalized_odds_difference",
    "equalized_odds_ratio",
    "equal_opportunity_difference",
    "equal_opportunity_ratio",
]


class NoRegression(Section):
    """How the candidate must compare with the champion on the same test rows."""

    metric: str
    margin: Annotated[float, LOWER] = Field(
        0.01, ge=0, description="How much worse than the champion is still as good: the non-inferiority margin."
    )
    slices: bool = Field(False, description="Whether each slice must compare so too.")
    first_model: Literal["allow", "block"] = Field(
        "allow", description="What to do where there is no champion to compare with."
    )
    on_inconclusive: OnInconclusive | None = Field(
        None, description="Where the test split cannot tell; as for the whole gate unless given."
    )


class Slices(Section):
    """What must hold in each part of the test split."""

    columns: tuple[str, ...] = Field(min_length=1)
    metrics: dict[str, Threshold] = Field(min_length=1)
    max_gap: dict[str, Annotated[float, Field(gt=0), LOWER]] = Field(
        {}, description="By metric: how much worse than on all rows a slice may be."
    )
    minimum_rows: int = Field(100, ge=2, le=MOST_ROWS, description="A smaller slice is inconclusive.")
    bins: int = Field(4, ge=2, le=20, description="A numeric column is cut into so many slices of equal size.")
    on_inconclusive: OnInconclusive = OnInconclusive.WARN


class WeakSegments(Section):
    """What must hold in the worst parts that a shallow tree over the errors finds."""

    metrics: dict[str, Threshold] = Field(min_length=1)
    depth: int = Field(3, ge=1, le=5, description="How many conditions describe a segment at most.")
    most: int = Field(5, ge=1, le=20, description="How many of the worst segments are judged.")
    minimum_rows: int = Field(100, ge=20, le=MOST_ROWS, description="Segments smaller than this are not looked for.")
    on_inconclusive: OnInconclusive = OnInconclusive.WARN


class Calibration(Section):
    """Whether probabilities mean what they say."""

    expected_calibration_error: Annotated[float, LOWER] = Field(
        0.1, gt=0, lt=1, description="The greatest mean distance of predicted and observed shares over bins."
    )
    bins: int = Field(10, ge=2, le=50, description="Bins of equally many rows.")
    on_inconclusive: OnInconclusive | None = None


class Perturbation(Section):
    """How much the metric may lose when inputs are disturbed."""

    max_drop: Annotated[float, LOWER] = Field(gt=0)
    share: float = Field(0.1, ge=0.001, le=1, description="The share of values disturbed in each feature.")


class Noise(Perturbation):
    """Numbers with some noise added."""

    scale: float = Field(0.1, ge=0.001, le=100, description="The noise's standard deviation, in those of the feature.")
    share: float = Field(1.0, ge=0.001, le=1, description="The share of values disturbed in each feature.")


class Robustness(Section):
    """How the model bears disturbed input, by the metric's loss on the same rows."""

    metric: str
    missing_values: Perturbation | None = None
    unseen_categories: Perturbation | None = None
    noise: Noise | None = None
    on_inconclusive: OnInconclusive | None = None


class PredictionRule(Section):
    """A business rule on predictions: the positive class's probability, or the predicted number."""

    name: Annotated[str, StringConstraints(pattern=r"^\w+$")]
    monotone: str | None = Field(None, description="A numeric feature that predictions rise or fall with.")
    direction: Literal["increasing", "decreasing"] = "increasing"
    within: Threshold | None = Field(None, description="Where predictions must lie.")
    invariant_to: str | None = Field(None, description="A feature whose value must not matter.")
    where: str | None = Field(None, description="A SQL condition on the raw columns: the rows that the rule is about.")
    slack: Annotated[float, LOWER] = Field(
        0.0, ge=0, description="How much a prediction may be off before it breaks the rule."
    )
    tolerance: Annotated[float, LOWER] = Field(0.0, ge=0, lt=1, description="The share of rows that may break it.")

    @model_validator(mode="after")
    def _is_one_rule(self) -> Self:
        kinds = [key for key in ("monotone", "within", "invariant_to") if getattr(self, key) is not None]
        if len(kinds) != 1:
            raise ValueError("give exactly one of `monotone`, `within` and `invariant_to`")
        return self


class GroupLimits(Threshold):
    """What a metric must be in every group, and how far groups may be apart."""

    difference: Annotated[float | None, LOWER] = Field(None, ge=0, description="Greatest minus smallest at most.")
    ratio: Annotated[float | None, HIGHER] = Field(None, gt=0, le=1, description="Smallest by greatest at least.")

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.min is None and self.max is None and self.difference is None and self.ratio is None:
            raise ValueError("give `min`, `max`, `difference` or `ratio`")
        return self


class Fairness(Section):
    """How alike the model must treat groups of people."""

    columns: tuple[str, ...] = Field((), description="What makes groups; the project's `sensitive` unless given.")
    intersections: bool = Field(False, description="Whether combinations of the columns' groups are judged too.")
    metrics: dict[FairnessMetric, Threshold] = Field({}, description="fairlearn's measures, by its names.")
    groups: dict[str, GroupLimits] = Field({}, description="Any scikit-learn metric, in each group.")
    minimum_rows: int = Field(100, ge=2, le=MOST_ROWS, description="A smaller group is inconclusive.")
    on_inconclusive: OnInconclusive = OnInconclusive.WARN

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not self.metrics and not self.groups:
            raise ValueError("give `metrics`, `groups` or both")
        return self


class ModelPolicy(Section):
    """When a model may be registered."""

    mode: Mode = Field(Mode.ENABLED, description="dry_run: judged and reported, blocks nothing; disabled: not judged.")
    metrics: dict[str, Threshold] = Field(
        min_length=1, description="Any scikit-learn metric: its scorer's name, or a loss without `neg_`."
    )
    confidence: float | None = Field(
        0.95,
        gt=0.5,
        le=0.9999,
        description="The level of intervals: a threshold inside one is inconclusive. null: judged by the point alone.",
    )
    unseen: dict[str, Threshold] = Field(
        {}, description="Thresholds on the rows that nobody has looked at (`data.split.unseen_fraction`)."
    )
    no_regression: NoRegression | None = None
    slices: Slices | None = None
    weak_segments: WeakSegments | None = None
    calibration: Calibration | None = None
    robustness: Robustness | None = None
    rules: tuple[PredictionRule, ...] = ()
    fairness: Fairness | None = None
    minimum_rows: int = Field(200, ge=2, le=MOST_ROWS, description="A smaller test split is inconclusive.")
    trusted_types: Annotated[tuple[TypeName, ...], LOWER] = Field(
        (),
        description="Types that a model may be made of besides those that Modelway knows, by their full names. Loading "
        "a model may run their code.",
    )
    on_inconclusive: OnInconclusive = OnInconclusive.BLOCK

    def thresholds(self) -> dict[str, dict[str, Threshold]]:
        """Every threshold on a scikit-learn metric, by the key that it stands under."""
        by_key: dict[str, dict[str, Threshold]] = {"model.metrics": self.metrics, "model.unseen": self.unseen}
        if self.slices is not None:
            by_key["model.slices.metrics"] = self.slices.metrics
        if self.weak_segments is not None:
            by_key["model.weak_segments.metrics"] = self.weak_segments.metrics
        if self.fairness is not None:
            by_key["model.fairness.groups"] = dict(self.fairness.groups)
        return by_key

    def losses(self) -> Iterator[tuple[str, tuple[str, ...], float]]:
        """Of each number that says how much of a metric may be lost: the metric, the number's key here, and itself."""
        if self.no_regression is not None:
            yield self.no_regression.metric, ("no_regression", "margin"), self.no_regression.margin
        for name, gap in self.slices.max_gap.items() if self.slices is not None else ():
            yield name, ("slices", "max_gap", name), gap
        for name, limits in self.fairness.groups.items() if self.fairness is not None else ():
            if limits.difference is not None:
                yield name, ("fairness", "groups", name, "difference"), limits.difference
        robustness = self.robustness
        for kind in ("missing_values", "unseen_categories", "noise") if robustness is not None else ():
            perturbation = getattr(robustness, kind)
            if robustness is not None and perturbation is not None:
                yield robustness.metric, ("robustness", kind, "max_drop"), perturbation.max_drop
