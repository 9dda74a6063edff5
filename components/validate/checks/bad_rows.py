"""Bad rows by the contract: counts of single rows, which add up over the parts of a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl

from modelway.components.core.checks import Check, passed_or_failed
from modelway.components.core.config.contract import Column, Contract, Line, RowRule
from modelway.components.core.config.project import Project
from modelway.components.core.config.row_rules import check_pattern, in_full, is_stored_as, obstacle_of, rule_condition
from modelway.components.core.config.seen import MOST, SeenRows
from modelway.components.validate.counting import Counts

MOST_LETTERS = 60  # of an example value, which may be a whole text
FAR_OUT = 10  # times the range: such a value is of another unit, or stands for a missing one


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
        seen: The rows that the line was proposed from, by which it is judged; None: by its tolerance.
        most: The share of bad rows, beyond what was seen, that fails a line whatever was seen.
        warns: Whether any bad row warns and none fails.
        note: Why it is judged by its tolerance although rows were seen.
    """

    name: str
    condition: pl.Expr
    problem: str
    remedy: str
    tolerance: float = 0
    threshold: float | str | None = None
    example_column: str | None = None
    counts_good: bool = False
    seen: SeenRows | None = None
    most: float = MOST
    warns: bool = False
    note: str = ""

    @property
    def by_evidence(self) -> bool:
        """Whether it is judged by what was seen, on rows that are new."""
        return self.seen is not None or self.warns


def bad_rows(contract: Contract, project: Project, *, schema: pl.Schema) -> list[BadRows]:
    """Defines everything that can be wrong with a single row of a table with these columns.

    Raises:
        ModelwayError: a row rule is not a SQL condition over the contract's columns.
    """
    kinds = [
        kind
        for name in schema
        if name in contract.columns
        for kind in _of_column(name, contract.columns[name], dtype=schema[name], is_label=name == project.label)
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


def numbers_of_bad_rows(kinds: Sequence[BadRows], counts: Counts) -> dict[str, int]:
    """How many rows of each kind there are, by its name."""
    rows, numbers = counts.rows, counts.numbers
    return {kind.name: rows - numbers[kind.name] if kind.counts_good else numbers[kind.name] for kind in kinds}


def bad_row_checks(table: pl.LazyFrame, kinds: Sequence[BadRows], *, counts: Counts) -> list[Check]:
    """A check of each count by its tolerance; examples for failed ones take one more pass over their columns."""
    rows, bad = counts.rows, numbers_of_bad_rows(kinds, counts)
    shares = {name: number / max(rows, 1) for name, number in bad.items()}
    examples = examples_of([kind for kind in kinds if shares[kind.name] > kind.tolerance], table)
    checks = []
    for kind in kinds:
        name, number, share = kind.name, bad[kind.name], shares[kind.name]
        message, passed = f"{number:,} of {rows:,} {kind.problem}", share <= kind.tolerance
        if not passed:
            message += examples.get(name, "")
        if kind.tolerance and kind.threshold is not None:
            message += f"; the contract allows {percentage(kind.tolerance)}"
        if not passed:
            message += (f" ({kind.note})" if kind.note else "") + f"; {kind.remedy}"
        observed = round(share, 6) if kind.threshold is None else number
        threshold = kind.tolerance if kind.threshold is None else kind.threshold
        checks.append(passed_or_failed(name, passed, message=message, observed=observed, threshold=threshold))
    return checks


def percentage(share: float) -> str:
    """A share as people write it in a contract: `0.1 %`."""
    return f"{100 * share:.3g} %"


def is_present(name: str, dtype: pl.DataType) -> pl.Expr:
    """True for a value, false or null for a missing one, which NaN is too."""
    return pl.col(name).is_not_nan() if dtype.is_float() else pl.col(name).is_not_null()


def rule_remedy(rule: RowRule) -> str:
    """What to do about rows that break a rule."""
    return rule.description or "correct the rows at their source, or the rule in the contract"


def shown_values(values: Sequence[str]) -> str:
    """Some values in quotes, for a message."""
    return ", ".join(repr(value if len(value) <= MOST_LETTERS else f"{value[:MOST_LETTERS]}…") for value in values)


def strictness_note(column: Column, line: Line, *, is_label: bool) -> str:
    """Why a line is judged strictly although its column was seen; empty if it was not, or if the contract says so."""
    if column.seen is None or column.strict or (column.allowed is not None and line != "nulls"):
        return ""
    if is_label:
        return "judged strictly, since it is the label"
    if column.seen_for(line) is None:
        return "judged strictly, since the line was edited after its rows were seen: it is a person's word"
    return ""


def _of_column(name: str, column: Column, *, dtype: pl.DataType, is_label: bool) -> list[BadRows]:
    value, is_known = pl.col(name), is_present(name, dtype)

    def by(line: Line) -> dict[str, Any]:
        """By what a line is judged."""
        seen = None if is_label else column.seen_for(line)
        allowed = {} if line == "nulls" else {"tolerance": column.allowed or 0}
        return {"seen": seen, "most": column.most, "note": strictness_note(column, line, is_label=is_label), **allowed}

    remedy = "fill them in at their source, or raise `max_nulls` in the contract"
    tolerance = column.max_nulls
    kinds = [
        BadRows(
            f"nulls[{name}]", is_known, "missing values", remedy, tolerance=tolerance, counts_good=True, **by("nulls")
        )
    ]
    if not is_stored_as(column.type, dtype):
        return kinds
    if dtype.is_float():
        value = value.fill_nan(None)
    elif isinstance(dtype, pl.Datetime):
        value = value.cast(pl.Datetime(dtype.time_unit))  # of a time zone: in UTC
    bad_values = partial(BadRows, remedy="correct the values at their source, or the contract", example_column=name)
    bounds: tuple[tuple[Line, str, Any], ...] = (
        ("minimum", "below", column.minimum),
        ("maximum", "above", column.maximum),
    )
    for line, beyond, bound in bounds:
        if bound is not None:
            outside = value < pl.lit(bound) if line == "minimum" else value > pl.lit(bound)
            threshold = bound if isinstance(bound, int | float) else str(bound)
            problem = f"values {beyond} {bound}"
            kinds.append(bad_values(f"{line}[{name}]", outside, problem, threshold=threshold, **by(line)))
    if any(kind.by_evidence for kind in kinds[1:]) and dtype.is_numeric():
        kinds += _far_out(name, column, value=value)
    if column.categories is not None:
        categories = ", ".join(map(str, column.categories[:6])) + (", …" if len(column.categories) > 6 else "")
        outside, problem = ~value.is_in(list(column.categories)), "values outside the categories"
        kinds.append(bad_values(f"categories[{name}]", outside, problem, threshold=categories, **by("categories")))
    if column.pattern is not None:
        check_pattern(name, column.pattern, file=None)
        differs, problem = ~value.str.contains(in_full(column.pattern)), "values that do not match"
        tolerance = column.allowed or 0
        kinds.append(bad_values(f"pattern[{name}]", differs, problem, threshold=column.pattern, tolerance=tolerance))
    return kinds


def _far_out(name: str, column: Column, *, value: pl.Expr) -> list[BadRows]:
    """Values absurdly far outside of the bounds that were seen; none without a range."""
    if not isinstance(column.minimum, int | float) or not isinstance(column.maximum, int | float):
        return []
    low, high = float(column.minimum), float(column.maximum)
    distance = FAR_OUT * (high - low)
    if not 0 < distance < math.inf:
        return []
    return [
        BadRows(
            f"far_out[{name}]",
            (value < low - distance) | (value > high + distance),
            f"values farther than {FAR_OUT} times the range outside of {column.minimum} to {column.maximum}",
            "look for another unit, or for a mark of missing values, and correct them at their source",
            threshold=f"{low - distance:g} to {high + distance:g}",
            example_column=name,
            warns=True,
        )
    ]


def examples_of(kinds: Sequence[BadRows], table: pl.LazyFrame) -> dict[str, str]:
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
