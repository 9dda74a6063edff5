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
    TRAIN,
    UNSEEN,
    Sides,
    hashed_columns,
    numbers_among_equal,
    row_hashes,
    sides,
)

Array = np.ndarray[Any, Any]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Splits:
    """The splits of a table; `unseen` is empty unless the project asks for it."""

    train: pl.DataFrame
    test: pl.DataFrame
    unseen: pl.DataFrame


def split_table(table: pl.DataFrame, split: Split, *, label: str | None = None) -> Splits:
    """Splits a table into training, test and unseen rows, as `split_sides` says.

    Raises:
        ModelwayError: the column is missing or has nulls, or a split would be empty.
    """
    places = split_sides(table, split, label=label)
    return Splits(*(table.filter(places == side) for side in (TRAIN, TEST, UNSEEN)))


def split_sides(table: pl.DataFrame, split: Split, *, label: str | None = None) -> Sides:
    """The split of each row: `TRAIN`, `TEST` or `UNSEEN`.

    By row or group, a row is in the test split if the hash of its identifier, group or content falls below the
    fraction, and in the unseen split if it falls into the share above it. Rows of equal content are in one split, or
    by `equal_rows: apart` each where its number among them puts it. By time, the latest rows are unseen, and the test
    split comes before them; rows of one instant stay together, so each cut lies between the two instants where the
    share is nearest to the requested one, and no split is empty where there are as many instants as splits.

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
        is_test, is_unseen = _latest(table[str(split.column)], split)
        places = (is_test * TEST + is_unseen * UNSEEN).astype(np.int8)
    else:
        hashes = row_hashes(table, hashed_columns(table.columns, split, label=label))
        numbers = numbers_among_equal(hashes) if split.equal_rows == "apart" else None
        places = sides(hashes, split, numbers=numbers)
    for name, side, must_have_rows in (
        ("training", TRAIN, True),
        ("test", TEST, True),
        ("unseen", UNSEEN, split.unseen_fraction > 0),
    ):
        if must_have_rows and not (places == side).any():
            raise ModelwayError(
                f"the split by {split.by} leaves no {name} rows of {len(table)}",
                key="data.split",
                column=split.column,
                value=split.unseen_fraction if side == UNSEEN else split.test_fraction,
                remedy=_remedy(table, split),
            )
    return places


def _latest(times: pl.Series, split: Split) -> tuple[Mask, Mask]:
    """Which rows are in the test split and which are unseen: the latest instants, of about the requested shares."""
    instants = times.rank("dense", descending=True).to_numpy()  # 1: the latest
    shares = np.bincount(instants)[1:].cumsum() / max(len(times), 1)
    unseen = _nearest(shares[:-2], split.unseen_fraction) if split.unseen_fraction else 0
    test = unseen + _nearest(shares[unseen:-1], split.test_fraction + split.unseen_fraction)
    return (instants > unseen) & (instants <= test), instants <= unseen


def _nearest(shares: Array, fraction: float) -> int:
    """How many of the latest instants make up the share nearest to a fraction; of two as near the smaller; 0: none."""
    return int(np.abs(shares - fraction).argmin()) + 1 if shares.size else 0


def _remedy(table: pl.DataFrame, split: Split) -> str:
    """What to do about a split that would be empty."""
    if split.by == "time":
        needed, instants = 3 if split.unseen_fraction else 2, table[str(split.column)].n_unique()
        return (
            f"a split by time needs {needed} instants, and the column has {instants}: add later rows, or split by row"
        )
    return "add rows or groups, or change `data.split`: another `seed` may do for a few rows"


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
