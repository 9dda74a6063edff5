"""Rows that the champion was not released from: what a contract judges by evidence is judged on them alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
import polars.exceptions

from modelway.components.core.audit.opened_version import OpenedVersion
from modelway.components.core.config.contract import Contract
from modelway.components.core.errors import DamagedError
from modelway.components.core.evidence.files import ROWS_FILE
from modelway.components.core.tables.placement import MOSTLY_DISTINCT, Hashes, row_hashes
from modelway.components.core.tables.unparsed import Mask, Unparsed, unparsed_among
from modelway.components.validate.counting import Counts, Tally, count, rows_of

MOST_ROWS = 10_000_000
NOT_KEPT = f"not kept, since there are more than {MOST_ROWS:,} rows"
_BITS = 40
_ROWS_AT_ONCE = 250_000
_HASH, _IS_NEW = "hash", "is a new row"


@dataclass(frozen=True)
class NewRows:
    """The rows that the champion was not released from.

    Attributes:
        table: The rows.
        counts: What was counted of them.
        unparsed: By column their values that were let pass as missing.
    """

    table: pl.LazyFrame
    counts: Counts
    unparsed: Mapping[str, Unparsed]


def judges_by_evidence(contract: Contract, *, label: str) -> bool:
    """Whether a contract has a line that is judged by what was seen."""
    columns = [column for name, column in contract.columns.items() if name != label]
    return any(column.seen_for(line) is not None for column in columns for line in column.lines())


def hashes_of(*tables: pl.LazyFrame) -> Hashes | None:
    """A 40-bit hash of each row of some tables, in their order; None of more than 10 million rows.

    It is made of the upper bits of `row_hashes` over all columns in the order of their names; some rows at a time are
    in memory. A new row has the hash of one of n others with probability n / 2⁴⁰: 0.001% for 10 million.
    """
    if sum(map(rows_of, tables)) > MOST_ROWS:
        return None
    parts = [
        row_hashes(table.slice(start, _ROWS_AT_ONCE).collect(), sorted(table.collect_schema().names()))
        for table in tables
        for start in range(0, rows_of(table), _ROWS_AT_ONCE)
    ]
    return np.concatenate([np.empty(0, dtype=np.uint64), *parts]) >> np.uint64(64 - _BITS)


def write_hashes(folder: Path, hashes: Hashes) -> None:
    """Writes the hashes of a release's rows for the evidence, in ascending order, with those that occur repeatedly."""
    pl.DataFrame({_HASH: np.sort(hashes)}).write_parquet(folder / ROWS_FILE)


def registered_hashes(champion: OpenedVersion | None) -> Hashes | None:
    """The hashes of the rows that a version was released from, in ascending order; None: they are not kept.

    Raises:
        DamagedError: they cannot be read.
    """
    if champion is None or ROWS_FILE not in champion.files:
        return None
    problem = DamagedError(
        f"{champion.version} has hashes of its rows that cannot be read",
        file=ROWS_FILE,
        remedy="find out who changed it in MLflow, or which version of Modelway wrote it; register a version anew",
    )
    try:
        table = pl.read_parquet(BytesIO(champion.files[ROWS_FILE]))
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException) as error:
        raise problem from error
    if table.schema != {_HASH: pl.UInt64} or table[_HASH].null_count():
        raise problem
    return table[_HASH].sort().to_numpy()


def new_among(hashes: Hashes | None, registered: Hashes | None, *, unparsed: Mapping[str, Unparsed]) -> Mask | None:
    """Which rows are not among those that the champion was released from; None: that cannot be told.

    A row is known if its hash is, however often it stands in either table: a copy of a known row is no evidence either.
    In a table where rows are equal by coincidence it cannot be told. There the frequent rows would be left out and the
    rare ones stay, so that a clean batch would seem to have more bad rows than it has. Where at least 99% of the
    champion's rows are distinct, that concerns at most some 2% of the rows.

    Args:
        hashes: Of each row; None: there are too many.
        registered: Of the champion's rows, in ascending order; None: they are not kept.
        unparsed: By column the values that were let pass as missing, which must be known by their rows.
    """
    if hashes is None or registered is None or not len(registered):
        return None
    distinct = registered[np.append(True, registered[1:] != registered[:-1])]
    if len(distinct) < MOSTLY_DISTINCT * len(registered) or any(
        values.positions is None for values in unparsed.values()
    ):
        return None
    places = np.minimum(np.searchsorted(distinct, hashes), len(distinct) - 1)
    is_new: Mask = distinct[places] != hashes
    return is_new


def new_rows(
    table: pl.LazyFrame,
    is_new: Mask | None,
    *,
    tally: Tally,
    low_cardinality: list[str],
    unparsed: Mapping[str, Unparsed],
) -> NewRows | None:
    """Counts a tally of the new rows; None: all are new, or it cannot be told which.

    Args:
        table: All rows.
        is_new: Which of them are new; None: that cannot be told.
        tally: What to count.
        low_cardinality: Columns of text that hold few different values.
        unparsed: By column all rows' values that were let pass as missing.
    """
    if is_new is None or is_new.all():
        return None
    marked = pl.concat([table, pl.LazyFrame({_IS_NEW: is_new})], how="horizontal")
    rows = marked.filter(_IS_NEW).drop(_IS_NEW)
    return NewRows(rows, count(rows, tally, low_cardinality=low_cardinality), unparsed_among(is_new, unparsed))
