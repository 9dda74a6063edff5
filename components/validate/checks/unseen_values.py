"""Values outside the categories of a column, judged by the values that were seen: how many, and the commonest one."""

from __future__ import annotations

import math

import polars as pl

from modelway.components.core.checks import Check
from modelway.components.core.config.contract import Column
from modelway.components.core.config.seen import SeenRows
from modelway.components.core.measures.bad_rows import certainly_more
from modelway.components.validate.checks.bad_rows import BadRows, shown_values
from modelway.components.validate.checks.evidence import (
    SOURCE_REMEDY,
    Batch,
    LineRule,
    ValueRows,
    excess_text,
    judged_line,
)
from modelway.components.validate.counting import collect_all, multiplicities, row_hash

_SHOWN = 3


def unseen_value_checks(
    table: pl.LazyFrame, column: Column, *, kind: BadRows, rows: int, bad: int, group: str | None, batch: Batch
) -> list[Check]:
    """The checks `categories[…]`, of how many other values there are, and `commonest[…]`, of the commonest one's rows.

    Rows of one new value come together, so their number alone says little. How many new values there are is judged
    against how many were seen once (Good, Biometrika 40, 1953).

    Args:
        table: The rows, read again only where some have other values.
        column: The column, whose categories are judged by what was seen.
        kind: The rows with other values.
        rows: How many there are.
        bad: How many count: as many, or their groups.
        group: The column whose groups are counted in place of rows; None: rows are.
        batch: What the lines are judged on.
    """
    seen, seen_counts = kind.seen, (column.seen.categories if column.seen is not None else None) or {}
    if seen is None or column.categories is None or kind.example_column is None:
        return []
    name = kind.example_column
    values, examples = 0, pl.DataFrame({"value": [], "rows": []}, schema={"value": pl.String, "rows": pl.UInt32})
    value_rows = ValueRows(tuple(count + batch.rows for count in seen_counts.values()))  # no category has more
    if rows:
        values, ties, examples = _unseen_values(table.filter(kind.condition), name, rows=rows, group=group)
        known = _category_rows(table, name, condition=kind.condition)
        both = tuple(count + known.get(value, 0) for value, count in seen_counts.items())
        value_rows = ValueRows(both, commonest=int(examples["rows"][0]), ties=ties)
    share = unseen_share(seen, kind.most, rows=batch.rows, level=batch.level)
    is_more = share is not None and certainly_more(
        bad, rows=batch.rows, share=share, level=batch.level, rows_as_one=seen.rows_as_one
    )
    texts, commonest = examples["value"].to_list(), value_rows.commonest
    counted = batch.counted(bad, "values outside the categories")
    if values:
        counted += f", {values:,} different: {shown_values(texts)}{', …' if values > len(texts) else ''}"
    of_commonest = batch.counted(commonest, "values that equal the commonest one outside the categories")
    return [
        judged_line(
            kind.name,
            LineRule(seen),
            bad=values,
            batch=batch,
            counted=counted,
            remedy=SOURCE_REMEDY,
            unit="values",
            excess=excess_text(share or 0) if is_more else "",
            threshold=kind.threshold,
        ),
        judged_line(
            f"commonest[{name}]",
            LineRule(column.seen_for("commonest") or seen, value_rows=value_rows, expects_some=seen.bad > 0),
            bad=commonest,
            batch=batch,
            counted=of_commonest + (f", {shown_values(texts[:1])}" if values else ""),
            remedy=SOURCE_REMEDY,
            threshold=kind.threshold,
        ),
    ]


def unseen_share(seen: SeenRows, most: float, *, rows: int, level: float) -> float | None:
    """The share of rows with values that were not seen that may be; None: what was seen decides alone.

    It is `most` beyond an upper limit of the estimate by Good (1953), the share of the rows of values seen once, whose
    variance is about (once + 2 twice) / rows² (Esty, Annals of Statistics 11, 1983), of which twice is at most about
    half of once. Where no value was seen once it is that of any line.
    """
    if seen.bad <= 0 or seen.rows <= 0:
        return LineRule(seen, most).most_share(rows=rows, level=level)
    from scipy.special import ndtri

    alike = max(1.0, seen.rows_as_one)
    once = seen.bad / alike
    possible = float(once - ndtri(level) * math.sqrt(2 * once + 1)) / (seen.rows / alike)
    return min(1.0, most + possible)


def _unseen_values(table: pl.LazyFrame, name: str, *, rows: int, group: str | None) -> tuple[int, int, pl.DataFrame]:
    """How many different values there are, how many have as many rows as the commonest, and the commonest few.

    A few million values are held at a time, by their hashes.
    """
    values, ties, most = 0, 0, 0
    top = pl.DataFrame(schema={"key": pl.UInt64, "rows": pl.UInt32})
    for counts in multiplicities(table, [name], rows=rows, group=group):
        values += len(counts)
        top = pl.concat([top, counts], how="vertical_relaxed")
        top = top.sort(["rows", "key"], descending=[True, False]).head(_SHOWN)
        greatest = int(top["rows"][0])
        ties = (ties if greatest == most else 0) + int((counts["rows"] == greatest).sum())
        most = greatest
    examples = table.filter(row_hash([name]).is_in(top["key"].implode()))
    plan = examples.select(row_hash([name]).alias("key"), pl.col(name).cast(pl.String).alias("value")).unique()
    (texts,) = collect_all([plan])
    shown = top.join(texts, on="key", how="left", maintain_order="left")
    return values, ties, shown.select("value", "rows")


def _category_rows(table: pl.LazyFrame, name: str, *, condition: pl.Expr) -> dict[str, int]:
    """How many rows of the batch each category has, by its text."""
    known = table.filter(~condition).group_by(name).len("rows")  # a missing value is neither, and left out
    (counts,) = collect_all([known])
    return {str(value): int(number) for value, number in counts.iter_rows()}
