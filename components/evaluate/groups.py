"""The groups of people that columns make, alone and in pairs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from modelway.components.core.config.model_policy import Slices
from modelway.components.core.config.thresholds import Threshold
from modelway.components.core.errors import ModelwayError
from modelway.components.evaluate.slices import Slice, find_slices

_BINS = 4
_AND = " \N{MULTIPLICATION SIGN} "


@dataclass(frozen=True)
class Grouping:
    """The groups that one column, or a pair of them, makes of the rows.

    Attributes:
        column: The column's name, or two joined by a multiplication sign.
        large: The groups with rows enough.
        small: Those with too few.
    """

    column: str
    large: tuple[Slice, ...]
    small: tuple[Slice, ...]


def groupings(table: pl.DataFrame, columns: Sequence[str], *, intersections: bool, minimum_rows: int) -> list[Grouping]:
    """The groups that each column makes, then those of each pair of columns if `intersections`.

    Numbers and times with many values are cut into four ranges of equal size; nulls are a group ``missing``.

    Raises:
        ModelwayError: a column is not in the data, or has too many values to make groups.
    """
    groups = {column: _groups(table, column) for column in columns}
    if intersections:
        for first, second in itertools.combinations(tuple(groups), 2):
            groups[first + _AND + second] = list(_intersections(groups[first], groups[second], rows=len(table)))
    return [
        Grouping(
            column,
            large=tuple(group for group in slices if len(group.rows) >= minimum_rows),
            small=tuple(group for group in slices if 0 < len(group.rows) < minimum_rows),
        )
        for column, slices in groups.items()
    ]


def group_names(groups: Sequence[Slice]) -> str:
    """The first groups with their numbers of rows, and how many there are beside."""
    text = ", ".join(f"{group.name} ({len(group.rows):,} rows)" for group in groups[:3])
    return text + (f" and {len(groups) - 3} more" if len(groups) > 3 else "")


def _groups(table: pl.DataFrame, column: str) -> list[Slice]:
    if column not in table.columns:
        raise ModelwayError(
            f"the policy judges fairness by {column!r}, which is not in the data",
            key="model.fairness.columns",
            column=column,
            remedy=f"choose among {', '.join(table.columns[:12])}",
        )
    cut = Slices(columns=(column,), metrics={"accuracy": Threshold(min=0.0)}, bins=_BINS)
    try:
        return list(find_slices(table.select(column), cut))
    except ModelwayError as error:
        raise ModelwayError(
            f"{column!r} has {table[column].n_unique()} values, too many to make groups",
            key="model.fairness.columns",
            column=column,
            remedy="bin it into a column of fewer values in the data, and name that one",
        ) from error


def _intersections(first: Sequence[Slice], second: Sequence[Slice], *, rows: int) -> Iterator[Slice]:
    pairs = np.empty((2, rows), dtype=np.int64)
    for numbers, groups in zip(pairs, (first, second), strict=True):
        for number, group in enumerate(groups):
            numbers[group.rows] = number
    codes = pairs[0] * len(second) + pairs[1]
    order = np.argsort(codes, kind="stable")
    present, starts = np.unique(codes[order], return_index=True)
    for code, members in zip(present.tolist(), np.split(order, starts[1:]), strict=False):
        row, column = divmod(code, len(second))
        yield Slice(first[row].name + _AND + second[column].name, members)
