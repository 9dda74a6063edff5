"""Bad rows by the contract: counts of single rows, which add up over the parts of a table."""

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


@dataclass(frozen=True)
class BadRows:
    """A kind of bad rows, which a check counts.

    Attributes:
        name: The check's name.
        is_bad: The condition that holds for a bad row.
        tolerance: The share of rows that may be bad.
        problem: What is wrong with bad rows, in words.
        threshold: The threshold that the check shows.
        example_column: The column whose bad values are shown, if any.
        remedy: What to do about them.
        present: For missing values, the condition of the other rows; counting those is several times as fast.
    """

    name: str
    is_bad: pl.Expr
    tolerance: float
    problem: str
    threshold: float | str | None
    example_column: str | None
    remedy: str
    present: pl.Expr | None = None

    @property
    def key(self) -> str:
        """The name of the count in a tally."""
        return f"contract/{self.name}"


def bad_rows(contract: Contract, project: Project, *, schema: pl.Schema) -> list[BadRows]:
    """Defines everything that can be wrong with a single row of a table with these columns.

    Raises:
        ModelwayError: a row rule is not a SQL condition over the contract's columns.
    """
    return [
        *(
            kind
            for name in schema
            if name in contract.columns
            for kind in _of_column(name, contract.columns[name], dtype=schema[name])
        ),
        *_of_label(project, schema),
        *(
            _of_rule(rule, schema)
            for rule in contract.rules
            if rule.per == "row" and not obstacle_of(rule, contract, schema=schema)
        ),
    ]


def bad_tally(kinds: Sequence[BadRows]) -> Tally:
    """The tally that counts these kinds of bad rows."""
    return Tally(
        {kind.key: kind.is_bad for kind in kinds if kind.present is None},
        missing={kind.key: kind.present for kind in kinds if kind.present is not None},
    )


def bad_row_checks(table: pl.LazyFrame, kinds: Sequence[BadRows], *, counts: Counts) -> list[Check]:
    """A check of each count; examples for failed ones take one more pass over the columns concerned."""
    bad, rows = {kind.name: counts.numbers[kind.key] for kind in kinds}, counts.rows
    examples = _examples([kind for kind in kinds if _is_failed(kind, bad[kind.name], rows=rows)], table)
    return [_counted_check(kind, bad[kind.name], rows=rows, examples=examples.get(kind.name, "")) for kind in kinds]


def is_missing(name: str, dtype: pl.DataType) -> pl.Expr:
    """Whether a value is missing, which NaN is too."""
    return pl.col(name).is_null() | pl.col(name).is_nan() if dtype.is_float() else pl.col(name).is_null()


def _present(name: str, dtype: pl.DataType) -> pl.Expr:
    """True for a value, false or null for a missing one."""
    return pl.col(name).is_not_nan() if dtype.is_float() else pl.col(name).is_not_null()


def shown_values(values: Sequence[str]) -> str:
    """Some values in quotes, for a message."""
    return ", ".join(repr(value if len(value) <= MOST_LETTERS else f"{value[:MOST_LETTERS]}…") for value in values)


def _of_column(name: str, column: Column, *, dtype: pl.DataType) -> list[BadRows]:
    value = pl.col(name)
    remedy = "fill them in at their source, or raise `max_nulls` in the contract"
    missing, limit = is_missing(name, dtype), column.max_nulls
    kinds = [BadRows(f"nulls[{name}]", missing, limit, "missing values", limit, None, remedy, _present(name, dtype))]
    if not is_stored_as(column.type, dtype):
        return kinds
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
            problem = f"values {beyond} {bound}"
            kinds.append(BadRows(f"{word}[{name}]", outside, 0.0, problem, threshold, name, remedy))
    if column.categories is not None:
        categories = ", ".join(map(str, column.categories[:6])) + (", …" if len(column.categories) > 6 else "")
        is_bad = ~value.is_in(list(column.categories))
        kinds.append(
            BadRows(f"categories[{name}]", is_bad, 0.0, "values outside the categories", categories, name, remedy)
        )
    if column.pattern is not None:
        check_pattern(name, column.pattern, file=None)
        is_bad = ~value.str.contains(in_full(column.pattern))
        kinds.append(BadRows(f"pattern[{name}]", is_bad, 0.0, "values that do not match", column.pattern, name, remedy))
    return kinds


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
    problem, remedy = "rows without a label", "leave rows without a label out at their source"
    missing, present = (expression(project.label, schema[project.label]) for expression in (is_missing, _present))
    return [BadRows("label", missing, 0.0, problem, 0, None, remedy, present)]


def _is_failed(kind: BadRows, bad: int, *, rows: int) -> bool:
    return bool(rows) and bad / rows > kind.tolerance


def _counted_check(kind: BadRows, bad: int, *, rows: int, examples: str) -> Check:
    share = bad / rows if rows else 0.0
    is_failed = _is_failed(kind, bad, rows=rows)
    message = f"{bad:,} of {rows:,} {kind.problem}" + (f"{examples}; {kind.remedy}" if is_failed else "")
    observed: Any = round(share, 6) if kind.example_column is None and kind.threshold == kind.tolerance else bad
    return passed_or_failed(kind.name, not is_failed, message=message, observed=observed, threshold=kind.threshold)


def _examples(kinds: Sequence[BadRows], table: pl.LazyFrame) -> dict[str, str]:
    """Some bad values for each kind with an example column."""
    values = {
        f"{number}": pl.col(kind.example_column)
        .filter(kind.is_bad)
        .head(1000)
        .cast(pl.String)
        .unique(maintain_order=True)
        for number, kind in enumerate(kinds)
        if kind.example_column is not None
    }
    if not values:
        return {}
    columns = table.select(**{number: examples.head(3).implode() for number, examples in values.items()}).collect(
        engine="streaming"
    )
    return {
        kinds[int(number)].name: f", such as {shown_values(examples[0])}"
        for number, examples in columns.to_dict(as_series=False).items()
    }
