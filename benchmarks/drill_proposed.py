"""Whether the drill's data faults are caught where nobody has edited the files that `modelway init` proposed.

Five tables of other shapes than the example's: each is written to CSV, its project is proposed from it, and every fault
that is meant for the data gate is injected as `modelway drill` does:

    uv run --group benchmarks python benchmarks/drill_proposed.py
    uv run --group benchmarks python benchmarks/drill_proposed.py --table visits --fault "null burst"
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import polars as pl
import typer
from teaching_tables import teaching_tables

from modelway.components.core.checks import Mode
from modelway.pipelines.drill.data_faults import DATA_FAULTS
from modelway.pipelines.drill.drill import CLEAN, FaultResult, faults_named, run_drill
from modelway.pipelines.project.propose import propose
from modelway.pipelines.project.workspace import Workspace

SHIPPED = {"car/Chile": "vote", "Ecdat/Computers": "premium", "ggplot2/diamonds": "cut", "Ecdat/HI": "whi"}  # the label
ROWS = 3_000


def visits(rows: int = ROWS) -> pl.DataFrame:
    """Visits of a clinic: an identifier, numbers with gaps, categories with a rare one, a day, and a label."""
    dice = np.random.default_rng(0)
    age = dice.uniform(18, 90, rows).round(1)
    paid = (dice.gamma(2.0, 1.0, rows) * age).round(2)
    days = np.datetime64("2025-01-01") + dice.integers(0, 365, rows).astype("timedelta64[D]")
    ill = (age - 50) / 15 + (paid > 1.5 * age) + dice.normal(0, 0.7, rows) > 0
    return pl.DataFrame(
        {
            "visit": np.arange(1, rows + 1),
            "age": age,
            "paid": pl.Series(paid).set(pl.Series(dice.random(rows) < 0.03), None),
            "city": dice.choice(["Ulm", "Köln", "Jena", "Emden"], rows, p=[0.5, 0.3, 0.19, 0.01]),
            "since": days,
            "ill": ill.astype(int),
        }
    )


def tables() -> dict[str, tuple[pl.DataFrame, str]]:
    """Each table and its label, by name."""
    shipped = {table.name: table.table for table in teaching_tables(least_rows=ROWS // 2, most_rows=ROWS)}
    tables = {
        name.rpartition("/")[2].lower(): (shipped[name].drop_nulls(label), label) for name, label in SHIPPED.items()
    }
    return {"visits": (visits(), "ill"), **tables}


def by_data_alone(workspace: Workspace) -> Workspace:
    """A project whose server nobody judges, and whose model's gate only reports: neither has to do with the data."""
    policy = workspace.policy
    model = policy.model.model_copy(update={"mode": Mode.DRY_RUN})
    serving = policy.serving.model_copy(update={"mode": Mode.DISABLED})
    return replace(workspace, policy=policy.model_copy(update={"model": model, "serving": serving}))


def main(
    table: Annotated[list[str] | None, typer.Option(help="Only this table; may be given several times.")] = None,
    fault: Annotated[list[str] | None, typer.Option(help="Only this fault; may be given several times.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Drills each table's proposed project, and exits with 1 where a fault is not caught."""
    faults = [data_fault.name for data_fault in DATA_FAULTS] if fault is None else fault
    chosen = {name: content for name, content in tables().items() if table is None or name in table}
    results: dict[str, list[FaultResult]] = {}
    for name, (rows, label) in chosen.items():
        start = time.perf_counter()
        with TemporaryDirectory() as work:
            rows.write_csv(Path(work) / "rows.csv")
            folder = Path(work) / "project"
            folder.mkdir()
            proposal = propose(folder, name, source=str(Path(work) / "rows.csv"), label=label, halves=0)
            for file, text in proposal.files.items():
                (folder / file).write_text(text, encoding="utf-8")
            workspace = by_data_alone(Workspace.load(folder))
            results[name] = run_drill(workspace, faults_named(faults), on_result=_progress(name))
        sys.stderr.write(f"{name}: {len(rows):,} rows, {time.perf_counter() - start:.0f} s\n")
    missed = [(name, result.fault) for name, row in results.items() for result in row if not _is_right(result)]
    if as_json:
        print(json.dumps({name: [asdict(result) for result in row] for name, row in results.items()}))
    else:
        _print_table(results)
        print(f"{len(missed)} not caught")
    raise typer.Exit(bool(missed))


def _is_right(result: FaultResult) -> bool:
    """Whether the data gate did as it should; the clean run's other gates are no matter of the contract."""
    return result.caught or (result.fault == CLEAN and result.caught_by != "data")


def _progress(name: str) -> Callable[[FaultResult], None]:
    def show(result: FaultResult) -> None:
        sys.stderr.write(f"{name}: {result.fault}: {'as it should be' if _is_right(result) else result}\n")

    return show


def _print_table(results: dict[str, list[FaultResult]]) -> None:
    """A row a fault, a column a table: the first check meant for the fault that blocked."""
    names = list(results)
    print(f"| fault | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    meant = {fault.name: fault.check for fault in DATA_FAULTS}
    for row in zip(*results.values(), strict=True):
        cells = []
        for result in row:
            checks = [check for check in result.checks if check.startswith(meant.get(result.fault, ()))]
            missed = "**blocked**" if result.fault == CLEAN else "**not caught**"
            caught = f"`{checks[0]}`" if result.fault != CLEAN and checks else "passes"
            cells.append(caught if _is_right(result) else missed)
        print(f"| {row[0].fault} | {' | '.join(cells)} |")


if __name__ == "__main__":
    typer.run(main)
