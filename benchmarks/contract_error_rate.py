"""How often a proposed contract blocks a clean batch, and how few bad rows it finds.

Draws a table of 20 features, proposes its contract as `modelway init` does, draws a batch of the same distribution,
and lets the data gate's contract judge it; then the same batch with bad rows in it:

    uv run python benchmarks/contract_error_rate.py
    uv run python benchmarks/contract_error_rate.py --scale 0.1                      # a tenth of the tables
    uv run python benchmarks/contract_error_rate.py --part power --part clusters
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import polars as pl
import typer
from contract_gate import contract_checks_of, failed, is_inconclusive, project_of, share_with_limits

from modelway.components.core.checks import Check
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.project import Project
from modelway.pipelines.project.propose_contract import proposed_columns

Dice = np.random.Generator
Values = npt.NDArray[Any]
LABEL, GROUP = "label", "group"
# Rows seen, rows of the batch, tables
CLEAN = (
    (500, 500, 1_000),
    (500, 50, 500),
    (500, 5_000, 500),
    (2_000, 2_000, 500),
    (2_000, 200, 300),
    (2_000, 20_000, 200),
    (10_000, 10_000, 200),
    (50_000, 50_000, 100),
)
# Rows seen and rows of the batch, share of bad rows, tables
POWER = tuple(
    (rows, share, 200 if rows < 20_000 else 100) for rows in (2_000, 20_000) for share in (0.001, 0.002, 0.01)
)
CLUSTERS = ((2_000, 200), (10_000, 100))  # rows of both, tables


def zipf(dice: Dice, rows: int, kinds: int) -> Values:
    """Texts, of which the k-th has a share as 1/k."""
    shares = np.cumsum(1 / np.arange(1, kinds + 1))
    return np.char.add("v", np.searchsorted(shares, dice.random(rows) * shares[-1]).astype(str))


FEATURES: dict[str, Callable[[Dice, int], Values]] = {
    "normal": lambda dice, rows: dice.normal(size=rows),
    "normal_sparse": lambda dice, rows: dice.normal(size=rows),
    "normal_large": lambda dice, rows: dice.normal(1e6, 10, rows),
    "exponential": lambda dice, rows: dice.exponential(size=rows),
    "exponential_sparse": lambda dice, rows: dice.exponential(size=rows),
    "exponential_negative": lambda dice, rows: -dice.exponential(5, rows),
    "lognormal": lambda dice, rows: dice.lognormal(size=rows),
    "lognormal_wide": lambda dice, rows: dice.lognormal(sigma=2, size=rows),
    "lognormal_wider": lambda dice, rows: dice.lognormal(sigma=3, size=rows),
    "pareto": lambda dice, rows: dice.pareto(1.5, rows),
    "pareto_dirty": lambda dice, rows: dice.pareto(1.5, rows),
    "pareto_wild": lambda dice, rows: dice.pareto(0.8, rows),
    "poisson_rare": lambda dice, rows: dice.poisson(0.02, rows),
    "poisson": lambda dice, rows: dice.poisson(3, rows),
    "poisson_dirty": lambda dice, rows: dice.poisson(100, rows),
    "zipf_few": lambda dice, rows: zipf(dice, rows, 8),
    "zipf_sparse": lambda dice, rows: zipf(dice, rows, 8),
    "zipf": lambda dice, rows: zipf(dice, rows, 30),
    "zipf_many": lambda dice, rows: zipf(dice, rows, 300),
    "zipf_endless": lambda dice, rows: zipf(dice, rows, 100_000),
}
SPARSE = {"normal_sparse": 0.1, "exponential_sparse": 0.001, "zipf_sparse": 0.01}  # the share of missing values
DIRTY = {"pareto_dirty": 0.002, "poisson_dirty": 0.02}  # the share of values that are no numbers


@dataclass(frozen=True)
class Cell:
    """A line of the printed table."""

    part: str
    world: str
    seen: int
    rows: int
    tables: int
    share: float
    low: float
    high: float
    inconclusive: float
    lines: dict[str, int]


def drawn(dice: Dice, rows: int) -> pl.DataFrame:
    """A table as it is in a CSV file: numbers that hold text are text."""
    table = pl.DataFrame({name: draw(dice, rows) for name, draw in FEATURES.items()})
    blanks = [
        pl.when(pl.Series(dice.random(rows) < share)).then(None).otherwise(pl.col(name)).alias(name)
        for name, share in SPARSE.items()
    ]
    dirt = [
        pl.when(pl.Series(dice.random(rows) < share))
        .then(pl.lit("?"))
        .otherwise(pl.col(name).cast(pl.String))
        .alias(name)
        for name, share in DIRTY.items()
    ]
    return table.with_columns(*blanks, *dirt, pl.Series(LABEL, (dice.random(rows) < 0.4).astype(int)))


def files_of(table: pl.DataFrame, *, group: str | None = None) -> tuple[Contract, Project]:
    """The contract that is proposed from a table, and a project that uses all of it."""
    columns = proposed_columns(table, label=LABEL, task="binary", unused=(), group=group)
    texts = [name for name, column in columns.items() if column["type"] == "string" and name not in {LABEL, group}]
    numbers = [name for name in columns if name not in {*texts, LABEL, group}]
    features = {"numeric": numbers, "categorical": texts}
    project = project_of(
        {kind: names for kind, names in features.items() if names}, task="binary", label=LABEL, group=group
    )
    return Contract.model_validate({"columns": columns}), project


def clean_cells(scale: float, seed: int) -> Iterator[Cell]:
    """The rate of false alarms."""
    for seen, rows, tables in CLEAN:
        batches = []
        for number in range(max(1, round(tables * scale))):
            dice = np.random.default_rng([seed, seen, rows, number])
            contract, project = files_of(drawn(dice, seen))
            batches.append(contract_checks_of(drawn(dice, rows), contract, project))
        yield cell("clean", "20 columns", batches, seen=seen, rows=rows)


def power_cells(scale: float, seed: int) -> Iterator[Cell]:
    """How often bad rows of each kind are found, where each row is bad with the same chance."""
    for rows, share, tables in POWER:
        verdicts: dict[str, list[list[Check]]] = {}
        for number in range(max(1, round(tables * scale))):
            dice = np.random.default_rng([seed, rows, round(share * 1e6), number])
            contract, project = files_of(drawn(dice, rows))
            batch = with_bad_rows(dice, drawn(dice, rows), share)
            checks = contract_checks_of(batch, contract, project)
            for kind, (column, lines) in KINDS.items():
                names = {f"{line}[{column}]" for line in lines}
                verdicts.setdefault(kind, []).append([check for check in checks if check.name in names])
        for kind, batches in verdicts.items():
            yield cell("power", f"{share:.1%} {kind}", batches, seen=rows, rows=rows)


# What is wrong, the column where it is, and the lines that are to find it
KINDS = {
    "beyond the maximum": ("normal", ("maximum",)),
    "of one new category": ("zipf_few", ("categories", "commonest")),
    "each of another new category": ("zipf_sparse", ("categories", "commonest")),
    "missing": ("exponential", ("nulls",)),
    "no numbers": ("lognormal", ("type",)),
}


def with_bad_rows(dice: Dice, table: pl.DataFrame, share: float) -> pl.DataFrame:
    """A batch in which rows are bad at random, in a column of its own for each kind."""
    rows = len(table)
    values = {
        "normal": pl.lit(15.0),
        "zipf_few": pl.lit("new"),
        "zipf_sparse": pl.Series([f"new{number}" for number in range(rows)]),
        "exponential": pl.lit(None),
        "lognormal": pl.lit("unknown"),
    }
    texts = table.with_columns(pl.col("lognormal").cast(pl.String))
    return texts.with_columns(
        pl.when(pl.Series(dice.random(rows) < share)).then(value).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    )


def cluster_cells(scale: float, seed: int) -> Iterator[Cell]:
    """Rows that are like their neighbours, or like those of their group, with and without regard to it."""
    for rows, tables in CLUSTERS:
        for world, draw in (("neighbours alike (AR 0.95)", neighbours), ("groups of 10", groups)):
            heeded, ignored = [], []
            for number in range(max(1, round(tables * scale))):
                dice = np.random.default_rng([seed, rows, number])
                table = draw(dice, 2 * rows)
                group = GROUP if GROUP in table.columns else None
                seen, batch = table[:rows], table[rows:]
                heeded.append(contract_checks_of(batch, *files_of(seen, group=group)))
                without = [frame.drop(GROUP, strict=False) for frame in (seen, batch)]
                contract, project = files_of(without[0])
                ignored.append(contract_checks_of(without[1], row_by_row(contract), project))
            yield cell("clusters", f"{world}, as proposed", heeded, seen=rows, rows=rows)
            yield cell("clusters", f"{world}, each row counted", ignored, seen=rows, rows=rows)


def neighbours(dice: Dice, rows: int) -> pl.DataFrame:
    """Ten autocorrelated columns, such as of sensors, in the order of time."""
    from scipy.signal import lfilter

    noise = dice.normal(size=(10, rows + 500)) * np.sqrt(1 - 0.95**2)
    series = lfilter([1], [1, -0.95], noise, axis=1)[:, 500:]
    columns = {f"sensor{number}": values for number, values in enumerate(series)}
    return pl.DataFrame({**columns, LABEL: (dice.random(rows) < 0.4).astype(int)})


def groups(dice: Dice, rows: int) -> pl.DataFrame:
    """Ten columns of which a group's rows have nearly the same value, and one of which all are missing or none."""
    codes = np.repeat(np.arange(rows // 10), 10)
    columns = {
        f"trait{number}": dice.normal(size=rows // 10)[codes] + dice.normal(0, 0.01, rows) for number in range(10)
    }
    table = pl.DataFrame({GROUP: np.char.add("g", codes.astype(str)), **columns})
    is_blank = pl.Series((dice.random(rows // 10) < 0.1)[codes])
    gaps = pl.when(is_blank).then(None).otherwise(pl.col("trait0")).alias("trait0")
    return table.with_columns(gaps, pl.Series(LABEL, (dice.random(rows) < 0.4).astype(int)))


def row_by_row(contract: Contract) -> Contract:
    """The contract as if every row counted for itself."""
    columns = {}
    for name, column in contract.columns.items():
        seen = column.seen.model_copy(update={"rows_as_one": 1.0}) if column.seen is not None else None
        columns[name] = column.model_copy(update={"seen": seen})
    return contract.model_copy(update={"columns": columns})


def cell(part: str, world: str, batches: list[list[Check]], *, seen: int, rows: int) -> Cell:
    """Counts the batches with a failed check."""
    blocking = [failed(checks) for checks in batches]
    lines = Counter(check.name for checks in blocking for check in checks)
    share, low, high = share_with_limits(sum(map(bool, blocking)), len(batches))
    warned = sum(map(is_inconclusive, batches)) / len(batches)
    return Cell(part, world, seen, rows, len(batches), share, low, high, warned, dict(lines.most_common(8)))


PARTS = {"clean": clean_cells, "power": power_cells, "clusters": cluster_cells}


def main(
    part: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(PARTS)}; all unless given.")] = None,
    scale: Annotated[float, typer.Option(help="How many tables are drawn, as a multiple.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Another seed draws other tables.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Draws the tables and counts the verdicts."""
    cells, start = [], time.perf_counter()
    if not as_json:
        print("| | rows seen | rows of the batch | tables | blocked | 95 % interval | inconclusive |")
        print("|---|---|---|---|---|---|---|")
    for name in part or PARTS:
        for result in PARTS[name](scale, seed):
            cells.append(result)
            sys.stderr.write(f"{time.perf_counter() - start:.0f} s {name} {result.world}: {result.lines}\n")
            if not as_json:
                sizes = f"{result.seen:,} | {result.rows:,} | {result.tables:,}"
                shares = f"{result.share:.1%} | {result.low:.1%} to {result.high:.1%} | {result.inconclusive:.0%}"
                print(f"| {name}: {result.world} | {sizes} | {shares} |", flush=True)
    if as_json:
        print(json.dumps([asdict(result) for result in cells]))


if __name__ == "__main__":
    typer.run(main)
