"""``policy.yaml``: when a model may ship. Every threshold there is stands here, and every gate reads it."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from modelway.components.core.documents import Document, Section
from modelway.components.core.verdict import OnInconclusive

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
    "matthews_corrcoef": (-1.0, 1.0),
    "r2": (-float("inf"), 1.0),
    "explained_variance": (-float("inf"), 1.0),
    "d2_absolute_error_score": (-float("inf"), 1.0),
}  # fmt: skip
_ERRORS = ("_error", "_loss", "_deviance")


def metric_range(name: str) -> tuple[float, float]:
    """The smallest and the greatest value the metric can take."""
    low, high = _RANGES.get(name.removeprefix("neg_"), (-float("inf"), float("inf")))
    if name.removeprefix("neg_").endswith(_ERRORS):
        low = max(low, 0.0)
    return (0.0 - high, 0.0 - low) if name.startswith("neg_") else (low, high)


class Threshold(Section):
    """The least and the greatest value that passes."""

    min: float | None = Field(None, allow_inf_nan=False)
    max: float | None = Field(None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("give `min`, `max` or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is greater than max {self.max}: no model can pass")
        return self


class Drift(Section):
    """How far the data may be from the baseline: the data of the latest approved model."""

    psi: float = Field(
        0.2, gt=0, description="The greatest population stability index of a column; 0.1 is small, 0.25 is large."
    )
    minimum_rows: int = Field(500, ge=2, description="With fewer rows than this the answer is inconclusive.")


class DataPolicy(Section):
    """When the data may be trained on."""

    drift: Drift = Drift()
    on_inconclusive: OnInconclusive = Field(OnInconclusive.WARN, description="No baseline yet, or too few rows.")


class NoRegression(Section):
    """How the candidate must compare with the champion on the same test rows."""

    metric: str
    margin: float = Field(0.0, ge=0, description="How much worse than the champion is still as good.")
    first_model: Literal["allow", "block"] = Field(
        "allow", description="What to do where there is no champion to compare with."
    )


class Slices(Section):
    """What must hold in each part of the test split."""

    columns: tuple[str, ...] = Field(min_length=1)
    metrics: dict[str, Threshold] = Field(min_length=1)
    minimum_rows: int = Field(100, ge=2, description="A smaller slice is inconclusive.")
    bins: int = Field(4, ge=2, le=20, description="A numeric column is cut into so many slices of equal size.")
    on_inconclusive: OnInconclusive = OnInconclusive.WARN


class ModelPolicy(Section):
    """When a model may be registered."""

    metrics: dict[str, Threshold] = Field(
        min_length=1, description="Any scikit-learn metric: its scorer's name, or a loss without `neg_`."
    )
    no_regression: NoRegression | None = None
    slices: Slices | None = None
    minimum_rows: int = Field(200, ge=2, description="A smaller test split is inconclusive.")
    on_inconclusive: OnInconclusive = OnInconclusive.BLOCK


class Registration(Section):
    """What becomes of a blessed model."""

    alias: str = Field(
        "champion", pattern=r"^[a-z][a-z0-9_-]*$", description="The registry alias a blessed version gets."
    )


class Policy(Document):
    """When a model may ship."""

    title: ClassVar[str] = "policy file"

    data: DataPolicy = DataPolicy()
    model: ModelPolicy
    registration: Registration = Registration()

    @model_validator(mode="after")
    def _thresholds_are_possible(self) -> Self:
        places = {"model.metrics": self.model.metrics}
        if self.model.slices is not None:
            places["model.slices.metrics"] = self.model.slices.metrics
        for place, thresholds in places.items():
            for name, threshold in thresholds.items():
                low, high = metric_range(name)
                if threshold.min is not None and threshold.min > high:
                    raise ValueError(f"{place}.{name}.min is {threshold.min}, but {name} is at most {high:g}")
                if threshold.max is not None and threshold.max < low:
                    raise ValueError(f"{place}.{name}.max is {threshold.max}, but {name} is at least {low:g}")
        return self

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Every metric that some threshold is on, each once."""
        names = dict.fromkeys(self.model.metrics)
        if self.model.no_regression is not None:
            names[self.model.no_regression.metric] = None
        if self.model.slices is not None:
            names |= dict.fromkeys(self.model.slices.metrics)
        return tuple(names)
