"""The split into training, test and unseen rows: decided by their content, so that it is stable when rows are added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from modelway.components.core.config.project import Split
from modelway.components.core.errors import ModelwayError
from modelway.components.core.tables.placement import (
    TEST,
    UNSEEN,
    hashed_columns,
    numbers_among_equal,
    row_hashes,
    sides,
)


@dataclass(frozen=True)
class Splits:
    """The splits of a table; `unseen` is empty unless the project asks for it."""

    train: pl.DataFrame
    test: pl.DataFrame
    unseen: pl.DataFrame


def split_table(table: pl.DataFrame, split: Split, *, label: str | None = None) -> Splits:
    """Splits a table into training, test and unseen rows.

    By row or group, a row is in the test split if the hash of its identifier, group or content falls below the
    fraction, and in the unseen split if it falls into the share above it. Rows of equal content are in one split, or
    by `equal_rows: apart` each where its number among them puts it. By time, the latest rows are unseen, and the test
    split comes before them; rows at the very instant of a cut are in the earlier split.

    Args:
        table: The rows.
        split: How they are split.
        label: The column to predict; by `equal_rows: together` it is not a part of the content.

    Raises:
        ModelwayError: the column is missing or has nulls, or a split would be empty.
    """
    if split.column is not None:
        _check_column(table, split.column)
    if split.by == "time":
        times = table[str(split.column)]
        is_unseen = _latest(times, split.unseen_fraction) if split.unseen_fraction else np.zeros(len(times), dtype=bool)
        is_test = _latest(times, split.test_fraction + split.unseen_fraction) & ~is_unseen
    else:
        hashes = row_hashes(table, hashed_columns(table.columns, split, label=label))
        numbers = numbers_among_equal(hashes) if split.equal_rows == "apart" else None
        places = sides(hashes, split, numbers=numbers)
        is_test, is_unseen = places == TEST, places == UNSEEN
    is_train = ~is_test & ~is_unseen
    for side, rows, must_have_rows in (
        ("training", is_train, True),
        ("test", is_test, True),
        ("unseen", is_unseen, split.unseen_fraction > 0),
    ):
        if must_have_rows and not rows.any():
            raise ModelwayError(
                f"the split by {split.by} leaves no {side} rows of {len(table)}",
                key="data.split",
                column=split.column,
                value=split.unseen_fraction if side == "unseen" else split.test_fraction,
                remedy="add rows or groups, or change `data.split`",
            )
    return Splits(table.filter(is_train), table.filter(is_test), table.filter(is_unseen))


def _latest(times: pl.Series, fraction: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Selects about this share of the rows, the latest."""
    cut = times.sort()[max(0, int(len(times) * (1 - fraction)) - 1)]
    later: np.ndarray[Any, np.dtype[np.bool_]] = (times > cut).to_numpy()
    return later


def _check_column(table: pl.DataFrame, column: str) -> None:
    if column not in table.columns:
        raise ModelwayError(
            f"the data has no column {column!r} to split by",
            key="data.split.column",
            column=column,
            remedy=f"choose one of {', '.join(table.columns[:10])}",
        )
    nulls = table[column].null_count()
    if nulls:
        raise ModelwayError(
            f"{nulls} of {len(table)} rows have no {column!r} to split by",
            key="data.split.column",
            column=column,
            remedy="fill in the column, or split by another one",
        )
