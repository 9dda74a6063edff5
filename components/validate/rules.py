"""A contract's row rules and patterns: SQL conditions and regular expressions, checked before they are used."""

from __future__ import annotations

import polars as pl
import polars.exceptions

from modelway.components.core.contract import ColumnType, Contract, RowRule
from modelway.components.core.errors import ModelwayError, first_line

_STORED_AS: dict[ColumnType, tuple[str, ...]] = {
    "boolean": ("Boolean",),
    "integer": ("Int64", "Int8", "Int16", "Int32", "UInt8", "UInt16", "UInt32", "UInt64"),
    "number": ("Float64", "Float32", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"),
    "string": ("String",),
    "date": ("Date",),
    "datetime": ("Datetime",),
}


def check_rules(contract: Contract, file: str) -> None:
    """Checks that every row rule is a SQL expression over columns of the contract, and every pattern can be matched.

    Raises:
        ModelwayError: one is not; names the rule or the column.
    """
    for name, column in contract.columns.items():
        if column.pattern is not None:
            check_pattern(name, column.pattern, file)
    kinds = {name: _STORED_AS[column.type][0] for name, column in contract.columns.items()}
    schema = pl.Schema({name: getattr(pl, kind)() for name, kind in kinds.items()})
    for rule in contract.rules:
        unknown = sorted(_rule_columns(rule) - set(contract.columns))
        if unknown:
            raise ModelwayError(
                f"the rule {rule.name!r} uses the column {unknown[0]!r}, which the contract does not describe",
                file=file,
                key=f"rules.{rule.name}",
                column=unknown[0],
                value=rule.rule,
                remedy="describe the column under `columns`, or correct the rule",
            )
        try:
            rule_condition(rule, schema)
        except ModelwayError as error:
            error.file = file
            raise


def rule_condition(rule: RowRule, schema: pl.Schema) -> pl.Expr:
    """What is true of a row that keeps a rule.

    Raises:
        ModelwayError: it is no condition over columns of these types.
    """
    expression = _rule_expression(rule)
    try:
        (kind,) = pl.LazyFrame(schema=schema).select(expression).collect().dtypes
    except polars.exceptions.PolarsError as error:
        raise ModelwayError(
            f"the rule {rule.name!r} cannot be evaluated: {first_line(error)}",
            key=f"rules.{rule.name}",
            value=rule.rule,
            remedy="correct the rule: its columns' types must fit what it does with them",
        ) from error
    if kind != pl.Boolean:
        raise ModelwayError(
            f"the rule {rule.name!r} gives {kind} where it must say true or false",
            key=f"rules.{rule.name}",
            value=rule.rule,
            remedy="write a SQL condition over the columns, such as `paid <= billed`",
        )
    # A rule without a column, or over an average, has one answer, which is then that of every row.
    return pl.repeat(value=True, n=pl.len()) & expression.fill_null(value=False)


def obstacle_of(rule: RowRule, contract: Contract, schema: pl.Schema) -> str:
    """Why a rule cannot be checked; empty if it can."""
    for name in sorted(_rule_columns(rule)):
        if name not in schema:
            return f"the column {name!r} is missing"
        if name in contract.columns and not is_stored_as(contract.columns[name].type, schema[name]):
            return f"the column {name!r} is not of its type, {contract.columns[name].type}"
    return ""


def is_stored_as(wanted: ColumnType, dtype: pl.DataType) -> bool:
    """Whether a column as it is stored can hold the contract's type."""
    return dtype.base_type().__name__ in _STORED_AS[wanted]


def in_full(pattern: str) -> str:
    """The pattern anchored at both ends of the text."""
    return f"^(?:{pattern})$"


def check_pattern(name: str, pattern: str, file: str | None) -> None:
    """Checks that a column's pattern can be matched.

    Raises:
        ModelwayError: it cannot; names the column.
    """
    try:
        pl.select(pl.lit("").str.contains(in_full(pattern)))
    except polars.exceptions.PolarsError as error:
        says = next((line for line in str(error).splitlines() if line.startswith("error: ")), first_line(error))
        raise ModelwayError(
            f"the pattern of {name!r} cannot be matched: {says.removeprefix('error: ')}",
            file=file,
            key=f"columns.{name}.pattern",
            column=name,
            value=pattern,
            remedy="write it in Rust's regular expressions, which have no look-around and no back-references",
        ) from error


def _rule_expression(rule: RowRule) -> pl.Expr:
    try:
        return pl.sql_expr(rule.rule)
    except polars.exceptions.PolarsError as error:
        raise ModelwayError(
            f"the rule {rule.name!r} is not a SQL expression: {first_line(error)}",
            key=f"rules.{rule.name}",
            value=rule.rule,
            remedy="write a SQL condition over the columns, such as `paid <= billed`",
        ) from error


def _rule_columns(rule: RowRule) -> set[str]:
    return set(_rule_expression(rule).meta.root_names())
