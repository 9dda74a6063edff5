"""Checks a table against its contract, in one pass over lazily scanned columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import polars as pl

from modelway.components.core.checks import Check, passed_or_failed
from modelway.components.core.config.contract import Column, Contract
from modelway.components.core.config.project import Project
from modelway.components.core.config.row_rules import is_stored_as
from modelway.components.core.tables.unparsed import Unparsed
from modelway.components.validate.checks.bad_rows import (
    BadRows,
    bad_row_checks,
    percentage,
    shown_values,
    strictness_note,
)
from modelway.components.validate.checks.seen_lines import seen_line_checks
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
    unparsed: Mapping[str, Unparsed] | None = None,
    new_rows: NewRows | None = None,
) -> list[Check]:
    """Every check of the contract, for a table whose bad rows have been counted already.

    Args:
        table: All rows; read again only for keys, row rules over many rows, classes and examples.
        contract: The contract.
        project: Names the label.
        kinds: What can be wrong with a row.
        counts: How often that is.
        unparsed: By column the values that were let pass as missing.
        new_rows: The rows that the champion was not released from, on which lines with evidence are judged; None: all.

    Raises:
        ModelwayError: a rule is not a SQL condition over the contract's columns.
    """
    schema, rows, least = table.collect_schema(), counts.rows, contract.minimum_rows
    message = f"{rows:,} rows; the contract requires {least:,}"
    present = {name: contract.columns[name] for name in schema if name in contract.columns}
    values, new = unparsed or {}, new_rows or NewRows(table, counts, unparsed or {})
    strict_counts = _without_unparsed(counts, values)
    new = replace(new, counts=_without_unparsed(new.counts, new.unparsed))
    strict_kinds = [kind for kind in kinds if not kind.by_evidence]
    return [
        passed_or_failed("rows", rows >= least, message=message, observed=rows, threshold=least),
        *_presence_checks(contract, project, schema=schema),
        *_type_checks(present, project, schema=schema, rows=rows, unparsed=values),
        *bad_row_checks(table, strict_kinds, counts=strict_counts),
        *seen_line_checks(new, contract, project=project, kinds=kinds, is_part=new_rows is not None),
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


def _without_unparsed(counts: Counts, unparsed: Mapping[str, Unparsed]) -> Counts:
    """The counts without values that do not parse among those that are missing: the type's line has them."""
    numbers = dict(counts.numbers)
    for name, values in unparsed.items():
        if f"nulls[{name}]" in numbers:
            numbers[f"nulls[{name}]"] = min(counts.rows, numbers[f"nulls[{name}]"] + values.rows)
    return replace(counts, numbers=numbers)


def _type_checks(
    columns: Mapping[str, Column],
    project: Project,
    *,
    schema: pl.Schema,
    rows: int,
    unparsed: Mapping[str, Unparsed],
) -> Iterator[Check]:
    """The checks of types that are judged strictly, or by the share that the contract allows."""
    for name, column in columns.items():
        stored_type = schema[name].base_type().__name__
        if not is_stored_as(column.type, schema[name]):
            message = (
                f"{name!r} is stored as {stored_type}, not as {column.type}: some value is no valid {column.type}; "
                "correct the values at their source, or the type in the contract"
            )
            yield _type_check(name, column, passed=False, message=message, observed=stored_type)
        elif name == project.label or column.type == "string" or column.seen_for("type") is None:
            bad = unparsed[name].rows if name in unparsed else 0
            message, passed = f"is {column.type}", bad / max(rows, 1) <= (column.allowed or 0)
            if bad:
                note = strictness_note(column, "type", is_label=name == project.label)
                message = f"{bad:,} of {rows:,} values that are no valid {column.type}"
                message += f", such as {shown_values(unparsed[name].examples)}, which count as missing"
                message += f"; the contract allows {percentage(column.allowed)}" if column.allowed is not None else ""
                message += f" ({note})" if note else ""
                message += "" if passed else "; correct the values at their source, or the type in the contract"
            yield _type_check(name, column, passed=passed, message=message, observed=bad or stored_type)


def _type_check(name: str, column: Column, *, passed: bool, message: str, observed: float | str) -> Check:
    return passed_or_failed(f"type[{name}]", passed, message=message, observed=observed, threshold=column.type)
