"""``contract.yaml``: what the data must look like. Reviewed by people, never silently re-inferred."""

from __future__ import annotations

import datetime as dt
import math
from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import BeforeValidator, Field, StringConstraints, ValidationInfo, field_validator, model_validator

from modelway.components.core.config.contract_changes import Change
from modelway.components.core.config.document import Document, Section
from modelway.components.core.config.project import Project
from modelway.components.core.config.seen import ALPHA, MOST, Bound, Seen, SeenRows
from modelway.components.core.errors import ModelwayError

ColumnType = Literal["boolean", "integer", "number", "string", "date", "datetime"]
Line = Literal["type", "nulls", "minimum", "maximum", "categories", "commonest"]
"""What a column's evidence judges: `categories` how many unseen values there are, `commonest` the rows of one."""

_BOUNDED = {"integer", "number", "date", "datetime"}


def _share(value: object) -> object:
    """A share that may be written as a percentage."""
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            return float(value.strip().removesuffix("%")) / 100
        except ValueError:
            return value
    return value


Share = Annotated[float, BeforeValidator(_share), Field(ge=0, le=1)]


class Column(Section):
    """What one column must look like."""

    type: ColumnType
    description: str | None = None
    required: bool = Field(True, description="Whether the column must be there.")
    at_serving: bool = Field(True, description="Whether the value is known when a prediction is asked for.")
    max_nulls: float = Field(0.0, ge=0, le=1, description="The greatest share of missing values.")
    unique: bool = Field(False, description="Whether no value may occur twice.")
    minimum: Bound | None = None
    maximum: Bound | None = None
    categories: tuple[str | int | bool, ...] | None = Field(None, description="The only values there may be.")
    pattern: str | None = Field(None, description="A regular expression that every text must match in full.")
    strict: bool = Field(False, description="Whether one bad row fails a line, whatever was seen.")
    allowed: Share | None = Field(
        None, description="The share of rows that may break the type, the bounds, the categories or the pattern."
    )
    most: Share = Field(MOST, description="The share of bad rows that fails a line whatever was seen.")
    seen: Seen | None = Field(
        None, description="The rows that the lines were proposed from; without it, all are strict."
    )

    @field_validator("minimum", "maximum", mode="before")
    @classmethod
    def _is_finite(cls, bound: object) -> object:
        if isinstance(bound, float) and not math.isfinite(bound):
            raise ValueError(f"{bound} bounds nothing; write a number, or leave the key out")
        return bound

    @field_validator("minimum", "maximum")
    @classmethod
    def _as_the_column(cls, bound: Bound | None, info: ValidationInfo) -> Bound | None:
        return _bound_of(info.data.get("type"), bound)

    @model_validator(mode="after")
    def _one_word(self) -> Self:
        if self.strict and self.allowed is not None:
            raise ValueError("strict allows no bad row, and allowed some: remove one of the two")
        return self

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.minimum is not None or self.maximum is not None) and self.type not in _BOUNDED:
            raise ValueError(f"minimum and maximum do not fit the type {self.type}")
        for name in ("minimum", "maximum"):
            bound = getattr(self, name)
            if bound is not None and isinstance(bound, dt.date) != (self.type in {"date", "datetime"}):
                raise ValueError(f"{name} {bound} does not fit the type {self.type}")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:  # type: ignore[operator]
            raise ValueError(f"minimum {self.minimum} is greater than maximum {self.maximum}: no value can pass")
        if self.pattern is not None and self.type != "string":
            raise ValueError(f"pattern does not fit the type {self.type}")
        return self

    @model_validator(mode="after")
    def _categories_are_consistent(self) -> Self:
        if self.categories is None:
            return self
        if not self.categories:
            raise ValueError("categories is empty: no value can pass")
        kind = {"string": str, "integer": int, "boolean": bool}.get(self.type)
        if kind is None:
            raise ValueError(f"categories do not fit the type {self.type}")
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        for category in self.categories:
            if type(category) is not kind:
                raise ValueError(f"the category {category!r} does not fit the type {self.type}")
            if self.type == "integer" and not low <= category <= high:  # type: ignore[operator]
                raise ValueError(f"the category {category} is outside minimum and maximum: it can never pass")
        return self

    def seen_for(self, line: Line) -> SeenRows | None:
        """The rows that a line was proposed from; None: it is a person's word, and judged as such.

        That is so without `seen`, with `strict` or, except for missing values, `allowed`, and where the line was edited
        since it was proposed.
        """
        seen = self.seen
        if seen is None or self.strict or (self.allowed is not None and line != "nulls"):
            return None
        bad = {"type": seen.unparsed, "nulls": seen.nulls}.get(line, 0)
        if line == "nulls" and not math.isclose(self.max_nulls, seen.nulls / max(seen.rows, 1), abs_tol=1e-6):
            return None
        if line in {"minimum", "maximum"} and getattr(self, line) != _bound_of(self.type, getattr(seen, line)):
            return None
        if line in {"categories", "commonest"}:
            if self.categories is None or {str(category) for category in self.categories} != {*(seen.categories or ())}:
                return None
            bad = sum(count == 1 for count in (seen.categories or {}).values()) if line == "categories" else 0
        return SeenRows(seen.rows, bad, seen.rows_as_one)

    def lines(self) -> tuple[Line, ...]:
        """The lines that the column has, whether by evidence or by a person's word."""
        lines: tuple[Line, ...] = get_args(Line)
        bounds = {"minimum": self.minimum is not None, "maximum": self.maximum is not None}
        present = {"type": True, "nulls": True} | bounds
        return tuple(line for line in lines if present.get(line, self.categories is not None))


def _bound_of(kind: object, bound: Bound | None) -> Bound | None:
    """A date or time as the column holds it: whole days in a date column, UTC without a zone in a datetime one."""
    if kind == "datetime" and isinstance(bound, dt.date):
        moment = bound if isinstance(bound, dt.datetime) else dt.datetime.combine(bound, dt.time())
        return moment if moment.tzinfo is None else moment.astimezone(dt.UTC).replace(tzinfo=None)
    if kind == "date" and isinstance(bound, dt.datetime):
        if bound.time() != dt.time() or bound.tzinfo is not None:
            raise ValueError(f"{bound} is not a whole day, which the type date needs")
        return bound.date()
    return bound


class RowRule(Section):
    """Something that must hold in every row, in every group of rows, or in the table: a business or compliance rule."""

    name: Annotated[str, StringConstraints(pattern=r"^\w+$")]
    rule: str = Field(
        description="A SQL condition that is true of what is good; NULL counts as bad. Per group and table it is over "
        "aggregates: `AVG(paid) < 500`."
    )
    per: Literal["row", "group", "table"] = "row"
    by: tuple[str, ...] = Field((), description="Per group: the columns whose values make the groups.")
    description: str | None = None
    tolerance: float = Field(0.0, ge=0, lt=1, description="The share of rows (or groups) that may break it.")

    @model_validator(mode="after")
    def _groups_are_named(self) -> Self:
        if (self.per == "group") != bool(self.by):
            raise ValueError("`by` names the columns of a rule per group, and of no other")
        return self


class Contract(Document):
    """What the data must look like."""

    title: ClassVar[str] = "contract file"

    columns: dict[str, Column] = Field(min_length=1)
    rules: tuple[RowRule, ...] = ()
    unique: tuple[tuple[str, ...], ...] = Field((), description="Sets of columns that together identify a row.")
    extra_columns: Literal["allow", "forbid"] = Field("allow", description="Columns not named here.")
    minimum_rows: int = Field(1, ge=1, le=10**12)
    changes: tuple[Change, ...] = Field((), description="What `contract diff --accept` widened, the latest last.")

    def level(self, label: str) -> float:
        """The chance that each line judged by evidence may have of failing on rows drawn like those that were seen.

        Together they have `ALPHA` (Bonferroni). The label's lines are strict.
        """
        columns = [column for name, column in self.columns.items() if name != label]
        count = sum(column.seen_for(line) is not None for column in columns for line in column.lines())
        return ALPHA / max(count, 1)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        for columns in self.unique:
            if not columns:
                raise ValueError("unique holds an empty set of columns")
            for column in columns:
                if column not in self.columns:
                    raise ValueError(f"unique names {column!r}, which is not among the columns")
        for rule in self.rules:
            for column in rule.by:
                if column not in self.columns:
                    raise ValueError(f"the rule {rule.name!r} groups by {column!r}, which is not among the columns")
        names = [rule.name for rule in self.rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"rules with the same name: {', '.join(twice)}")
        return self


_FITTING: dict[str, set[ColumnType]] = {
    "numeric": {"boolean", "integer", "number"},
    "categorical": {"boolean", "integer", "string"},
    "datetime": {"date", "datetime"},
}


def check_agreement(project: Project, contract: Contract, *, project_name: str, contract_name: str) -> None:
    """Checks that the contract covers every column that the project uses, with a type that fits its use.

    Raises:
        ModelwayError: a column is missing from the contract, or its type does not fit; names key and column.
    """
    uses = [("label", project.label)]
    uses += [(f"features.{kind}", column) for kind in _FITTING for column in getattr(project.features, kind)]
    uses += [("sensitive", column) for column in project.sensitive]
    if project.data.split.column is not None:
        uses.append(("data.split.column", project.data.split.column))
    for key, name in uses:
        column = contract.columns.get(name)
        if column is None:
            raise ModelwayError(
                f"{project_name} uses the column {name!r}, which {contract_name} does not describe",
                file=contract_name,
                key=key,
                column=name,
                remedy=f"describe it under `columns` in {contract_name}, or correct `{key}` in {project_name}",
            )
        fitting = _FITTING.get(key.removeprefix("features."))
        if fitting is not None and column.type not in fitting:
            raise ModelwayError(
                f"{name!r} is of type {column.type}, which does not fit `{key}`",
                file=contract_name,
                key=key,
                column=name,
                value=column.type,
                remedy=f"name it under another key of `features`, or give it a type of {', '.join(sorted(fitting))}",
            )
    label = contract.columns[project.label]
    if project.task == "regression" and label.type not in {"integer", "number"}:
        raise ModelwayError(
            f"the label {project.label!r} is of type {label.type}; regression needs numbers",
            file=contract_name,
            key="task",
            column=project.label,
            remedy=f"set `task: binary` or `task: multiclass` in {project_name}, or choose another label",
        )
