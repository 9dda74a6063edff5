"""What a batch would widen in a contract, line by line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from modelway.components.core.checks import Verdict
from modelway.components.core.config.contract import Column, Contract
from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError
from modelway.pipelines.project.batch_counts import batch_counts, count_rows
from modelway.pipelines.project.column_difference import LineDifference, column_difference


@dataclass(frozen=True)
class ContractDifference:
    """What a batch would change in a contract.

    Attributes:
        rows: How many rows the batch has, or groups.
        unit: ``rows``, or ``groups`` where rows of one group count as one.
        lines: The lines that it does not keep to, and the columns that the contract does not name.
        columns: The columns as accepting the batch would write them, where that changes them.
    """

    rows: int
    unit: Literal["rows", "groups"]
    lines: tuple[LineDifference, ...]
    columns: Mapping[str, Column]

    @property
    def acceptable(self) -> tuple[LineDifference, ...]:
        """The lines that accepting the batch widens."""
        return tuple(line for line in self.lines if not line.by_hand)

    @property
    def by_hand(self) -> tuple[LineDifference, ...]:
        """The lines that the batch does not keep to and that only a person may widen."""
        return tuple(line for line in self.lines if line.by_hand and line.verdict is not Verdict.PASSED)


def contract_difference(table: pl.DataFrame, contract: Contract, *, project: Project) -> ContractDifference:
    """Compares a batch with a contract.

    Keys, patterns, row rules and the number of rows are the data gate's to judge: no batch widens them.

    Args:
        table: The batch, read by `as_written`'s types.
        contract: The contract.
        project: Names the label, and the column by which rows are grouped or split.

    Raises:
        ModelwayError: the batch lacks the column by which rows are grouped.
    """
    split = project.data.split
    if split.group is not None and split.group not in table.columns:
        raise ModelwayError(
            f"the data has no column {split.group!r}, by which rows are grouped",
            key="data.split.column",
            column=split.group,
            remedy="export it too, or name another column in project.yaml",
        )
    rows, level = count_rows(table, split.group), contract.level(project.label)
    lines, columns = list[LineDifference](), dict[str, Column]()
    for name, column in contract.columns.items():
        if name not in table.columns:
            lines += [_missing(name, rows)] if column.required or name == project.label else []
            continue
        counts = batch_counts(table, name, column, group=split.group)
        if counts is None:
            lines.append(_another_type(name, column, stored=table.schema[name].base_type().__name__, rows=rows))
            continue
        difference = column_difference(
            name, column, counts, level=level, is_label=name == project.label, splits=name == split.column
        )
        lines += difference.lines
        if difference.widened != column:
            columns[name] = difference.widened
    is_forbidden = contract.extra_columns == "forbid"
    lines += [_new(name, rows, is_forbidden=is_forbidden) for name in table.columns if name not in contract.columns]
    return ContractDifference(rows, "rows" if split.group is None else "groups", tuple(lines), columns)


def as_written(contract: Contract) -> Contract:
    """The contract to read a batch by: where one value of a column is not of its type, the column stays as it is."""
    without = {"seen": None, "allowed": None}
    columns = {name: column.model_copy(update=without) for name, column in contract.columns.items()}
    return contract.model_copy(update={"columns": columns})


def _missing(name: str, rows: int) -> LineDifference:
    by_hand = "restore it, or set `required: false`"
    return LineDifference(name, "column", Verdict.FAILED, "required", None, rows, rows, by_hand=by_hand)


def _new(name: str, rows: int, *, is_forbidden: bool) -> LineDifference:
    verdict, now = (Verdict.FAILED, "forbidden") if is_forbidden else (Verdict.PASSED, "not described")
    by_hand = "describe it under `columns`, or leave it out"
    return LineDifference(name, "column", verdict, now, None, rows, rows, by_hand=by_hand)


def _another_type(name: str, column: Column, *, stored: str, rows: int) -> LineDifference:
    by_hand = f"it is stored as {stored}"
    return LineDifference(name, "type", Verdict.FAILED, column.type, None, rows, rows, by_hand=by_hand)
