"""Checks a table against its contract, in one pass over lazily scanned columns."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from modelway.components.core.checks import Check, passed_or_failed
from modelway.components.core.config.contract import Column, Contract
from modelway.components.core.config.project import Project
from modelway.components.core.config.row_rules import is_stored_as
from modelway.components.validate.checks.bad_rows import BadRows, bad_row_checks, bad_rows, bad_tally
from modelway.components.validate.checks.whole_table import class_checks, rule_checks, unique_checks
from modelway.components.validate.counting import Counts, count


def contract_checks(table: pl.LazyFrame, contract: Contract, *, project: Project) -> list[Check]:
    """Every check of the contract.

    Raises:
        ModelwayError: a rule is not a SQL condition over the contract's columns.
    """
    kinds = bad_rows(contract, project, schema=table.collect_schema())
    return counted_contract_checks(table, contract, project=project, kinds=kinds, counts=count(table, bad_tally(kinds)))


def counted_contract_checks(
    table: pl.LazyFrame, contract: Contract, *, project: Project, kinds: Sequence[BadRows], counts: Counts
) -> list[Check]:
    """Every check of the contract, for a table whose bad rows have been counted already.

    Args:
        table: All rows; read again only for keys, row rules over many rows, classes and examples.
        contract: The contract.
        project: Names the label.
        kinds: What can be wrong with a row.
        counts: How often that is.

    Raises:
        ModelwayError: a rule is not a SQL condition over the contract's columns.
    """
    schema = table.collect_schema()
    present = {name: contract.columns[name] for name in schema if name in contract.columns}
    return [
        _row_check(counts.rows, contract),
        *_presence_checks(contract, schema),
        *_label_check(project, schema),
        *(_type_check(name, column, dtype=schema[name]) for name, column in present.items()),
        *bad_row_checks(table, kinds, counts=counts),
        *unique_checks(table, contract, schema=schema, rows=counts.rows),
        *rule_checks(table, contract, schema=schema, rows=counts.rows),
        *class_checks(table, project, schema=schema),
    ]


def _row_check(rows: int, contract: Contract) -> Check:
    return passed_or_failed(
        "rows",
        rows >= contract.minimum_rows,
        message=f"{rows:,} rows; the contract requires {contract.minimum_rows:,}",
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
            message=f"the column {name!r} is missing; restore it, or set `required: false` in the contract"
            + (f" (new in the data: {', '.join(extra[:5])})" if extra else ""),
            threshold="present",
            observed="missing",
        )
        for name in missing
    ]
    if not missing:
        checks.append(
            passed_or_failed(
                "columns", True, message=f"all {len(contract.columns)} columns are present", observed=len(schema)
            )
        )
    if contract.extra_columns == "forbid":
        checks += [
            passed_or_failed(
                f"column[{name}]",
                False,
                message=f"the column {name!r} is not in the contract; describe it there, or remove it",
                threshold="absent",
                observed="present",
            )
            for name in extra
        ]
    return checks


def _label_check(project: Project, schema: pl.Schema) -> list[Check]:
    if project.label in schema:
        return []
    message = f"the label {project.label!r} is not in the data; restore it, or name another in the project"
    return [passed_or_failed("label", False, message=message, observed="missing", threshold="present")]


def _type_check(name: str, column: Column, *, dtype: pl.DataType) -> Check:
    stored_type = dtype.base_type().__name__
    is_right = is_stored_as(column.type, dtype)
    message = f"is {column.type}"
    if not is_right:
        message = (
            f"{name!r} is stored as {stored_type}, not as {column.type}: some value is no valid {column.type}; "
            "correct the values at their source, or the type in the contract"
        )
    return passed_or_failed(f"type[{name}]", is_right, message=message, observed=stored_type, threshold=column.type)
