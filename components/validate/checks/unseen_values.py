"""Values outside the categories of a column, judged by the values that were seen: how many, and the commonest one."""

from __future__ import annotations

import math
from dataclasses import dataclass

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


@dataclass(frozen=True)
class CategoriesRule:
    """When values outside a column's categories fail: by how many are new, by the commonest, or by all their rows.

    Attributes:
        seen: The rows that were seen; bad are the values that were seen once, since so many new ones are to be expected
            (Good, Biometrika 40, 1953).
        seen_by_row: The rows that were seen, by which the rows of the commonest new value are judged.
        most: The share of rows with new values, beyond what is to be expected, that fails whatever was seen.
    """

    seen: SeenRows
    seen_by_row: SeenRows
    most: float

    @classmethod
    def of(cls, column: Column, seen: SeenRows) -> CategoriesRule:
        """The rule of a column whose categories are judged by what was seen."""
        return cls(seen, column.seen_for("commonest") or seen, column.most)

    @property
    def of_values(self) -> LineRule:
        """On how many values are new."""
        return LineRule(self.seen)

    def of_commonest(self, value_rows: ValueRows) -> LineRule:
        """On the rows of the commonest new value, which come together."""
        return LineRule(self.seen_by_row, value_rows=value_rows, expects_some=self.seen.bad > 0)

    def share(self, *, rows: int, level: float) -> float | None:
        """The share of rows with new values that may be; None: the other two decide alone.

        It is `most` beyond an upper limit of the estimate by Good (1953), the share of the rows of values seen once,
        whose variance is about (once + 2 twice) / rows² (Esty, Annals of Statistics 11, 1983), of which twice is at
        most about half of once. Where no value was seen once it is that of any line.
        """
        seen = self.seen
        if seen.bad <= 0 or seen.rows <= 0:
            return LineRule(seen, self.most).most_share(rows=rows, level=level)
        from scipy.special import ndtri

        alike = max(1.0, seen.rows_as_one)
        once = seen.bad / alike
        possible = float(once - ndtri(level) * math.sqrt(2 * once + 1)) / (seen.rows / alike)
        return min(1.0, self.most + possible)

    def exceeded_share(self, bad: int, *, rows: int, level: float) -> float | None:
        """The share of rows with new values that may be, if there are certainly more; None if not."""
        share = self.share(rows=rows, level=level)
        if share is None:
            return None
        is_more = certainly_more(bad, rows=rows, share=share, level=level, rows_as_one=self.seen.rows_as_one)
        return share if is_more else None


def unseen_value_checks(
    table: pl.LazyFrame, column: Column, *, kind: BadRows, rows: int, bad: int, group: str | None, batch: Batch
) -> list[Check]:
    """The checks `categories[…]`, of how many other values there are, and `commonest[…]`, of the commonest one's rows.

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
    rule = CategoriesRule.of(column, seen)
    excess = rule.exceeded_share(bad, rows=batch.rows, level=batch.level)
    texts, commonest = examples["value"].to_list(), value_rows.commonest
    counted = batch.counted(bad, "values outside the categories")
    if values:
        counted += f", {values:,} different: {shown_values(texts)}{', …' if values > len(texts) else ''}"
    of_commonest = batch.counted(commonest, "values that equal the commonest one outside the categories")
    return [
        judged_line(
            kind.name,
            rule.of_values,
            bad=values,
            batch=batch,
            counted=counted,
            remedy=SOURCE_REMEDY,
            unit="values",
            excess="" if excess is None else excess_text(excess),
            threshold=kind.threshold,
        ),
        judged_line(
            f"commonest[{name}]",
            rule.of_commonest(value_rows),
            bad=commonest,
            batch=batch,
            counted=of_commonest + (f", {shown_values(texts[:1])}" if values else ""),
            remedy=SOURCE_REMEDY,
            threshold=kind.threshold,
        ),
    ]


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
