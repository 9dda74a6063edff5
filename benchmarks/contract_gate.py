"""A batch before the data gate's contract, without files: what the contract's benchmarks have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from modelway.components.core.checks import Check, Verdict
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.project import Project
from modelway.components.core.tables.unparsed import unparsed_of
from modelway.components.ingest.types import POSITION, VALUE, TypedTable, with_contract_types
from modelway.components.validate.checks.bad_rows import bad_rows
from modelway.components.validate.checks.contract import contract_checks
from modelway.components.validate.counting import Tally, count

ESTIMATORS = {"regression": "sklearn.linear_model.Ridge"}
CLASSIFIER = "sklearn.linear_model.LogisticRegression"


def project_of(features: dict[str, list[str]], *, task: str, label: str, group: str | None = None) -> Project:
    """A project that uses these columns, with the rows of a group on one side of the split."""
    split: dict[str, Any] = {"by": "row", "rule": 2, "equal_rows": "apart"}
    content = {
        "name": "table",
        "task": task,
        "label": label,
        "data": {"source": "rows.csv", "split": {"by": "group", "column": group} if group is not None else split},
        "features": features,
        "model": {"estimator": ESTIMATORS.get(task, CLASSIFIER)},
    }
    return Project.model_validate(content)


def contract_checks_of(table: pl.DataFrame, contract: Contract, project: Project) -> list[Check]:
    """The contract's checks of a batch, whose values that do not parse are counted as ingest does."""
    typed = with_contract_types(table, contract, strict=(project.label, project.data.split.column or ""))
    return checks_of(typed, contract, project)


def checks_of(typed: TypedTable, contract: Contract, project: Project) -> list[Check]:
    """The contract's checks of a batch that ingest has read."""
    unparsed = {name: unparsed_of(values[POSITION], values[VALUE]) for name, values in typed.unparsed.items()}
    rows = typed.rows.lazy()
    kinds = bad_rows(contract, project, schema=typed.rows.schema)
    counts = count(rows, Tally({kind.name: kind.condition for kind in kinds}), low_cardinality=())
    return contract_checks(rows, contract, project=project, kinds=kinds, counts=counts, unparsed=unparsed)


def failed(checks: Iterable[Check]) -> list[Check]:
    """The checks that block."""
    return [check for check in checks if check.verdict is Verdict.FAILED]


def is_inconclusive(checks: Iterable[Check]) -> bool:
    """Whether a check warns."""
    return any(check.verdict is Verdict.INCONCLUSIVE for check in checks)


def share_with_limits(count: int, total: int, level: float = 0.05) -> tuple[float, float, float]:
    """A share with its two-sided interval by Clopper and Pearson."""
    from scipy.stats import beta

    low = float(beta.ppf(level / 2, count, total - count + 1)) if count else 0.0
    high = float(beta.ppf(1 - level / 2, count + 1, total - count)) if count < total else 1.0
    return count / total, low, high
