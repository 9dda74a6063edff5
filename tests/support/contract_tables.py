"""A table that keeps its contract, contracts with more sections, and the checks of both by name."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import polars as pl
import yaml
from user_files import minimal_project

from modelway.components.core.checks import Check
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.project import Project
from modelway.components.core.tables.unparsed import Unparsed
from modelway.components.validate.checks.bad_rows import bad_rows
from modelway.components.validate.checks.contract import contract_checks
from modelway.components.validate.counting import Tally, count
from modelway.components.validate.new_rows import NewRows

GOOD = pl.DataFrame(
    {
        "id": ["a1", "b2", "c3", "d4"],
        "age": [20, 30, 40, 50],
        "paid": [1.0, 2.0, 3.0, 4.0],
        "billed": [1.0, 2.5, 3.0, 9.0],
        "plan": ["gold", "silver", "gold", None],
        "day": [dt.date(2024, 1, 1), dt.date(2024, 2, 1), dt.date(2024, 3, 1), dt.date(2024, 4, 1)],
        "at": [dt.datetime(2024, month, 1, 12) for month in (1, 2, 3, 4)],
        "active": [True, False, True, True],
        "late": [0, 1, 0, 1],
    }
)


COLUMNS: dict[str, Any] = {
    "id": {"type": "string"},
    "age": {"type": "integer"},
    "paid": {"type": "number"},
    "billed": {"type": "number"},
    "plan": {"type": "string", "max_nulls": 0.5},
    "day": {"type": "date"},
    "at": {"type": "datetime"},
    "active": {"type": "boolean"},
    "late": {"type": "integer"},
}


def project(task: str = "binary", label: str = "late") -> Project:
    return minimal_project(task=task, label=label, features={"numeric": ["age"]})


def contract(columns: dict[str, Any] | None = None, **sections: Any) -> Contract:
    column_sections = {
        name: {**COLUMNS.get(name, {}), **more}
        for name, more in {**{column: {} for column in COLUMNS}, **(columns or {})}.items()
    }
    return Contract.parse(yaml.safe_dump({"columns": column_sections, **sections}))


def checks_of(
    table: pl.LazyFrame,
    table_contract: Contract,
    project_of_table: Project,
    *,
    unparsed: Mapping[str, Unparsed] | None = None,
    is_new: pl.Series | None = None,
) -> list[Check]:
    """Every check of the contract, its bad rows counted for it alone; evidence is judged on new rows."""
    kinds = bad_rows(table_contract, project_of_table, schema=table.collect_schema())
    tally = Tally({kind.name: kind.condition for kind in kinds})
    counts, new_rows = count(table, tally), None
    if is_new is not None:
        rows = table.collect().filter(is_new).lazy()
        new_rows = NewRows(rows, count(rows, tally), {})
    return contract_checks(
        table,
        table_contract,
        project=project_of_table,
        kinds=kinds,
        counts=counts,
        unparsed=unparsed,
        new_rows=new_rows,
    )


def contract_results(
    table: pl.DataFrame,
    table_contract: Contract,
    project_of_table: Project | None = None,
    *,
    unparsed: Mapping[str, Unparsed] | None = None,
    is_new: pl.Series | None = None,
) -> dict[str, Check]:
    checks = checks_of(table.lazy(), table_contract, project_of_table or project(), unparsed=unparsed, is_new=is_new)
    assert len({check.name for check in checks}) == len(checks)
    return {check.name: check for check in checks}


def with_values(column: str, values: list[Any], dtype: Any = None) -> pl.DataFrame:
    return GOOD.with_columns(pl.Series(column, values, dtype=dtype))


DAYS = [dt.date(2024, 1, 1), dt.date(2024, 2, 1), dt.date(2024, 3, 1), dt.date(2023, 12, 31)]


MOMENTS = [dt.datetime(2024, 1, 1, hour) for hour in (1, 2, 3, 4)]
