"""What a fault of the drill is, and what it changes: a project's files and data as they go through the stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from modelway.components.core.checks import Gate
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.project import Project
from modelway.components.ingest.split import Splits, split_table

DAY, CONSENT = "drill_day", "drill_consent"


@dataclass(frozen=True)
class DrillInput:
    """What a fault changes: a project's files and data as they go through the stages."""

    project: Project
    contract: Contract
    policy: Policy
    table: pl.DataFrame
    splits: Splits
    serving: pl.DataFrame | None = None  # the project names none

    @property
    def numeric(self) -> str:
        """The numeric feature that faults go into: the one with the most distinct values."""
        return max(self.project.features.numeric, key=lambda name: self.table[name].n_unique())

    @property
    def categorical(self) -> str:
        """The categorical feature that faults go into."""
        return self.project.features.categorical[0]

    def with_table(self, table: pl.DataFrame) -> DrillInput:
        """The same with another table, and so with other splits."""
        splits = split_table(table, self.project.data.split, label=self.project.label)
        return replace(self, table=table, splits=splits)

    def with_training(self, train: pl.DataFrame) -> DrillInput:
        """The same with another training split alone."""
        return replace(self, splits=replace(self.splits, train=train))

    def with_numbers(self, **changes: Any) -> DrillInput:
        """The same with a contract that lets `numeric` hold any number, and with other changes of that column."""
        column = self.contract.columns[self.numeric].model_copy(update={"type": "number", **changes})
        columns = {**self.contract.columns, self.numeric: column}
        return replace(self, contract=self.contract.model_copy(update={"columns": columns}))

    def with_model(self, fault: str) -> DrillInput:
        """The same with a faulty model in the place of the project's own."""
        parameters = {"fault": fault, "model": self.project.canonical()}
        model: dict[str, Any] = {"entrypoint": "modelway.pipelines.drill.models:fit", "parameters": parameters}
        model["class_weight"] = self.project.model.class_weight
        return replace(self, project=Project.model_validate({**self.project.model_dump(), "model": model}))


Change = Callable[[DrillInput, np.random.Generator], DrillInput]


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        name: What it is called.
        gate: The gate that is meant to catch it.
        check: What the name of the check that is meant to catch it begins with; several are alternatives.
        change: What goes wrong with the inputs; by default nothing.
        after_data_gate: Whether it goes wrong only then.
        harmless: Whether nothing is wrong, and the gate must let it pass.
        tamper: What goes wrong with the model's folder.
        code: What goes wrong with the project's code, written to a folder, and whether its version tells.
    """

    name: str
    gate: str
    check: tuple[str, ...]
    change: Change = lambda inputs, _: inputs
    after_data_gate: bool = False
    harmless: bool = False
    tamper: Callable[[Path], None] | None = None
    code: Callable[[Project, Contract, Path], Gate] | None = None


def random_rows(table: pl.DataFrame, share: float, *, rng: np.random.Generator) -> pl.Series:
    """A mask of rows, each of them with this chance, and of at least one if there is any."""
    chances = rng.random(len(table))
    return pl.Series(chances <= max(share, float(chances.min(initial=1.0))))


def rarest(series: pl.Series) -> Any:
    """The value that fewest rows have."""
    return series.drop_nulls().value_counts(sort=True)[series.name][-1]


def with_values(table: pl.DataFrame, name: str, *, rows: pl.Series, value: Any) -> pl.DataFrame:
    """A table with another value of a column in some rows."""
    return table.with_columns(pl.when(rows).then(value).otherwise(pl.col(name)).alias(name))


def with_other_labels(table: pl.DataFrame, inputs: DrillInput, *, rows: pl.Series) -> pl.DataFrame:
    """A table with another label in some rows: the next class, or for regression the label mirrored at the mean."""
    name = inputs.project.label
    label = table[name]
    if inputs.project.task == "regression":
        new_label = (2 * float(label.mean()) - label.cast(pl.Float64)).cast(label.dtype)  # type: ignore[arg-type]
    else:
        classes = label.unique().sort()
        successors = dict(zip(classes, [*classes[1:], classes[0]], strict=True))
        new_label = label.replace_strict(successors, return_dtype=label.dtype)
    return with_values(table, name, rows=rows, value=new_label)
