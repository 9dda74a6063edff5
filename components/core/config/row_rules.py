"""A contract's rules and patterns: SQL conditions and regular expressions, checked before they are used.

A rule per row is true or false of each row by itself. A rule per group or table is over aggregates of the rows.
What a rule may hold, `sql_grammar` lists.
``CURRENT_DATE`` and ``CURRENT_TIMESTAMP`` are the moment at which the rule is read.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import polars.exceptions

from modelway.components.core.config.contract import ColumnType, Contract, RowRule
from modelway.components.core.config.expressions import parse_expression
from modelway.components.core.errors import ModelwayError, first_line

_STORED_AS: dict[ColumnType, tuple[str, ...]] = {
    "boolean": ("Boolean",),
    "integer": ("Int64", "Int8", "Int16", "Int32", "UInt8", "UInt16", "UInt32", "UInt64"),
    "number": ("Float64", "Float32", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"),
    "string": ("String",),
    "date": ("Date",),
    "datetime": ("Datetime",),
}
MOST_LETTERS = 1_000  # of a pattern
_EXAMPLES = {"row": "`paid <= billed`", "group": "`AVG(paid) < 500`", "table": "`AVG(paid) < 500`"}


def check_rules(contract: Contract, file: str) -> None:
    """Checks that every rule is a SQL condition over columns of the contract, and every pattern can be matched.

    Raises:
        ModelwayError: one is not; names the rule or the column.
    """
    for name, column in contract.columns.items():
        if column.pattern is not None:
            check_pattern(name, column.pattern, file=file)
    kinds = {name: _STORED_AS[column.type][0] for name, column in contract.columns.items()}
    schema = pl.Schema({name: getattr(pl, kind)() for name, kind in kinds.items()})
    for rule in contract.rules:
        try:
            _check_columns(rule, schema)
            rule_condition(rule, schema)
        except ModelwayError as error:
            error.file = file
            raise


def rule_condition(rule: RowRule, schema: pl.Schema) -> pl.Expr:
    """What is true of a row, a group or a table that keeps a rule.

    Per row the condition has a value for each row; per group and table it is one value over the rows.

    Raises:
        ModelwayError: it is no condition over columns of these types, or not of the kind that the rule is.
    """
    expression = _expression_of(rule)
    used_schema = pl.Schema({name: schema[name] for name in (*sorted(_columns_of(rule)), *rule.by)})
    try:
        of_nothing = pl.LazyFrame(schema=used_schema).select(expression).collect()
        beyond = rule.per == "row" and any(_is_over_rows(part, used_schema) for part in _parts(expression, used_schema))
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException) as error:
        raise _rule_error(
            rule,
            f"cannot be evaluated: {first_line(error)}",
            remedy="correct the rule: its columns' types must fit what it does with them",
        ) from error
    condition = of_nothing.dtypes[0]
    if condition != pl.Boolean:
        over = "columns" if rule.per == "row" else "aggregates"
        raise _rule_error(
            rule,
            f"gives {condition} where it must say true or false",
            remedy=f"write a SQL condition over the {over}, such as {_EXAMPLES[rule.per]}",
        )
    if beyond:
        raise _rule_error(
            rule,
            "is checked row by row, but looks at other rows than its own",
            remedy="set `per: table`, or `per: group` and `by`, and write the condition over aggregates alone",
        )
    if rule.per != "row" and len(of_nothing) != 1:
        raise _rule_error(
            rule,
            f"is checked per {rule.per}, but has a column outside an aggregate",
            remedy=f"write it over aggregates, such as {_EXAMPLES[rule.per]} or `MIN(paid) >= 0`, or leave `per` out",
        )
    holds = expression.fill_null(value=False)
    if rule.per == "row" and not expression.meta.root_names():  # one answer, which is then that of every row
        return pl.repeat(value=True, n=pl.len()) & holds
    return holds


def sides_of(rule: RowRule, schema: pl.Schema) -> list[pl.Expr]:
    """The two sides of a rule per table that compares them, of which a constant one is left out; else nothing."""
    expression = _expression_of(rule)
    used_schema = {name: schema[name] for name in _columns_of(rule)}
    sides = expression.meta.pop(schema=used_schema)
    kinds = [pl.LazyFrame(schema=used_schema).select(side).collect_schema().dtypes()[0] for side in sides]
    if len(sides) != 2 or pl.Boolean in kinds:
        return []
    return [side for side in reversed(sides) if not side.meta.is_literal(allow_aliasing=True)]


def obstacle_of(rule: RowRule, contract: Contract, *, schema: pl.Schema) -> str:
    """Why a rule cannot be checked; empty if it can."""
    for name in (*sorted(_columns_of(rule)), *rule.by):
        if name not in schema:
            return f"the column {name!r} is missing"
        if name in contract.columns and not is_stored_as(contract.columns[name].type, schema[name]):
            return f"the column {name!r} is not of its type, {contract.columns[name].type}"
    return ""


def is_stored_as(column_type: ColumnType, dtype: pl.DataType) -> bool:
    """Whether a column as it is stored can hold the contract's type."""
    return dtype.base_type().__name__ in _STORED_AS[column_type]


def in_full(pattern: str) -> str:
    """The pattern anchored at both ends of the text."""
    return f"^(?:{pattern})$"


def check_pattern(name: str, pattern: str, *, file: str | None) -> None:
    """Checks that a column's pattern can be matched.

    Raises:
        ModelwayError: it cannot; names the column.
    """
    if len(pattern) > MOST_LETTERS:
        raise ModelwayError(
            f"the pattern of {name!r} is {len(pattern):,} characters long; {MOST_LETTERS:,} is the most",
            file=file,
            key=f"columns.{name}.pattern",
            column=name,
            remedy="write a shorter one, or list the values under `categories`",
        )
    try:  # by itself first: `a)|(b` is none, though its anchored form would be one that is not anchored
        pl.select(pl.lit("").str.contains(pattern), anchored=pl.lit("").str.contains(in_full(pattern)))
    except polars.exceptions.PolarsError as error:
        problem = next((line for line in str(error).splitlines() if line.startswith("error: ")), first_line(error))
        raise ModelwayError(
            f"the pattern of {name!r} cannot be matched: {problem.removeprefix('error: ')}",
            file=file,
            key=f"columns.{name}.pattern",
            column=name,
            value=pattern,
            remedy="write it in Rust's regular expressions, which have no look-around and no back-references",
        ) from error


def _check_columns(rule: RowRule, schema: pl.Schema) -> None:
    unknown_columns = sorted(_columns_of(rule) - schema.keys())
    if unknown_columns:
        problem = f"uses the column {unknown_columns[0]!r}, which the contract does not describe"
        remedy = "describe the column under `columns`, or correct the rule"
        raise _rule_error(rule, problem, remedy=remedy, column=unknown_columns[0])


def _rule_error(rule: RowRule, problem: str, *, remedy: str, column: str | None = None) -> ModelwayError:
    message, key = f"the rule {rule.name!r} {problem}", f"rules.{rule.name}"
    return ModelwayError(message, key=key, column=column, value=rule.rule, remedy=remedy)


def _expression_of(rule: RowRule) -> pl.Expr:
    return parse_expression(rule.rule, name=f"the rule {rule.name!r}", key=f"rules.{rule.name}")


def _columns_of(rule: RowRule) -> set[str]:
    return set(_expression_of(rule).meta.root_names())


def _parts(expression: pl.Expr, schema: pl.Schema) -> Iterator[pl.Expr]:
    parts = [expression]
    while parts:
        part = parts.pop()
        yield part
        parts += part.meta.pop(schema=schema)


def _is_over_rows(part: pl.Expr, schema: pl.Schema) -> bool:
    """Whether a part of an expression depends on other rows: an aggregate, a window, or the number of rows."""
    if not part.meta.pop(schema=schema):  # a column, a literal, or the number of rows
        return part.meta.eq(pl.len())
    try:
        return not part.meta.is_row_separable() or (part.meta.is_scalar() and bool(part.meta.root_names()))
    except polars.exceptions.ColumnNotFoundError:  # functions of SQL alone cannot be asked; they are of single rows
        return False
