"""Counts over whole tables in bounded memory: rows are streamed past the counters, never held."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl
import polars.exceptions

from modelway.components.core.errors import ModelwayError, first_line
from modelway.components.core.tables.parquet import as_text

SAMPLE_ROWS = 100_000
SAMPLE_SEED = 0
ROWS_AT_ONCE = 4_000_000  # keys held when counting equal ones
PLANS_AT_ONCE = 16
_HASH = "hash of the row"
_ROWS = "rows of the value"
_GOLDEN, _MIX = 0x9E3779B97F4A7C15, 0xFF51AFD7ED558CCD  # the odd multipliers of Fibonacci hashing and of MurmurHash3


@dataclass(frozen=True)
class Tally:
    """What to count of a table.

    Attributes:
        numbers: Conditions on single rows; counts the rows that meet each.
        values: By column its values as text, and which of them to count the rows of.
    """

    numbers: dict[str, pl.Expr] = field(default_factory=dict)
    values: dict[str, tuple[pl.Expr, Sequence[str]]] = field(default_factory=dict)

    def __or__(self, other: Tally) -> Tally:
        """Both; their names must differ."""
        return Tally(self.numbers | other.numbers, self.values | other.values)


@dataclass(frozen=True)
class Counts:
    """The counts of a tally.

    Attributes:
        rows: How many rows there are.
        numbers: The number of each expression.
        values: For each column of text, the number of rows of each value that occurs.
    """

    rows: int
    numbers: dict[str, int]
    values: dict[str, dict[str, int]]

    def __add__(self, other: Counts) -> Counts:
        """The sums of the numbers that both tables have."""
        numbers = {name: number + other.numbers[name] for name, number in self.numbers.items() if name in other.numbers}
        return Counts(self.rows + other.rows, numbers, {})


def count(table: pl.LazyFrame, tally: Tally, *, low_cardinality: Collection[str] = ()) -> Counts:
    """Counts a tally in one pass over the columns concerned.

    Args:
        table: The rows.
        tally: What to count.
        low_cardinality: Columns of text that hold few different values: the rows of each value are counted, and
            conditions on such a column alone are then evaluated once for each value.

    Raises:
        ModelwayError: a condition cannot be evaluated.
    """
    alone: dict[str, dict[str, pl.Expr]] = {column: {} for column in low_cardinality}
    row_conditions: dict[str, pl.Expr] = {}
    for name, condition in tally.numbers.items():
        roots = set(condition.meta.root_names())
        alone.get(next(iter(roots)) if len(roots) == 1 else "", row_conditions)[name] = condition
    texts = {column: values for column, values in tally.values.items() if column not in alone}
    sums = [condition.sum().alias(name) for name, condition in row_conditions.items()]
    plans = [table.select(pl.len().alias(_ROWS), *sums)]
    plans += [table.group_by(column).len(_ROWS) for column in alone]
    plans += [_value_counts(table, text, values=values) for text, values in texts.values()]
    row_counts, *value_frames = collect_all(plans)
    numbers = {name: int(number or 0) for name, number in row_counts.row(0, named=True).items()}
    for conditions, frame in zip(alone.values(), value_frames, strict=False):
        numbers |= {name: int(frame.filter(condition)[_ROWS].sum()) for name, condition in conditions.items()}
    value_counts = {
        column: dict(frame.iter_rows()) for column, frame in zip([*alone, *texts], value_frames, strict=True)
    }
    return Counts(numbers.pop(_ROWS), numbers, {column: value_counts[column] for column in tally.values})


def _value_counts(table: pl.LazyFrame, text: pl.Expr, *, values: Sequence[str]) -> pl.LazyFrame:
    is_listed = pl.col("value").is_in(pl.Series(values, dtype=pl.String).implode())
    return table.select(text.alias("value")).filter(is_listed).group_by("value").len("rows")


def collect_all(plans: Sequence[pl.LazyFrame]) -> list[pl.DataFrame]:
    """Computes some plans, several at a time, streaming the rows.

    Raises:
        ModelwayError: an expression cannot be evaluated; only a row rule of the contract can cause that.
    """
    try:
        return [
            frame
            for start in range(0, len(plans), PLANS_AT_ONCE)
            for frame in pl.collect_all(plans[start : start + PLANS_AT_ONCE], engine="streaming")
        ]
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException) as error:
        raise ModelwayError(
            f"a row rule cannot be evaluated: {first_line(error)}",
            key="rules",
            remedy="correct the rule in the contract: its operations must fit its columns' types",
        ) from error


def rows_of(table: pl.LazyFrame) -> int:
    """How many rows there are; a Parquet file knows without being read."""
    return int(table.select(pl.len()).collect(engine="streaming").item())


def sample_of(table: pl.LazyFrame, columns: Sequence[str], *, limit: int, seed: int = SAMPLE_SEED) -> pl.DataFrame:
    """Draws at most `limit` rows in a random order, the same ones each time.

    They are the rows whose number in the table has the smallest hashes, so the table is streamed once.
    """
    rows = rows_of(table)
    number = pl.col(_HASH).cast(pl.UInt64) + pl.lit(seed, pl.UInt64)
    mixed = _times(number ^ (number // 2**32), _GOLDEN)
    mixed = _times(mixed ^ (mixed // 2**32), _MIX)
    hashed = table.with_row_index(_HASH)
    if rows > limit:
        enough = min(1.0, 1.05 * limit / rows + 100 / rows)  # some more, so that cutting leaves `limit`
        hashed = hashed.filter(mixed <= pl.lit(min(int(enough * 2**64), 2**64 - 1), pl.UInt64))
    return hashed.select(*columns, mixed.alias(_HASH)).sort(_HASH).head(limit).drop(_HASH).collect(engine="streaming")


def multiplicities(
    table: pl.LazyFrame, columns: Sequence[str], *, rows: int, group: str | None = None
) -> Iterator[pl.DataFrame]:
    """Counts rows with the same values in some columns: frames of ``key`` (a 64-bit hash of them) and ``rows``.

    A few million keys are held at a time: a longer table is read several times, each for its share of the keys. Two
    different keys collide with probability rows² / 2⁶⁵: 0.0001 for 50 million.

    Args:
        table: The rows.
        columns: The columns whose values are counted.
        rows: How many rows there are.
        group: The column whose different values are counted in place of rows; None: rows are.
    """
    parts = -(-rows // ROWS_AT_ONCE)
    number = pl.len() if group is None else pl.col("group").n_unique()
    groups = [] if group is None else [row_hash([group]).alias("group")]
    keys = table.select(row_hash(columns).alias("key"), *groups)
    for part in range(parts):
        share = keys.filter(pl.col("key") % parts == part) if parts > 1 else keys
        yield share.group_by("key").agg(number.alias("rows")).collect(engine="streaming")


def row_hash(columns: Sequence[str]) -> pl.Expr:
    """A 64-bit hash of each row's values in some columns; missing values are equal to one another."""
    return pl.struct(columns).hash() if len(columns) > 1 else pl.col(columns[0]).hash()


def groups_with(table: pl.LazyFrame, group: str, conditions: Mapping[str, pl.Expr]) -> tuple[int, dict[str, int]]:
    """How many groups of rows there are, and how many have a row that meets each condition.

    As with `multiplicities`, a few million groups are held at a time.
    """
    names = {f"{number}": condition for number, condition in enumerate(conditions.values())}
    parts = -(-rows_of(table) // ROWS_AT_ONCE)
    keys = table.select(row_hash([group]).alias("key"), **names)
    total, numbers = 0, [0] * len(names)
    for part in range(parts):
        share = keys.filter(pl.col("key") % parts == part) if parts > 1 else keys
        groups = share.group_by("key").agg(pl.col(name).any() for name in names)
        (frame,) = collect_all([groups.select(pl.len().alias("groups"), *(pl.col(name).sum() for name in names))])
        total += int(frame["groups"][0])
        numbers = [number + int(frame[name][0]) for number, name in zip(numbers, names, strict=True)]
    return total, dict(zip(conditions, numbers, strict=True))


def rows_per_group(table: pl.LazyFrame, column: str) -> float:
    """Kish's design effect: how many rows weigh as one where the rows of a group are alike.

    The sum of the groups' squared sizes over the sum of their sizes, which is the effect at an intraclass correlation
    of one, its upper bound (Kish, Profile Sampling, 1965). 1 for a table without rows.
    """
    total, squares = 0, 0
    for frame in multiplicities(table, [column], rows=rows_of(table)):
        sizes = frame["rows"].cast(pl.Int64)
        total += int(sizes.sum())
        squares += int((sizes * sizes).sum())
    return squares / total if total else 1.0


def aligned(*tables: pl.LazyFrame) -> list[pl.LazyFrame]:
    """Gives all tables the same columns: missing values where one lacks a column.

    Columns of different types become the type that holds both, or else text.
    """
    schemas = [table.collect_schema() for table in tables]
    if all(schema == schemas[0] for schema in schemas):
        return list(tables)
    columns = dict.fromkeys(column for schema in schemas for column in schema)
    types = {column: _common([schema[column] for schema in schemas if column in schema]) for column in columns}
    return [
        table.select(_cast(column, schema, dtype=dtype).alias(column) for column, dtype in types.items())
        for table, schema in zip(tables, schemas, strict=True)
    ]


def _cast(column: str, schema: pl.Schema, *, dtype: pl.DataType) -> pl.Expr:
    """A column as another type; missing values where there is none."""
    if column not in schema:
        return pl.lit(None, dtype)
    return text_of(column, schema[column]) if dtype == pl.String else pl.col(column).cast(dtype)


def text_of(column: str, dtype: pl.DataType) -> pl.Expr:
    """Each value as `as_text` writes it."""
    if dtype.is_nested() or dtype in {pl.Binary, pl.Object}:
        return pl.col(column).map_batches(as_text, return_dtype=pl.String(), is_elementwise=True)
    return pl.col(column).cast(pl.String)


def _common(types: Sequence[pl.DataType]) -> pl.DataType:
    if len(set(types)) == 1:
        return types[0]
    if all(dtype.is_numeric() for dtype in types) or all(isinstance(dtype, pl.Datetime) for dtype in types):
        frames = [pl.DataFrame(schema={"x": dtype}) for dtype in types]
        return pl.concat(frames, how="vertical_relaxed").schema["x"]
    return pl.String()


def _times(number: pl.Expr, factor: int) -> pl.Expr:
    return number * pl.lit(factor, pl.UInt64)
