"""What a contract takes for bad, row by row: counts that add up over the parts of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from modelway.components.core.checks import Check, passed_or_failed
from modelway.components.core.config.contract import Column, Contract, RowRule
from modelway.components.core.config.project import Project
from modelway.components.core.config.row_rules import check_pattern, in_full, is_stored_as, obstacle_of, rule_condition
from modelway.components.validate.counting import Counts, Tally

MOST_LETTERS = 60  # of an example value, which may be a whole text
_PREFIX = "contract/"


@dataclass(frozen=True)
class BadRows:
    """A check that counts bad rows, and how to find some of them.

    Attributes:
        name: The check's name.
        bad: What is true of a bad row.
        tolerance: The share of rows that may be bad.
        says: What is bad about them.
        threshold: What is asked for, to be shown.
        shows: The column whose bad values are shown, if any.
        remedy: What to do about them.
        present: Of missing values, what is true of the others; counting those is several times as fast.
    """

    name: str
    bad: pl.Expr
    tolerance: float
    says: str
    threshold: float | str | None
    shows: str | None
    remedy: str
    present: pl.Expr | None = None


def bad_rows(contract: Contract, project: Project, *, schema: pl.Schema) -> list[BadRows]:
    """Everything that can be bad about a single row of a table with these columns.

    Raises:
        ModelwayError: a row rule is not a SQL condition over the contract's columns.
    """
    return [
        *(
            asked
            for name in schema
            if name in contract.columns
            for asked in _of_column(name, contract.columns[name], dtype=schema[name])
        ),
        *_of_label(project, schema),
        *(
            _of_rule(rule, schema)
            for rule in contract.rules
            if rule.per == "row" and not obstacle_of(rule, contract, schema=schema)
        ),
    ]


def bad_tally(asked: Sequence[BadRows]) -> Tally:
    """What to count."""
    return Tally(
        {f"{_PREFIX}{one.name}": one.bad for one in asked if one.present is None},
        missing={f"{_PREFIX}{one.name}": one.present for one in asked if one.present is not None},
    )


def bad_row_checks(table: pl.LazyFrame, asked: Sequence[BadRows], *, counted: Counts) -> list[Check]:
    """A check of each count; the values of failed ones are looked for in one more pass over the columns concerned."""
    bad = {one.name: counted.numbers[f"{_PREFIX}{one.name}"] for one in asked}
    examples = _examples([one for one in asked if _is_failed(one, bad[one.name], rows=counted.rows)], table)
    return [_judged(one, bad[one.name], rows=counted.rows, examples=examples.get(one.name, "")) for one in asked]


def is_missing(name: str, dtype: pl.DataType) -> pl.Expr:
    """Whether a value is missing, which NaN is too."""
    return pl.col(name).is_null() | pl.col(name).is_nan() if dtype.is_float() else pl.col(name).is_null()


def _present(name: str, dtype: pl.DataType) -> pl.Expr:
    """True of a value that is there, false or null of one that is missing."""
    return pl.col(name).is_not_nan() if dtype.is_float() else pl.col(name).is_not_null()


def shown_values(values: Sequence[str]) -> str:
    """Some values as a message shows them."""
    return ", ".join(repr(value if len(value) <= MOST_LETTERS else f"{value[:MOST_LETTERS]}…") for value in values)


def _of_column(name: str, column: Column, *, dtype: pl.DataType) -> list[BadRows]:
    value = pl.col(name)
    remedy = "fill them in at their source, or raise `max_nulls` in the contract"
    missing, most = is_missing(name, dtype), column.max_nulls
    asked = [BadRows(f"nulls[{name}]", missing, most, "missing values", most, None, remedy, _present(name, dtype))]
    if not is_stored_as(column.type, dtype):
        return asked
    if dtype.is_float():
        value = value.fill_nan(None)
    elif isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        value = value.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    remedy = "correct the values at their source, or the contract"
    bounds = (("minimum", "below", column.minimum), ("maximum", "above", column.maximum))
    for word, beyond, bound in bounds:
        if bound is not None:
            outside = value < pl.lit(bound) if word == "minimum" else value > pl.lit(bound)
            threshold = bound if isinstance(bound, int | float) else str(bound)
            says = f"values {beyond} {bound}"
            asked.append(BadRows(f"{word}[{name}]", outside, 0.0, says, threshold, name, remedy))
    if column.categories is not None:
        shown = ", ".join(map(str, column.categories[:6])) + (", …" if len(column.categories) > 6 else "")
        bad = ~value.is_in(list(column.categories))
        asked.append(BadRows(f"categories[{name}]", bad, 0.0, "values outside the categories", shown, name, remedy))
    if column.pattern is not None:
        check_pattern(name, column.pattern, file=None)
        bad = ~value.str.contains(in_full(column.pattern))
        asked.append(BadRows(f"pattern[{name}]", bad, 0.0, "values that do not match", column.pattern, name, remedy))
    return asked


def _of_rule(rule: RowRule, schema: pl.Schema) -> BadRows:
    return BadRows(
        f"rule[{rule.name}]",
        ~rule_condition(rule, schema),
        rule.tolerance,
        f"rows break the rule `{rule.rule}`",
        rule.tolerance,
        None,
        rule.description or "correct the rows at their source, or the rule in the contract",
    )


def _of_label(project: Project, schema: pl.Schema) -> list[BadRows]:
    if project.label not in schema:
        return []
    says, remedy = "rows without a label", "leave rows without a label out at their source"
    missing, present = (kind(project.label, schema[project.label]) for kind in (is_missing, _present))
    return [BadRows("label", missing, 0.0, says, 0, None, remedy, present)]


def _is_failed(asked: BadRows, bad: int, *, rows: int) -> bool:
    return bool(rows) and bad / rows > asked.tolerance


def _judged(asked: BadRows, bad: int, *, rows: int, examples: str) -> Check:
    share = bad / rows if rows else 0.0
    failed = _is_failed(asked, bad, rows=rows)
    message = f"{bad:,} of {rows:,} {asked.says}" + (f"{examples}; {asked.remedy}" if failed else "")
    observed: Any = round(share, 6) if asked.shows is None and asked.threshold == asked.tolerance else bad
    return passed_or_failed(asked.name, not failed, message=message, observed=observed, threshold=asked.threshold)


def _examples(asked: Sequence[BadRows], table: pl.LazyFrame) -> dict[str, str]:
    """For each check that shows a column, some of its bad values."""
    values = {
        f"{number}": pl.col(one.shows).filter(one.bad).head(1000).cast(pl.String).unique(maintain_order=True)
        for number, one in enumerate(asked)
        if one.shows is not None
    }
    if not values:
        return {}
    found = table.select(**{number: some.head(3).implode() for number, some in values.items()}).collect(
        engine="streaming"
    )
    return {
        asked[int(number)].name: f", such as {shown_values(some[0])}"
        for number, some in found.to_dict(as_series=False).items()
    }
