"""Bad rows by the contract: counts of single rows, which add up over the parts of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from modelway.components.core.checks import Check, passed_or_failed
from modelway.components.core.config.contract import Column, Contract, Rule
from modelway.components.core.config.project import Project
from modelway.components.core.config.row_rules import check_pattern, in_full, is_stored_as, obstacle_of, rule_condition
from modelway.components.validate.counting import Counts, Tally

MOST_LETTERS = 60  # of an example value, which may be a whole text
_PREFIX = "contract/"


@dataclass(frozen=True)
class BadRows:
    """The definition of a check that counts bad rows.

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


def bad_rows(contract: Contract, project: Project, *, schema: pl.Schema) -> list[BadRows]:
    """Defines everything that can be wrong with a single row of a table with these columns.

    Raises:
        ModelwayError: a row rule is not a SQL condition over the contract's columns.
    """
    return [
        *(
            definition
            for name in schema
            if name in contract.columns
            for definition in _of_column(name, contract.columns[name], dtype=schema[name])
        ),
        *_of_label(project, schema),
        *(
            _of_rule(rule, schema)
            for rule in contract.rules
            if rule.per == "row" and not obstacle_of(rule, contract, schema=schema)
        ),
    ]


def bad_tally(definitions: Sequence[BadRows]) -> Tally:
    """The tally of these definitions."""
    return Tally(
        {f"{_PREFIX}{definition.name}": definition.is_bad for definition in definitions if definition.present is None},
        missing={
            f"{_PREFIX}{definition.name}": definition.present
            for definition in definitions
            if definition.present is not None
        },
    )


def bad_row_checks(table: pl.LazyFrame, definitions: Sequence[BadRows], *, counts: Counts) -> list[Check]:
    """A check of each count; examples for failed ones take one more pass over the columns concerned."""
    bad = {definition.name: counts.numbers[f"{_PREFIX}{definition.name}"] for definition in definitions}
    examples = _examples(
        [definition for definition in definitions if _is_failed(definition, bad[definition.name], rows=counts.rows)],
        table,
    )
    return [
        _counted_check(definition, bad[definition.name], rows=counts.rows, examples=examples.get(definition.name, ""))
        for definition in definitions
    ]


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
    definitions = [
        BadRows(f"nulls[{name}]", missing, limit, "missing values", limit, None, remedy, _present(name, dtype))
    ]
    if not is_stored_as(column.type, dtype):
        return definitions
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
            definitions.append(BadRows(f"{word}[{name}]", outside, 0.0, problem, threshold, name, remedy))
    if column.categories is not None:
        categories = ", ".join(map(str, column.categories[:6])) + (", …" if len(column.categories) > 6 else "")
        is_bad = ~value.is_in(list(column.categories))
        definitions.append(
            BadRows(f"categories[{name}]", is_bad, 0.0, "values outside the categories", categories, name, remedy)
        )
    if column.pattern is not None:
        check_pattern(name, column.pattern, file=None)
        is_bad = ~value.str.contains(in_full(column.pattern))
        definitions.append(
            BadRows(f"pattern[{name}]", is_bad, 0.0, "values that do not match", column.pattern, name, remedy)
        )
    return definitions


def _of_rule(rule: Rule, schema: pl.Schema) -> BadRows:
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
    missing, present = (kind(project.label, schema[project.label]) for kind in (is_missing, _present))
    return [BadRows("label", missing, 0.0, problem, 0, None, remedy, present)]


def _is_failed(definition: BadRows, bad: int, *, rows: int) -> bool:
    return bool(rows) and bad / rows > definition.tolerance


def _counted_check(definition: BadRows, bad: int, *, rows: int, examples: str) -> Check:
    share = bad / rows if rows else 0.0
    is_failed = _is_failed(definition, bad, rows=rows)
    message = f"{bad:,} of {rows:,} {definition.problem}" + (f"{examples}; {definition.remedy}" if is_failed else "")
    observed: Any = (
        round(share, 6) if definition.example_column is None and definition.threshold == definition.tolerance else bad
    )
    return passed_or_failed(
        definition.name, not is_failed, message=message, observed=observed, threshold=definition.threshold
    )


def _examples(definitions: Sequence[BadRows], table: pl.LazyFrame) -> dict[str, str]:
    """Some bad values for each definition with an example column."""
    values = {
        f"{number}": pl.col(definition.example_column)
        .filter(definition.is_bad)
        .head(1000)
        .cast(pl.String)
        .unique(maintain_order=True)
        for number, definition in enumerate(definitions)
        if definition.example_column is not None
    }
    if not values:
        return {}
    columns = table.select(**{number: examples.head(3).implode() for number, examples in values.items()}).collect(
        engine="streaming"
    )
    return {
        definitions[int(number)].name: f", such as {shown_values(examples[0])}"
        for number, examples in columns.to_dict(as_series=False).items()
    }
