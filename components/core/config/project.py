"""``project.yaml``: what is trained, from what data."""

from __future__ import annotations

import json
import re
from collections import Counter
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, AllowInfNan, Field, StringConstraints, field_validator, model_validator

import modelway.components
from modelway.components.core.addresses import has_secrets
from modelway.components.core.config.document import Document, Section
from modelway.components.core.config.resources import LabelKey, LabelValue, StageResources
from modelway.components.core.storage.locations import check_location, location_problem
from modelway.components.core.storage.uri import content_version

Task = Literal["binary", "multiclass", "regression"]
Scalar = bool | int | Annotated[float, AllowInfNan()] | str  # some estimators take infinity
ImportPath = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")]
EntryPoint = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$")]


class Split(Section):
    """How the test split is chosen; the same rows give the same split, in any order and on any machine."""

    by: Literal["row", "group", "time"] = Field(
        "row",
        description="row: by a hash of the row (or of `column`, an identifier); group: all rows with the same "
        "value of `column` on one side; time: the latest rows by `column` are the test split",
    )
    column: str | None = Field(None, description="The identifier, group or time column.")
    test_fraction: float = Field(0.2, gt=0, lt=1, description="The share of rows (or groups) held out for judging.")
    unseen_fraction: float = Field(
        0.0, ge=0, lt=1, description="A further share, held back from training and judging until the end."
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Another seed gives another split.")
    rule: Literal[1, 2] | None = Field(
        None,
        description="The version of the split by row without `column`. 2: by `equal_rows`, and without it 1: by a hash "
        "of the whole row, the label among it, which turns the truth round where rows repeat; for projects whose "
        "champion was split by it.",
    )
    equal_rows: Literal["together", "apart"] | None = Field(
        None,
        description="By row without `column`: what rows are that are equal. together: copies, on one side of the "
        "split, by all columns but the label, where nearly all rows are distinct; apart: coincidences, each placed by "
        "itself, as in a random split.",
    )

    @property
    def rule_in_force(self) -> Literal[1, 2] | None:
        """The version of the rule by which rows are split by their content; None: they are split by something else."""
        if self.by != "row" or self.column is not None:
            return None
        return 2 if self.equal_rows is not None else 1

    def __str__(self) -> str:
        """How it is called in reports."""
        if self.rule_in_force is not None:
            return f"by row, rule {self.rule_in_force}" + (f", equal rows {self.equal_rows}" if self.equal_rows else "")
        return f"by {self.by} ({self.column})"

    def tests_what_was_trained_on(self, before: Split) -> bool:
        """Whether test rows were training rows when the same rows were split as before."""
        ways = [(split.by == "time", split.column, split.rule_in_force, split.equal_rows) for split in (self, before)]
        if ways[0] != ways[1]:
            return True
        held_out = before.test_fraction + before.unseen_fraction
        if self.by == "time":  # the unseen rows are the latest, and the test rows come before them
            return self.test_fraction + self.unseen_fraction > held_out
        return self.seed != before.seed or self.test_fraction > held_out

    @property
    def group(self) -> str | None:
        """The column whose equal values mark rows that are alike, if the split is by group."""
        return self.column if self.by == "group" else None

    @model_validator(mode="after")
    def _column_is_given(self) -> Self:
        if self.by != "row" and self.column is None:
            raise ValueError(f"a split by {self.by} needs the key `column`")
        if self.equal_rows is not None and self.rule_in_force is None:
            raise ValueError(f"`equal_rows` is for a split by row without `column`, and this one is {self}")
        if self.equal_rows is not None and self.rule == 1:
            raise ValueError("`rule: 1` has no `equal_rows`: leave out one of the two keys")
        if self.rule == 2 and self.rule_in_force == 1:
            raise ValueError("`rule: 2` needs `equal_rows`: `together` if nearly all rows are distinct, else `apart`")
        if self.test_fraction + self.unseen_fraction >= 1:
            raise ValueError("test_fraction and unseen_fraction leave nothing to train on")
        return self


class Data(Section):
    """Where the data is and how to read it."""

    source: str = Field(
        description="A CSV or Parquet file, or a folder of them: a path (relative to this file) or an s3:// URI."
    )
    format: Literal["csv", "parquet"] | None = Field(None, description="By the file's ending unless given.")
    delimiter: str = Field(",", min_length=1, max_length=1, description="CSV only.")
    encoding: str = Field("utf-8", description="CSV only: a Python codec's name.")
    split: Split = Split()
    serving: str | None = Field(
        None, description="What the model is asked in production, without the label: read like `source`."
    )
    label_time: str | None = Field(
        None, description="The column that says when the label was known; no feature's time may lie after it."
    )

    @property
    def locations(self) -> list[str]:
        """Where the data is: the source, and what the model is asked in production, if that is named."""
        return [self.source, *([self.serving] if self.serving is not None else [])]

    def version(self) -> str:
        """A text that changes when the content of a source does.

        Raises:
            ModelwayError: a source is not there or cannot be read.
        """
        return "+".join(map(content_version, self.locations))

    @field_validator("source", "serving")
    @classmethod
    def _is_location(cls, location: str | None) -> str | None:
        if location is not None and (problem := location_problem(location)):
            raise ValueError(problem)
        return location

    @field_validator("delimiter")
    @classmethod
    def _delimits(cls, delimiter: str) -> str:
        if not delimiter.isascii() or delimiter in '"\r\n':
            raise ValueError("a delimiter is one ASCII character other than a quote or the end of a line")
        return delimiter


class Features(Section):
    """Which columns the model sees and how they are prepared; a column not named here is not used."""

    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    datetime: tuple[str, ...] = Field((), description="Become year, month, day, weekday and hour.")
    impute: Literal["median", "mean", "none"] = Field("median", description="Missing numbers; none: left as NaN.")
    scale: Literal["none", "standard"] = Field("none", description="Numbers; linear models want `standard`.")
    min_frequency: int = Field(
        10, ge=1, le=10**9, description="Categories seen less often in training are treated as one, with the unseen."
    )

    @property
    def columns(self) -> tuple[str, ...]:
        """All feature columns, in a fixed order."""
        return self.numeric + self.categorical + self.datetime

    @model_validator(mode="after")
    def _columns_are_distinct(self) -> Self:
        if not self.columns:
            raise ValueError("at least one column must be named under numeric, categorical or datetime")
        twice = sorted(column for column, times in Counter(self.columns).items() if times > 1)
        if twice:
            raise ValueError(f"named more than once: {', '.join(twice)}")
        return self


class Model(Section):
    """What is fitted: a scikit-learn-compatible estimator, or the user's own function."""

    estimator: ImportPath | None = Field(
        None, description="The import path of a scikit-learn-compatible estimator class."
    )
    entrypoint: EntryPoint | None = Field(
        None,
        description="module:function of your own, called as function(features, label, **parameters) with a pandas "
        "DataFrame and Series; returns a fitted estimator.",
    )
    parameters: dict[str, Scalar | list[Scalar] | dict[str, Scalar] | None] = Field(
        {}, description="Passed to the estimator or the function."
    )
    class_weight: Literal["balanced"] | dict[str, Annotated[float, Field(ge=0)]] | None = Field(
        None, description="balanced, or a weight for each class; passed to fit as sample weights."
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Given to `random_state` where the estimator has one.")

    @field_validator("parameters")
    @classmethod
    def _have_no_secrets(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        for name, value in parameters.items():
            if has_secrets(json.dumps(value)):
                raise ValueError(
                    f"the parameter {name!r} has an address with a password or a token in it, and parameters are kept "
                    "with the model: have the function read it from the environment"
                )
        return parameters

    @field_validator("parameters", mode="before")
    @classmethod
    def _numbers(cls, parameters: object) -> object:
        """`1e-3` as the number that it is: YAML 1.1 takes a number without a point for text."""
        if isinstance(parameters, dict):
            return {name: cls._numbers(value) for name, value in parameters.items()}
        if isinstance(parameters, list):
            return [cls._numbers(value) for value in parameters]
        if isinstance(parameters, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", parameters):
            return float(parameters)
        return parameters

    @field_validator("class_weight", mode="before")
    @classmethod
    def _by_name(cls, weight: object) -> object:
        """Classes by their names as text: YAML reads `0` and `true` as other things."""
        if not isinstance(weight, dict):
            return weight
        weights = {str(int(key) if isinstance(key, bool) else key): value for key, value in weight.items()}
        if len(weights) < len(weight):
            raise ValueError("a class is named twice, as a number and as a text")
        return weights

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.estimator is None) == (self.entrypoint is None):
            raise ValueError("give exactly one of `estimator` and `entrypoint`")
        return self


class Card(Section):
    """What the model card says beside what was measured."""

    owner: str | None = Field(None, description="Who answers for the model.")
    intended_use: str | None = None
    out_of_scope: str | None = Field(None, description="What the model must not be used for.")
    limitations: str | None = None
    license: str | None = None


DEFAULT_STAGE = "default"  # whose resources are those of every stage that says nothing else
_LABELS_OF_KFP = ("pipeline", "pipelines.kubeflow.org", "workflows.argoproj.io")


def _stage(name: str) -> str:
    stages = [DEFAULT_STAGE, *modelway.components.__all__]
    if name not in stages:
        close = get_close_matches(name, stages, n=1)
        suggestion = f"did you mean {close[0]}?" if close else f"choose {', '.join(stages)}"
        raise ValueError(f"there is no stage {name!r}; {suggestion}")
    return name


def _own_label(key: str) -> str:
    domain, slash, _ = key.partition("/")
    if slash and domain in _LABELS_OF_KFP:
        raise ValueError(f"{key!r} is a label that Kubeflow Pipelines sets itself; choose another domain than {domain}")
    return key


class Project(Document):
    """What is trained, from what data, and where and how its runs go."""

    title: ClassVar[str] = "project file"
    settings: ClassVar[frozenset[str]] = frozenset({"display_name", "labels", "resources", "s3_accounts"})

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")] = Field(
        description="The registered model's name: lower-case letters, digits and dashes."
    )
    task: Task
    data: Data
    label: str = Field(description="The column to predict.")
    positive: Scalar | None = Field(
        None, description="Binary only: the class that counts as positive; the greater one unless given."
    )
    features: Features
    sensitive: tuple[str, ...] = Field((), description="Columns that fairness is judged by.")
    model: Model
    card: Card = Card()
    display_name: str | None = Field(None, min_length=1, description="What the dashboard calls the pipeline.")
    labels: dict[Annotated[LabelKey, AfterValidator(_own_label)], LabelValue] = Field(
        {}, description="Labels of every pod of its runs."
    )
    s3_accounts: Literal["shared", "separate"] = Field(
        "shared",
        description="`separate`: each task has its concern's own S3 keys, rather than those that Kubeflow installed.",
    )
    resources: dict[Annotated[str, AfterValidator(_stage)], StageResources] = Field(
        {}, description="What a stage's pod is given, by the stage's name; `default`: what every stage's is."
    )

    def with_data(self, **locations: str) -> Self:
        """The same project with another `source` or `serving`.

        Raises:
            ModelwayError: one is an address that is not taken.
        """
        for name, location in locations.items():
            check_location(location, key=f"data.{name}")
        return self.model_copy(update={"data": self.data.model_copy(update=locations)})

    @model_validator(mode="after")
    def _label_is_no_feature(self) -> Self:
        if self.label in self.features.columns:
            raise ValueError(f"the label {self.label!r} is also named as a feature; remove it from `features`")
        if self.positive is not None and self.task != "binary":
            raise ValueError("`positive` is for binary tasks only")
        if self.model.class_weight is not None and self.task == "regression":
            raise ValueError("`model.class_weight` is for classification only")
        return self

    def resources_for(self, stage: str) -> StageResources:
        """What a stage is given here: its own keys, and the default's where it has none.

        Args:
            stage: The component's name, such as ``train_model``.
        """
        no_resources = StageResources()
        return self.resources.get(stage, no_resources).over(self.resources.get(DEFAULT_STAGE, no_resources))
