"""A proposed contract tried on halves of the data that it is proposed from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from modelway.components.core.config.contract import Contract
from modelway.components.core.config.project import Project
from modelway.components.validate.checks.bad_rows import bad_rows
from modelway.components.validate.checks.contract import contract_checks
from modelway.components.validate.counting import Tally, count
from modelway.pipelines.project.column_types import TypedTable
from modelway.pipelines.project.propose_contract import typed_columns
from modelway.pipelines.project.row_order import GROWTH, growth

HALVES = 50
MOST_ROWS = 50_000  # of a trial, so that it takes seconds
CONFIDENCE = 0.95
_BLOCKS = 40
_SEED = 0
Way = Literal["at random", "by group", "by blocks of neighbouring rows", "by time"]
Numbers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class ContractTrial:
    """How often a contract that was proposed from a half of the rows blocked the other half.

    Attributes:
        halves: How many halves were tried.
        blocked: How many of them were blocked.
        lines: By check how many halves it blocked.
        way: How the rows were halved.
        rows: How many rows were halved.
    """

    halves: int
    blocked: int
    lines: dict[str, int]
    way: Way
    rows: int

    @property
    def greatest_rate(self) -> float:
        """The upper limit, at 95 %, of the share of such halves that is blocked (Clopper and Pearson, 1934)."""
        from scipy.stats import beta

        if self.blocked == self.halves:
            return 1.0
        return float(beta.ppf(CONFIDENCE, self.blocked + 1, self.halves - self.blocked))

    def __str__(self) -> str:
        """In a sentence."""
        text = (
            f"proposed from one half of {self.rows:,} rows and judged on the other, halved {self.way}, "
            f"{self.blocked} of {self.halves} times the contract blocked: at 95 % confidence it blocks fewer than "
            f"{self.greatest_rate:.0%} of such batches"
        )
        return text + (f" ({self._worst_lines()})" if self.lines else "")

    def _worst_lines(self) -> str:
        return ", ".join(f"{name} {number}" for name, number in Counter(self.lines).most_common(5))


def try_contract(
    typed: TypedTable, contract: Contract, *, project: Project, halves: int = HALVES
) -> ContractTrial | None:
    """Proposes a contract from one half of the rows and judges the other half by it, again and again.

    By group or time, if the split is: half of the groups, or what comes before a random instant. In a table that is in
    the order of its times the cut is by time too, and where neighbouring rows are alike blocks of them are drawn; else
    rows. The label's line is the whole contract's, since it is judged strictly.

    Args:
        typed: The rows.
        contract: What was proposed from all of them.
        project: The project.
        halves: How many halves to try.

    Returns:
        What came of it; None if there are too few rows to halve, or no halves to try.
    """
    rng = np.random.default_rng(_SEED)
    if len(typed.rows) > MOST_ROWS:
        typed = typed.filter(pl.Series(np.sort(rng.choice(len(typed.rows), MOST_ROWS, replace=False))))
    rows = len(typed.rows)
    way, order = _way(typed.rows, contract, project=project)
    blocked, lines, tried = 0, Counter[str](), 0
    for seen, new in _halves(order, way=way, halves=halves, rng=rng):
        if not len(seen) or not len(new):
            continue
        tried += 1
        names = _blocking_lines(typed.filter(seen), typed.filter(new), contract=contract, project=project)
        blocked += bool(names)
        lines.update(names)
    return ContractTrial(tried, blocked, dict(lines), way, rows) if tried else None


def _way(table: pl.DataFrame, contract: Contract, *, project: Project) -> tuple[Way, Numbers]:
    """How to halve a table, and its rows in numbers that are equal where rows must be in one half."""
    split, numbers = project.data.split, np.arange(len(table))
    if split.group is not None:
        return "by group", _dense(table[split.group])
    if split.by == "time" and split.column is not None:
        return "by time", _dense(table[split.column])
    clocks = [series for series in table.iter_columns() if isinstance(series.dtype, pl.Date | pl.Datetime)]
    for clock in clocks:
        if abs(by_row := growth(clock.cast(pl.Int64))) >= GROWTH:
            return "by time", numbers if by_row > 0 else numbers[::-1].copy()
    if any(column.seen is not None and column.seen.rows_as_one > 1 for column in contract.columns.values()):
        return "by blocks of neighbouring rows", numbers * min(_BLOCKS, len(table)) // max(len(table), 1)
    return "at random", numbers


def _dense(series: pl.Series) -> Numbers:
    return (series.rank("dense").fill_null(0).to_numpy() - 1).astype(np.int64)


def _halves(
    order: Numbers, *, way: Way, halves: int, rng: np.random.Generator
) -> Iterator[tuple[pl.Series, pl.Series]]:
    """The numbers of the rows to propose from and of those to judge."""
    units = int(order.max(initial=-1)) + 1
    for _ in range(halves if units > 1 else 0):
        if way == "by time":
            cut = np.quantile(order, rng.uniform(0.25, 0.75))
            is_seen = order < cut
        else:
            chosen = np.zeros(units, dtype=bool)
            chosen[rng.choice(units, units // 2, replace=False)] = True
            is_seen = chosen[order]
        yield pl.Series(np.flatnonzero(is_seen)), pl.Series(np.flatnonzero(~is_seen))


def _blocking_lines(seen: TypedTable, new: TypedTable, *, contract: Contract, project: Project) -> list[str]:
    """The checks by which the contract of some rows blocks others."""
    used = {*project.features.columns, *project.sensitive, project.data.label_time, project.data.split.column}
    columns = typed_columns(
        seen,
        label=project.label,
        task=project.task,
        unused=[name for name in seen.rows.columns if name not in used],
        group=project.data.split.group,
    )
    proposal = Contract.model_validate({"columns": columns})
    proposal.columns[project.label] = contract.columns[project.label]
    table = new.rows.lazy()
    kinds = bad_rows(proposal, project, schema=new.rows.schema)
    counts = count(table, Tally({kind.name: kind.condition for kind in kinds}))
    checks = contract_checks(table, proposal, project=project, kinds=kinds, counts=counts)
    return [check.name for check in checks if check.blocks and check.name not in _OF_THE_HALF]


_OF_THE_HALF = ("rows", "classes")  # which a half may lack
