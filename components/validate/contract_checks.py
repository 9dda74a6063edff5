"""Checks a table against its contract: every row is read once, in one pass over lazily scanned columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
import polars.exceptions

from modelway.components.core.contract import Column, ColumnType, Contract, RowRule
from modelway.components.core.errors import ModelwayError, first_line
from modelway.components.core.project import Project
from modelway.components.core.verdict import Check, passed_or_failed

_STORED_AS: dict[ColumnType, tuple[str, ...]] = {
    "boolean": ("Boolean",),
    "integer": ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"),
    "number": ("Float32", "Float64", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"),
    "string": ("String",),
    "date": ("Date",),
    "datetime": ("Datetime",),
}


@dataclass(frozen=True)
class _Count:
    """A check that counts bad rows, and how to find some of them."""

    name: str
    bad: pl.Expr
    tolerance: float
    says: str
    threshold: float | str | None
    shows: str | None
    remedy: str


def contract_checks(table: pl.LazyFrame, contract: Contract, project: Project) -> list[Check]:
    """Every check that the contract asks for, in the contract's order.

    Raises:
        ModelwayError: a row rule is not a SQL expression over the contract's columns.
    """
    schema = table.collect_schema()
    counts = [
        *(
            count
            for name, column in contract.columns.items()
            if name in schema
            for count in _column_counts(name, column, schema[name])
        ),
        *_label_counts(project, schema),
        *_key_counts(contract, schema),
        *(_rule_count(rule) for rule in contract.rules if _rule_columns(rule) <= set(schema)),
    ]
    rows, bad = _count(table, counts)
    checks = [_row_check(rows, contract), *_presence_checks(contract, schema)]
    checks += [_type_check(name, column, schema[name]) for name, column in contract.columns.items() if name in schema]
    checks += [_judged(count, bad[count.name], rows, table) for count in counts]
    checks += [_unchecked_rule(rule, schema) for rule in contract.rules if not _rule_columns(rule) <= set(schema)]
    checks += _class_checks(table, project, schema)
    return checks


def check_rules(contract: Contract, file: str) -> None:
    """Checks that every row rule is a SQL expression over columns of the contract.

    Raises:
        ModelwayError: one is not; names the rule.
    """
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


def _count(table: pl.LazyFrame, counts: list[_Count]) -> tuple[int, dict[str, int]]:
    asked = {f"{number}": count.bad.sum() for number, count in enumerate(counts)}
    try:
        found = table.select(pl.len().alias("rows"), **asked).collect(engine="streaming").row(0, named=True)
    except polars.exceptions.PolarsError as error:
        raise ModelwayError(
            f"a row rule cannot be evaluated: {first_line(error)}",
            key="rules",
            remedy="correct the rule in the contract: its columns' types must fit what it does with them",
        ) from error
    return found["rows"], {count.name: int(found[f"{number}"] or 0) for number, count in enumerate(counts)}


def _row_check(rows: int, contract: Contract) -> Check:
    return passed_or_failed(
        "rows",
        rows >= contract.minimum_rows,
        f"{rows:,} rows; the contract asks for {contract.minimum_rows:,}",
        observed=rows,
        threshold=contract.minimum_rows,
    )


def _presence_checks(contract: Contract, schema: pl.Schema) -> list[Check]:
    missing = [name for name, column in contract.columns.items() if column.required and name not in schema]
    extra = [name for name in schema if name not in contract.columns]
    checks = [
        passed_or_failed(
            f"column[{name}]",
            False,
            f"the column {name!r} is missing; bring it back, or set `required: false` in the contract"
            + (f" (new in the data: {', '.join(extra[:5])})" if extra else ""),
            threshold="present",
            observed="missing",
        )
        for name in missing
    ]
    if not missing:
        checks.append(
            passed_or_failed("columns", True, f"all {len(contract.columns)} columns are there", observed=len(schema))
        )
    if contract.extra_columns == "forbid":
        checks += [
            passed_or_failed(
                f"column[{name}]",
                False,
                f"the column {name!r} is not in the contract; describe it there, or remove it",
                threshold="absent",
                observed="present",
            )
            for name in extra
        ]
    return checks


def _type_check(name: str, column: Column, dtype: pl.DataType) -> Check:
    stored = dtype.base_type().__name__
    right = stored in _STORED_AS[column.type]
    message = f"is {column.type}"
    if not right:
        message = (
            f"{name!r} is stored as {stored}, not as {column.type}: some value does not parse as one; "
            "correct the values at their source, or the type in the contract"
        )
    return passed_or_failed(f"type[{name}]", right, message, observed=stored, threshold=column.type)


def _column_counts(name: str, column: Column, dtype: pl.DataType) -> list[_Count]:
    value = pl.col(name)
    counts = [
        _Count(
            f"nulls[{name}]",
            value.is_null() | value.is_nan() if dtype.is_float() else value.is_null(),
            column.max_nulls,
            "missing values",
            column.max_nulls,
            None,
            "fill them in at their source, or raise `max_nulls` in the contract",
        )
    ]
    if dtype.base_type().__name__ not in _STORED_AS[column.type]:
        return counts
    remedy = "correct the values at their source, or the contract"
    bounds = (("minimum", "below", column.minimum), ("maximum", "above", column.maximum))
    for word, beyond, bound in bounds:
        if bound is not None:
            outside = value < pl.lit(bound) if word == "minimum" else value > pl.lit(bound)
            threshold = bound if isinstance(bound, int | float) else str(bound)
            says = f"values {beyond} {bound}"
            counts.append(_Count(f"{word}[{name}]", outside, 0.0, says, threshold, name, remedy))
    if column.categories is not None:
        shown = ", ".join(map(str, column.categories[:6])) + (", …" if len(column.categories) > 6 else "")
        bad = ~value.is_in(list(column.categories))
        counts.append(_Count(f"categories[{name}]", bad, 0.0, "values outside the categories", shown, name, remedy))
    if column.pattern is not None:
        bad = ~value.str.contains(f"^(?:{column.pattern})$")
        counts.append(_Count(f"pattern[{name}]", bad, 0.0, "values that do not match", column.pattern, name, remedy))
    if column.unique:
        bad = value.is_duplicated() & value.is_not_null()
        counts.append(_Count(f"unique[{name}]", bad, 0.0, "values that occur more than once", "unique", name, remedy))
    return counts


def _label_counts(project: Project, schema: pl.Schema) -> list[_Count]:
    if project.label not in schema:
        return []
    says, remedy = "rows without a label", "leave rows without a label out at their source"
    return [_Count("label", pl.col(project.label).is_null(), 0.0, says, 0, None, remedy)]


def _key_counts(contract: Contract, schema: pl.Schema) -> list[_Count]:
    return [
        _Count(
            f"unique[{', '.join(columns)}]",
            pl.struct(columns).is_duplicated(),
            0.0,
            "rows whose key occurs more than once",
            "unique",
            None,
            "remove the duplicates at their source",
        )
        for columns in contract.unique
        if set(columns) <= set(schema)
    ]


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


def _rule_count(rule: RowRule) -> _Count:
    return _Count(
        f"rule[{rule.name}]",
        ~_rule_expression(rule).fill_null(value=False),
        rule.tolerance,
        f"rows break the rule `{rule.rule}`",
        rule.tolerance,
        None,
        rule.description or "correct the rows at their source, or the rule in the contract",
    )


def _unchecked_rule(rule: RowRule, schema: pl.Schema) -> Check:
    missing = sorted(_rule_columns(rule) - set(schema))
    return passed_or_failed(
        f"rule[{rule.name}]", False, f"cannot be checked: the column {missing[0]!r} is missing", threshold=rule.rule
    )


def _class_checks(table: pl.LazyFrame, project: Project, schema: pl.Schema) -> list[Check]:
    if project.task == "regression" or project.label not in schema:
        return []
    classes = table.select(pl.col(project.label).drop_nulls().unique()).collect(engine="streaming")[project.label]
    asked = "exactly 2" if project.task == "binary" else "at least 3"
    right = len(classes) == 2 if project.task == "binary" else len(classes) >= 3
    shown = ", ".join(map(str, classes.sort().to_list()[:8]))
    message = f"the label {project.label!r} has {len(classes)} classes ({shown}); {project.task} needs {asked}" + (
        "" if right else f"; bring rows of every class, or correct `task` ({project.task})"
    )
    return [passed_or_failed("classes", right, message, observed=len(classes), threshold=asked)]


def _judged(count: _Count, bad: int, rows: int, table: pl.LazyFrame) -> Check:
    share = bad / rows if rows else 0.0
    passed = share <= count.tolerance
    message = f"{bad:,} of {rows:,} {count.says}"
    if not passed:
        message += f"{_examples(count, table)}; {count.remedy}"
    observed: Any = round(share, 6) if count.threshold == count.tolerance else bad
    return passed_or_failed(count.name, passed, message, observed=observed, threshold=count.threshold)


def _examples(count: _Count, table: pl.LazyFrame) -> str:
    if count.shows is None:
        return ""
    values = table.filter(count.bad).select(pl.col(count.shows).cast(pl.String)).head(1000).collect()[count.shows]
    distinct = values.unique(maintain_order=True).to_list()
    return f", such as {', '.join(repr(value) for value in distinct[:3])}"
