"""Where the content of a row places it in a split: the same on every machine, in any order, and when rows are added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from modelway.components.core.config.project import Split
from modelway.components.core.tables.parquet import as_numbers, as_text

TRAIN, TEST, UNSEEN = 0, 1, 2
MOSTLY_DISTINCT = 0.99  # the share of distinct rows from which on equal ones are copies, and no coincidence
Hashes = np.ndarray[Any, np.dtype[np.uint64]]
Sides = np.ndarray[Any, np.dtype[np.int8]]
_GAMMA = 0x9E3779B97F4A7C15


def hashed_columns(columns: Sequence[str], split: Split, *, label: str | None) -> list[str]:
    """The columns that decide where a row goes, in a fixed order.

    Where equal rows stay together the label is not among them: else rows with equal features and other labels part,
    and the test split holds the answers that the training split does not.
    """
    if split.column is not None:
        return [split.column]
    with_label = split.equal_rows != "together"
    return sorted(name for name in columns if with_label or name != label) or sorted(columns)


def sides(hashes: Hashes, split: Split, *, numbers: Hashes | None = None) -> Sides:
    """The split of each row: `TRAIN`, `TEST` or `UNSEEN`.

    Args:
        hashes: Of the columns that decide.
        split: By row or group.
        numbers: The number of each row among the rows of its hash, from 0, by which equal rows are placed apart; None:
            rows of one hash have one place. The hash and the number are different for any two rows, so each row has a
            place of its own, whatever its label is: that is a random split. Equal rows are interchangeable, so the
            order of the rows does not matter, and one more is numbered after those that were there.
    """
    places = _mixed(hashes, split.seed + 1)
    if numbers is not None:
        places = _mixed(places, numbers + np.uint64(1))
    shares = (places >> np.uint64(11)).astype(np.float64) * 2.0**-53  # in [0, 1)
    is_test = shares < split.test_fraction
    is_unseen = ~is_test & (shares < split.test_fraction + split.unseen_fraction)
    return (is_test * TEST + is_unseen * UNSEEN).astype(np.int8)


def numbers_among_equal(hashes: Hashes) -> Hashes:
    """The number of each row among those of the same hash, from 0, in the order of the rows."""
    row = pl.int_range(pl.len(), dtype=pl.UInt64)
    return pl.DataFrame({"hash": hashes}).select(row.over("hash")).to_series().to_numpy()


def row_hashes(table: pl.DataFrame, columns: list[str]) -> Hashes:
    """Returns a 64-bit hash of each row's values, the same on every machine.

    This is pandas' hash, which is documented as deterministic; that of Polars changes across versions.
    """
    import pandas as pd

    frame = pd.DataFrame({column: _hashable(table[column]) for column in columns})
    return np.asarray(pd.util.hash_pandas_object(frame, index=False), dtype=np.uint64)


def _hashable(series: pl.Series) -> Any:
    import pandas as pd

    if series.dtype.is_temporal():
        return as_numbers(series)
    if series.dtype.is_numeric() or series.dtype in {pl.Boolean, pl.Null}:
        return series.cast(pl.Float64).to_numpy() + 0.0  # turns -0.0 into 0.0
    texts = as_text(series)
    values = texts.drop_nulls().unique()
    if 2 * len(values) > len(texts):
        return pd.Series(texts.to_list(), dtype=object)
    # pandas hashes each category once, to what it hashes its text to.
    codes = texts.cast(pl.Enum(values)).to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
    return pd.Categorical.from_codes(codes, categories=pd.Index(values.to_list(), dtype=object))


def _mixed(states: Hashes, steps: int | Hashes) -> Hashes:
    """The outputs of splitmix64 (Steele et al., OOPSLA 2014), so many steps on from each state."""
    step = np.uint64(steps * _GAMMA % 2**64) if isinstance(steps, int) else steps * np.uint64(_GAMMA)
    mixed: Hashes = states + step
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
