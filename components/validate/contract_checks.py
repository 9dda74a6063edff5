"""Checks a table against its contract: every row is read once, in one pass over lazily scanned columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
import polars.exceptions

from modelway.components.core.contract import Column, Contract, RowRule
from modelway.components.core.errors import ModelwayError, first_line
from modelway.components.core.project import Project
from modelway.components.core.verdict import Check, passed_or_failed
from modelway.components.validate.rules import check_pattern, in_full, is_stored_as, obstacle_of, rule_condition

MOST_LETTERS = 60  # of an example value, which may be a whole text


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
    """Every check that the contract asks for, in the order of the data's columns.

    Raises:
        ModelwayError: a row rule is not a SQL expression over the contract's columns.
    """
    schema = table.collect_schema()
    present = {name: contract.columns[name] for name in schema if name in contract.columns}
    counts = [
        *(count for name, column in present.items() for count in _column_counts(name, column, schema[name])),
        *_label_counts(project, schema),
        *_key_counts(contract, schema),
        *(_rule_count(rule, schema) for rule in contract.rules if not obstacle_of(rule, contract, schema)),
    ]
    rows, bad = _count(table, counts)
    checks = [_row_check(rows, contract), *_presence_checks(contract, schema)]
    checks += [_type_check(name, column, schema[name]) for name, column in present.items()]
    examples = _examples([count for count in counts if _is_failed(count, bad[count.name], rows)], table)
    checks += [_judged(count, bad[count.name], rows, examples.get(count.name, "")) for count in counts]
    checks += [
        passed_or_failed(f"rule[{rule.name}]", False, f"cannot be checked: {obstacle}", threshold=rule.rule)
        for rule in contract.rules
        if (obstacle := obstacle_of(rule, contract, schema))
    ]
    checks += _class_checks(table, project, schema)
    return checks


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
    right = is_stored_as(column.type, dtype)
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
            _is_missing(name, dtype),
            column.max_nulls,
            "missing values",
            column.max_nulls,
            None,
            "fill them in at their source, or raise `max_nulls` in the contract",
        )
    ]
    if not is_stored_as(column.type, dtype):
        return counts
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
            counts.append(_Count(f"{word}[{name}]", outside, 0.0, says, threshold, name, remedy))
    if column.categories is not None:
        shown = ", ".join(map(str, column.categories[:6])) + (", …" if len(column.categories) > 6 else "")
        bad = ~value.is_in(list(column.categories))
        counts.append(_Count(f"categories[{name}]", bad, 0.0, "values outside the categories", shown, name, remedy))
    if column.pattern is not None:
        check_pattern(name, column.pattern, None)
        bad = ~value.str.contains(in_full(column.pattern))
        counts.append(_Count(f"pattern[{name}]", bad, 0.0, "values that do not match", column.pattern, name, remedy))
    if column.unique:
        bad = value.is_duplicated() & value.is_not_null()
        counts.append(_Count(f"unique[{name}]", bad, 0.0, "values that occur more than once", "unique", name, remedy))
    return counts


def _is_missing(name: str, dtype: pl.DataType) -> pl.Expr:
    return pl.col(name).is_null() | pl.col(name).is_nan() if dtype.is_float() else pl.col(name).is_null()


def _rule_count(rule: RowRule, schema: pl.Schema) -> _Count:
    return _Count(
        f"rule[{rule.name}]",
        ~rule_condition(rule, schema),
        rule.tolerance,
        f"rows break the rule `{rule.rule}`",
        rule.tolerance,
        None,
        rule.description or "correct the rows at their source, or the rule in the contract",
    )


def _label_counts(project: Project, schema: pl.Schema) -> list[_Count]:
    if project.label not in schema:
        return []
    says, remedy = "rows without a label", "leave rows without a label out at their source"
    return [_Count("label", _is_missing(project.label, schema[project.label]), 0.0, says, 0, None, remedy)]


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


def _class_checks(table: pl.LazyFrame, project: Project, schema: pl.Schema) -> list[Check]:
    if project.task == "regression" or project.label not in schema:
        return []
    label = pl.col(project.label).filter(~_is_missing(project.label, schema[project.label]))
    classes = table.select(label.unique()).collect(engine="streaming")[project.label]
    asked = "exactly 2" if project.task == "binary" else "at least 3"
    right = len(classes) == 2 if project.task == "binary" else len(classes) >= 3
    shown = ", ".join(map(str, classes.sort().to_list()[:8]))
    message = f"the label {project.label!r} has {len(classes)} classes ({shown}); {project.task} needs {asked}" + (
        "" if right else f"; bring rows of every class, or correct `task` ({project.task})"
    )
    return [passed_or_failed("classes", right, message, observed=len(classes), threshold=asked)]


def _is_failed(count: _Count, bad: int, rows: int) -> bool:
    return bool(rows) and bad / rows > count.tolerance


def _judged(count: _Count, bad: int, rows: int, examples: str) -> Check:
    share = bad / rows if rows else 0.0
    failed = _is_failed(count, bad, rows)
    message = f"{bad:,} of {rows:,} {count.says}" + (f"{examples}; {count.remedy}" if failed else "")
    observed: Any = round(share, 6) if count.shows is None and count.threshold == count.tolerance else bad
    return passed_or_failed(count.name, not failed, message, observed=observed, threshold=count.threshold)


def _examples(counts: list[_Count], table: pl.LazyFrame) -> dict[str, str]:
    """For each check that shows a column, some of its bad values, in one more pass over the columns concerned."""
    asked = {
        f"{number}": pl.col(count.shows).filter(count.bad).head(1000).cast(pl.String).unique(maintain_order=True)
        for number, count in enumerate(counts)
        if count.shows is not None
    }
    if not asked:
        return {}
    found = table.select(**{number: values.head(3).implode() for number, values in asked.items()}).collect(
        engine="streaming"
    )
    return {
        counts[int(number)].name: f", such as {', '.join(repr(_shortened(value)) for value in values[0])}"
        for number, values in found.to_dict(as_series=False).items()
    }


def _shortened(value: str) -> str:
    return value if len(value) <= MOST_LETTERS else f"{value[:MOST_LETTERS]}…"
