"""`modelway drill`: injects faults, and shows which gate catches each."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from modelway.pipelines.cli.options import Folder, project_folder
from modelway.pipelines.cli.output import Answer, Console, escape
from modelway.pipelines.project.workspace import Workspace

if TYPE_CHECKING:
    from modelway.pipelines.drill.drill import FaultResult


def drill(
    project: Folder = None,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", help="Only this fault, by its name; may be given several times.")
    ] = None,
) -> Answer:
    """Injects faults into a copy of the project, one at a time, and shows which gate catches each.

    Exits with 0 if each was caught by the gate meant for it and a clean run passes, 1 if not, 2 on an error.
    """
    from modelway.pipelines.drill.drill import faults_named, run_drill

    faults = faults_named(fault or [])
    start = time.perf_counter()
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("clean run", total=len(faults) + 1)

        def show(result: FaultResult) -> None:
            instead = "" if result.caught else f": {escape(', '.join(result.checks)) or 'no check'} blocked"
            bar.console.print(f"  {_mark(result)} {result.fault}{instead}")
            bar.update(task, advance=1, description=f"after {result.fault}")

        results = run_drill(Workspace.load(project_folder(project)), faults, on_result=show)
    seconds = time.perf_counter() - start
    content = [asdict(result) for result in results[1:]]  # less the clean run
    return Answer(content, lambda: _print(results, seconds), 0 if all(result.caught for result in results) else 1)


def _mark(result: FaultResult) -> str:
    return "[green]✓[/green]" if result.caught else "[red]✗[/red]"


def _print(results: list[FaultResult], seconds: float) -> None:
    console = Console()
    table = Table("fault", "meant for", "caught by", "checks", "", box=None, pad_edge=False)
    for result in results:
        checks = ", ".join(result.checks[:2]) + (
            f" and {len(result.checks) - 2} more" if len(result.checks) > 2 else ""
        )
        table.add_row(
            result.fault, result.expected_gate or "none", result.caught_by or "none", escape(checks), _mark(result)
        )
    console.print(table)
    faults = [result for result in results if result.expected_gate]
    harmless = [result.fault for result in results if not result.expected_gate]
    summary = f"{sum(result.caught for result in faults)} of {len(faults)} faults caught, {seconds:.0f} s"
    wrong = [result.fault for result in results if not result.caught]
    console.print(
        f"[red]{summary}; not as it should be: {', '.join(wrong)}[/red]"
        if wrong
        else f"[green]{summary}; {' and '.join(harmless)} passed[/green]"
    )
