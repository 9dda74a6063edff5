"""A proposed contract tried on halves of the data that it is proposed from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from modelway.components.core.config.contract import Column, Contract
from modelway.components.core.config.project import Project
from modelway.components.validate.checks.bad_rows import bad_rows
from modelway.components.validate.checks.contract import contract_checks
from modelway.components.validate.counting import Tally, count
from modelway.pipelines.project.column_types import TypedTable
from modelway.pipelines.project.row_order import GROWTH, Mask, growth
from modelway.pipelines.project.trial_column import TrialColumn

HALVES = 50
MOST_ROWS = 50_000  # of a trial, so that it takes seconds
CONFIDENCE = 0.95
MOST_COLUMNS = 20_000  # of all halves: of a table of more than 400 columns fewer halves are tried
LEAST_HALVES = 10  # fewer would bound the rate of blocked batches by 26 % or worse
_BLOCKS = 40
_CUTS = 0.25, 0.75  # of the rows in order of time
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
            f"the contract blocked {self.blocked} of {self.halves} times: at 95 % confidence it blocks at most "
            f"{100 * self.greatest_rate:.0f} % of such batches"
        )
        return text + (f" ({self._worst_lines()})" if self.lines else "")

    def _worst_lines(self) -> str:
        return ", ".join(f"{name} {number}" for name, number in Counter(self.lines).most_common(5))


def try_contract(
    typed: TypedTable,
    contract: Contract,
    *,
    project: Project,
    halves: int = HALVES,
    progress: Callable[[int, int], None] | None = None,
) -> ContractTrial | None:
    """Judges one half of the rows by what the other half would have been proposed, again and again.

    By group or time, if the split is: half of the groups, or what comes before a random instant. In a table that is in
    the order of its times the cut is by time too, and where neighbouring rows are alike blocks of them are drawn; else
    rows. Which lines there are, and how many rows weigh as one, is as all rows have it; the bounds, categories and
    counts are the half's. Keys and the label are judged strictly and hold of every part of the rows.

    Args:
        typed: The rows.
        contract: What was proposed from all of them.
        project: The project.
        halves: How many halves to try.
        progress: Told how many have been tried, of how many.

    Returns:
        What came of it; None if there are too few rows to halve, too many columns, or no halves to try.
    """
    most_halves = MOST_COLUMNS // max(len(typed.rows.columns), 1)
    if most_halves < LEAST_HALVES:
        return None
    rng = np.random.default_rng(_SEED)
    if len(typed.rows) > MOST_ROWS:
        typed = typed.filter(pl.Series(np.sort(rng.choice(len(typed.rows), MOST_ROWS, replace=False))))
    way, order = _way(typed.rows, contract, project=project)
    group, level = project.data.split.group, contract.level(project.label)
    groups = _dense(typed.rows[group]) if group is not None else None
    columns = [
        TrialColumn(typed.rows[name], column, unparsed=typed.unparsed.get(name), groups=groups)
        for name, column in contract.columns.items()
        if name in typed.rows.columns and name != project.label
    ]
    halves = min(halves, most_halves)
    blocked, lines, tried = 0, Counter[str](), 0
    for is_seen in _halves(order, way=way, halves=halves, rng=rng):
        failing = [line for column in columns for line in column.failing_lines(is_seen, level=level)]
        for column in columns:
            if (renewed := column.with_categories_of(is_seen)) is not None:
                failing += _failing_categories(typed, ~is_seen, column=renewed, contract=contract, project=project)
        tried += 1
        blocked += bool(failing)
        lines.update(failing)
        if progress is not None:
            progress(tried, halves)
    return ContractTrial(tried, blocked, dict(lines), way, len(typed.rows)) if tried else None


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


def _halves(order: Numbers, *, way: Way, halves: int, rng: np.random.Generator) -> Iterator[Mask]:
    """Which rows to propose from; the others are to be judged."""
    units = int(order.max(initial=-1)) + 1
    for _ in range(halves if units > 1 else 0):
        if way == "by time":
            is_seen = order < np.quantile(order, rng.uniform(*_CUTS))
        else:
            chosen = np.zeros(units, dtype=np.bool_)
            chosen[rng.choice(units, units // 2, replace=False)] = True
            is_seen = chosen[order]
        if is_seen.any() and not is_seen.all():
            yield is_seen


def _failing_categories(
    typed: TypedTable, is_new: Mask, *, column: tuple[str, Column], contract: Contract, project: Project
) -> list[str]:
    """The lines of a column's categories by which the gate blocks some rows."""
    name, renewed = column
    group = project.data.split.group
    table = typed.rows.lazy().select(name, *([group] if group is not None and group != name else []))
    table = table.filter(pl.Series(is_new))
    contract = contract.model_copy(update={"columns": contract.columns | {name: renewed}})
    schema = table.collect_schema()
    kinds = [kind for kind in bad_rows(contract, project, schema=schema) if kind.name == f"categories[{name}]"]
    counts = count(table, Tally({kind.name: kind.condition for kind in kinds}))
    checks = contract_checks(table, contract, project=project, kinds=kinds, counts=counts)
    return [check.name for check in checks if check.blocks and check.name in _lines_of(name)]


def _lines_of(name: str) -> tuple[str, str]:
    return f"categories[{name}]", f"commonest[{name}]"
