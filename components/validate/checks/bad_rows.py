"""Bad rows by the contract: counts of single rows, which add up over the parts of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import polars as pl

from modelway.components.core.checks import Check, passed_or_failed
from modelway.components.core.config.contract import Column, Contract, RowRule
from modelway.components.core.config.project import Project
from modelway.components.core.config.row_rules import check_pattern, in_full, is_stored_as, obstacle_of, rule_condition
from modelway.components.validate.counting import Counts

MOST_LETTERS = 60  # of an example value, which may be a whole text


@dataclass(frozen=True)
class BadRows:
    """A kind of bad rows, which a check counts.

    Attributes:
        name: The check's name.
        condition: Holds for the rows that are counted.
        problem: What is wrong with bad rows, in words.
        remedy: What to do about them.
        tolerance: The share of rows that may be bad.
        threshold: What the check shows as its threshold; None: the tolerance, beside the share of bad rows.
        example_column: The column whose bad values are shown, if any.
        counts_good: Whether the good rows are counted: for missing values that is several times as fast.
    """

    name: str
    condition: pl.Expr
    problem: str
    remedy: str
    tolerance: float = 0
    threshold: float | str | None = None
    example_column: str | None = None
    counts_good: bool = False


def bad_rows(contract: Contract, project: Project, *, schema: pl.Schema) -> list[BadRows]:
    """Defines everything that can be wrong with a single row of a table with these columns.

    Raises:
        ModelwayError: a row rule is not a SQL condition over the contract's columns.
    """
    kinds = [
        kind
        for name in schema
        if name in contract.columns
        for kind in _of_column(name, contract.columns[name], dtype=schema[name])
    ]
    if project.label in schema:
        is_labelled = is_present(project.label, schema[project.label])
        remedy = "leave rows without a label out at their source"
        kinds.append(BadRows("label", is_labelled, "rows without a label", remedy, counts_good=True))
    for rule in contract.rules:
        if rule.per == "row" and not obstacle_of(rule, contract, schema=schema):
            is_broken, problem = ~rule_condition(rule, schema), f"rows break the rule `{rule.rule}`"
            kinds.append(BadRows(f"rule[{rule.name}]", is_broken, problem, rule_remedy(rule), rule.tolerance))
    return kinds


def bad_row_checks(table: pl.LazyFrame, kinds: Sequence[BadRows], *, counts: Counts) -> list[Check]:
    """A check of each count; examples for failed ones take one more pass over the columns concerned."""
    rows, numbers = counts.rows, counts.numbers
    bad = {kind.name: rows - numbers[kind.name] if kind.counts_good else numbers[kind.name] for kind in kinds}
    shares = {name: number / max(rows, 1) for name, number in bad.items()}
    examples = _examples([kind for kind in kinds if shares[kind.name] > kind.tolerance], table)
    checks = []
    for kind in kinds:
        name, number, share = kind.name, bad[kind.name], shares[kind.name]
        message, passed = f"{number:,} of {rows:,} {kind.problem}", share <= kind.tolerance
        if not passed:
            message += f"{examples.get(name, '')}; {kind.remedy}"
        observed = round(share, 6) if kind.threshold is None else number
        threshold = kind.tolerance if kind.threshold is None else kind.threshold
        checks.append(passed_or_failed(name, passed, message=message, observed=observed, threshold=threshold))
    return checks


def is_present(name: str, dtype: pl.DataType) -> pl.Expr:
    """True for a value, false or null for a missing one, which NaN is too."""
    return pl.col(name).is_not_nan() if dtype.is_float() else pl.col(name).is_not_null()


def rule_remedy(rule: RowRule) -> str:
    """What to do about rows that break a rule."""
    return rule.description or "correct the rows at their source, or the rule in the contract"


def shown_values(values: Sequence[str]) -> str:
    """Some values in quotes, for a message."""
    return ", ".join(repr(value if len(value) <= MOST_LETTERS else f"{value[:MOST_LETTERS]}…") for value in values)


def _of_column(name: str, column: Column, *, dtype: pl.DataType) -> list[BadRows]:
    value, is_known = pl.col(name), is_present(name, dtype)
    remedy = "fill them in at their source, or raise `max_nulls` in the contract"
    kinds = [BadRows(f"nulls[{name}]", is_known, "missing values", remedy, column.max_nulls, counts_good=True)]
    if not is_stored_as(column.type, dtype):
        return kinds
    if dtype.is_float():
        value = value.fill_nan(None)
    elif isinstance(dtype, pl.Datetime):
        value = value.cast(pl.Datetime(dtype.time_unit))  # of a time zone: in UTC
    bad_values = partial(BadRows, remedy="correct the values at their source, or the contract", example_column=name)
    for word, beyond, bound in (("minimum", "below", column.minimum), ("maximum", "above", column.maximum)):
        if bound is not None:
            outside = value < pl.lit(bound) if word == "minimum" else value > pl.lit(bound)
            threshold = bound if isinstance(bound, int | float) else str(bound)
            kinds.append(bad_values(f"{word}[{name}]", outside, f"values {beyond} {bound}", threshold=threshold))
    if column.categories is not None:
        categories = ", ".join(map(str, column.categories[:6])) + (", …" if len(column.categories) > 6 else "")
        outside, problem = ~value.is_in(list(column.categories)), "values outside the categories"
        kinds.append(bad_values(f"categories[{name}]", outside, problem, threshold=categories))
    if column.pattern is not None:
        check_pattern(name, column.pattern, file=None)
        differs, problem = ~value.str.contains(in_full(column.pattern)), "values that do not match"
        kinds.append(bad_values(f"pattern[{name}]", differs, problem, threshold=column.pattern))
    return kinds


def _examples(kinds: Sequence[BadRows], table: pl.LazyFrame) -> dict[str, str]:
    """Some bad values for each kind with an example column."""
    values = {
        kind.name: pl.col(kind.example_column).filter(kind.condition).head(1000).cast(pl.String)
        for kind in kinds
        if kind.example_column is not None
    }
    if not values:
        return {}
    examples = {name: bad.unique(maintain_order=True).head(3).implode() for name, bad in values.items()}
    row = table.select(**examples).collect(engine="streaming").row(0, named=True)
    return {name: f", such as {shown_values(shown)}" for name, shown in row.items()}
