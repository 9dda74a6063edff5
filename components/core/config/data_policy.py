"""The part of ``policy.yaml`` that says when data may be trained on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from modelway.components.core.checks import Mode, OnInconclusive
from modelway.components.core.config.document import Section
from modelway.components.core.config.thresholds import GREATEST_PSI, HIGHER, LOWER, MOST_ROWS


class Distances(Section):
    """The greatest distance between two distributions of one column; a distance without a threshold is not judged."""

    psi: Annotated[float | None, LOWER] = Field(
        0.2,
        gt=0,
        lt=GREATEST_PSI,
        description="Population stability index of any column, less chance; 0.1 is small, 0.25 is large.",
    )
    jensen_shannon: Annotated[float | None, LOWER] = Field(
        None, gt=0, lt=1, description="Jensen-Shannon distance to base 2, of any column: 0 is equal, 1 is disjoint."
    )
    kolmogorov_smirnov: Annotated[float | None, LOWER] = Field(
        None, gt=0, lt=1, description="Greatest difference of the cumulative distributions, of numbers and times."
    )
    cramers_v: Annotated[float | None, LOWER] = Field(
        None, gt=0, lt=1, description="Chi-squared's effect size, of categories: 0.1 is small, 0.3 medium, 0.5 large."
    )


class Multivariate(Section):
    """Whether a classifier can tell the new rows from the baseline's."""

    roc_auc: Annotated[float, LOWER] = Field(
        0.65, gt=0.5, lt=1, description="The greatest area under the curve of telling them apart; 0.5 is not at all."
    )
    sample_rows: int = Field(5_000, ge=100, le=100_000, description="Rows taken of each side.")


class Drift(Distances):
    """How far the data may be from the baseline: the data of the latest approved model."""

    minimum_rows: int = Field(
        500, ge=2, le=MOST_ROWS, description="With fewer rows than this the answer is inconclusive."
    )
    alpha: float = Field(
        0.01,
        ge=1e-6,
        lt=0.5,
        description="The chance that the columns together raise a false alarm (Holm's correction).",
    )
    new_values: Annotated[float | None, LOWER] = Field(
        0.1,
        gt=0,
        lt=1,
        description="The greatest share of rows, beyond chance, whose category the baseline's sample has not; judged "
        "where `multivariate` is, which keeps the sample.",
    )
    columns: dict[str, Distances] = Field({}, description="Other thresholds for some columns.")
    label: Distances | None = Field(None, description="Other thresholds for the label.")
    multivariate: Multivariate | None = Multivariate()


class Skew(Distances):
    """How far what is served may be from what is trained on; judged where the project names `data.serving`."""

    minimum_rows: int = Field(
        500, ge=2, le=MOST_ROWS, description="With fewer rows than this the answer is inconclusive."
    )
    alpha: float = Field(0.01, ge=1e-6, lt=0.5, description="The chance of a false alarm of the columns together.")


class ConceptDrift(Section):
    """Whether the champion still predicts: if not, the labels are wrong, or the world has changed."""

    skill: Annotated[float, HIGHER] = Field(
        0.5,
        gt=-1,
        lt=1,
        description="The least part of its registered skill that the champion keeps on the new labels: 1 is all, 0 is "
        "what unrelated labels leave, -1 is what inverted ones do.",
    )
    sample_rows: int = Field(5_000, ge=100, le=100_000, description="Test rows that it predicts.")


class Leakage(Section):
    """What a model must not learn the label from."""

    single_feature: Annotated[float | None, LOWER] = Field(
        0.98,
        gt=0.5,
        lt=1,
        description="The greatest skill of one feature alone: area under the ROC curve, or R² for regression.",
    )
    duplicates: bool = Field(True, description="Features that repeat the label, or one another.")
    identifiers: bool = Field(True, description="Features that identify the row, or follow the rows' order.")
    shared_rows: Annotated[float | None, LOWER] = Field(
        0.0,
        ge=0,
        lt=1,
        description="The greatest share of test rows that the training split holds too; where `data.split.equal_rows` "
        "is `apart`, beyond what coincidence gives.",
    )
    copies: bool = Field(
        True, description="Rows that stand more often than coincidence gives; where `data.split` is by `rule: 2`."
    )
    groups: tuple[str, ...] = Field((), description="Columns whose values must not stand on both sides of the split.")
    times: bool = Field(True, description="Times that lie after the label's (`data.label_time` in the project).")
    sample_rows: int = Field(50_000, ge=1_000, le=MOST_ROWS, description="Rows that single features are judged on.")


class DataPolicy(Section):
    """When the data may be trained on."""

    mode: Mode = Field(Mode.ENABLED, description="dry_run: judged and reported, blocks nothing; disabled: not judged.")
    drift: Drift = Drift()
    skew: Skew = Skew()
    leakage: Leakage = Leakage()
    concept_drift: ConceptDrift | None = ConceptDrift()
    register_new_baseline: bool = Field(
        True, description="Whether a registered version's data becomes the baseline; else the one before stays."
    )
    on_inconclusive: OnInconclusive = Field(OnInconclusive.WARN, description="No baseline yet, or too few rows.")
