"""Checks a table against its contract, in one pass over lazily scanned columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from modelway.components.core.checks import Check, passed_or_failed
from modelway.components.core.config.contract import Column, Contract
from modelway.components.core.config.project import Project
from modelway.components.core.config.row_rules import is_stored_as
from modelway.components.core.tables.unparsed import Unparsed
from modelway.components.validate.checks.bad_rows import BadRows, bad_row_checks
from modelway.components.validate.checks.whole_table import class_checks, rule_checks, unique_checks
from modelway.components.validate.counting import Counts
from modelway.components.validate.new_rows import NewRows


def contract_checks(
    table: pl.LazyFrame,
    contract: Contract,
    *,
    project: Project,
    kinds: Sequence[BadRows],
    counts: Counts,
    unparsed: Mapping[str, Unparsed] | None = None,  # noqa: ARG001
    new_rows: NewRows | None = None,  # noqa: ARG001
) -> list[Check]:
    """Every check of the contract, for a table whose bad rows have been counted already.

    Args:
        table: All rows; read again only for keys, row rules over many rows, classes and examples.
        contract: The contract.
        project: Names the label.
        kinds: What can be wrong with a row.
        counts: How often that is.
        unparsed: By column the values that were let pass as missing.
        new_rows: The rows that the champion was not released from, on which evidence is judged; None: all rows.

    Raises:
        ModelwayError: a rule is not a SQL condition over the contract's columns.
    """
    schema, rows, least = table.collect_schema(), counts.rows, contract.minimum_rows
    message = f"{rows:,} rows; the contract requires {least:,}"
    present = {name: contract.columns[name] for name in schema if name in contract.columns}
    return [
        passed_or_failed("rows", rows >= least, message=message, observed=rows, threshold=least),
        *_presence_checks(contract, project, schema=schema),
        *(_type_check(name, column, dtype=schema[name]) for name, column in present.items()),
        *bad_row_checks(table, kinds, counts=counts),
        *unique_checks(table, contract, schema=schema, rows=rows),
        *rule_checks(table, contract, schema=schema, rows=rows),
        *class_checks(table, project, schema=schema),
    ]


def _presence_checks(contract: Contract, project: Project, *, schema: pl.Schema) -> Iterator[Check]:
    missing = [name for name, column in contract.columns.items() if column.required and name not in schema]
    extra = [name for name in schema if name not in contract.columns]
    for name in missing:
        message = f"the column {name!r} is missing; restore it, or set `required: false` in the contract"
        message += f" (new in the data: {', '.join(extra[:5])})" if extra else ""
        yield passed_or_failed(f"column[{name}]", False, message=message, observed="missing", threshold="present")
    if not missing:
        message = f"all {len(contract.columns)} columns are present"
        yield passed_or_failed("columns", True, message=message, observed=len(schema))
    for name in extra if contract.extra_columns == "forbid" else ():
        message = f"the column {name!r} is not in the contract; describe it there, or remove it"
        yield passed_or_failed(f"column[{name}]", False, message=message, observed="present", threshold="absent")
    if project.label not in schema:
        message = f"the label {project.label!r} is not in the data; restore it, or name another in the project"
        yield passed_or_failed("label", False, message=message, observed="missing", threshold="present")


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
