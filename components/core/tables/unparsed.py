"""Values that are not of their column's type and were let pass as missing: the count travels in the Parquet file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import polars as pl
from pydantic import Field, TypeAdapter, ValidationError

from modelway.components.core.errors import DamagedError
from modelway.components.core.parsing import parse_json

UNPARSED_KEY = "modelway.unparsed"
MOST_EXAMPLES = 3
MOST_LETTERS = 200  # of an example
MOST_POSITIONS = 100_000  # of a column, since a Parquet file's metadata is read whole
Mask = np.ndarray[Any, np.dtype[np.bool_]]
_Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Unparsed:
    """The values of a column that are not of its type and were let pass as missing.

    Attributes:
        rows: How many rows have one.
        examples: Up to three different ones.
        positions: The numbers of these rows in their file, from 0, in ascending order; None: they are too many.
    """

    rows: _Count
    examples: tuple[str, ...]
    positions: tuple[_Count, ...] | None = None


_BY_COLUMN = TypeAdapter(dict[str, Unparsed])


def unparsed_of(positions: pl.Series, values: pl.Series) -> Unparsed:
    """Counts the values of one column, and keeps some examples.

    Args:
        positions: The numbers of their rows in the file.
        values: The values as text.
    """
    examples = values.head(1000).unique(maintain_order=True).head(MOST_EXAMPLES).str.slice(0, MOST_LETTERS)
    numbers = tuple(positions.to_list()) if len(positions) <= MOST_POSITIONS else None
    return Unparsed(len(positions), tuple(examples.to_list()), numbers)


def unparsed_among(rows: Mask, unparsed: Mapping[str, Unparsed]) -> dict[str, Unparsed]:
    """The values of some of a table's rows, by their rows' numbers among these; the examples stay those of all.

    Args:
        rows: Which of the table's rows.
        unparsed: The values of all, with their positions.
    """
    numbers = np.cumsum(rows) - 1
    among = {}
    for name, values in unparsed.items():
        positions = np.asarray(values.positions, dtype=np.int64)
        positions = numbers[positions[rows[positions]]]
        if len(positions):
            among[name] = Unparsed(len(positions), values.examples, tuple(positions.tolist()))
    return among


def unparsed_together(
    first: Mapping[str, Unparsed], second: Mapping[str, Unparsed], *, first_rows: int
) -> dict[str, Unparsed]:
    """The values of two tables, of which the second stands below the first.

    Args:
        first: The values of the first table.
        second: The values of the second.
        first_rows: How many rows the first table has.
    """
    together = {}
    nothing = Unparsed(0, (), ())
    for name in dict.fromkeys((*first, *second)):
        above, below = first.get(name, nothing), second.get(name, nothing)
        positions = None
        if above.positions is not None and below.positions is not None:
            positions = (*above.positions, *(first_rows + position for position in below.positions))
        examples = tuple(dict.fromkeys((*above.examples, *below.examples)))[:MOST_EXAMPLES]
        together[name] = Unparsed(above.rows + below.rows, examples, positions)
    return together


def unparsed_metadata(unparsed: Mapping[str, Unparsed]) -> dict[str, str] | None:
    """The key-value metadata of the Parquet file whose columns these values are of; None: it needs none."""
    present = {name: values for name, values in unparsed.items() if values.rows}
    return {UNPARSED_KEY: _BY_COLUMN.dump_json(present).decode()} if present else None


def unparsed_values(path: str) -> dict[str, Unparsed]:
    """The values that ingest let pass as missing, by column; none in a file that it did not write.

    Raises:
        DamagedError: the file's metadata are not as they were written.
    """
    text = pl.read_parquet_metadata(path).get(UNPARSED_KEY)
    if text is None:
        return {}
    rows = int(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item())
    try:
        unparsed = _BY_COLUMN.validate_python(parse_json(text))
    except (ValueError, ValidationError) as error:
        raise _damaged(path, "cannot be read") from error
    for name, values in unparsed.items():
        positions = values.positions
        if max(values.rows, *(number + 1 for number in positions or (-1,))) > rows:
            raise _damaged(path, f"tell of rows that it does not have, in the column {name!r}")
        if positions is not None and len({*positions}) != values.rows:
            raise _damaged(path, f"count {values.rows:,} values of {name!r}, and say where {len({*positions}):,} are")
    return unparsed


def _damaged(path: str, problem: str) -> DamagedError:
    return DamagedError(
        f"the metadata of {path} {problem}",
        file=path,
        key=UNPARSED_KEY,
        remedy="write the file anew with `ingest_data`, or without this key",
    )
