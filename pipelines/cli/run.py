"""`modelway run`: the whole release pipeline on this machine."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from modelway.components.core.checks import Verdict
from modelway.components.core.errors import InterruptionError, exit_code_of
from modelway.components.core.evidence.runs import Outcome, State
from modelway.pipelines.cli.options import (
    BASE,
    TARGET,
    Champion,
    Debug,
    Folder,
    Home,
    Store,
    home_of,
    project_folder,
    store_of,
)
from modelway.pipelines.cli.output import Answer, Console, escape, exit_code, print_error
from modelway.pipelines.project.workspace import Workspace, tracking_uri

if TYPE_CHECKING:
    from modelway.pipelines.local.runner import Event, LocalResult

_COLOURS = {Verdict.PASSED: "green", Verdict.FAILED: "red", Verdict.INCONCLUSIVE: "yellow"}


def run(
    project: Folder = None,
    data: Annotated[str | None, typer.Option(help="Another data source than the project's: a path or s3://.")] = None,
    home: Home = None,
    store: Store = None,
    data_version: Annotated[
        str, typer.Option(help="Your name for the data's version: a label; changed data is noticed without it.")
    ] = "",
    champion: Champion = "",
    reason: Annotated[str, typer.Option(help="Why the run is started; the run record keeps it.")] = "",
    base: Annotated[str, BASE] = "",
    target: Annotated[str, TARGET] = "",
    debug: Debug = False,
) -> Answer:
    """Runs the whole release pipeline on this machine; with a serving base, a blessed version is packaged too.

    Exits with 0 if a model was registered, 1 if a gate rejected it, 2 on any error, 130 if it was interrupted.
    """
    from modelway.pipelines.local.runner import run_release

    if base:
        from modelway.components.package.stage import check_inputs

        check_inputs(base, target)
    folder = project_folder(project)
    home = home_of(folder, home)
    workspace = Workspace.load(folder, data)
    start = time.perf_counter()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("checking the project and warming up")
        result = run_release(
            workspace,
            home,
            store=store_of(store, home),
            on_event=lambda event: _show(event, bar, task=task, verbose=debug),
            data_version=data_version,
            champion=champion,
            reason=reason,
            packaging={"serving_base": base, "image": target} if base else None,
        )
    seconds = time.perf_counter() - start
    code = 2 if result.outcome is None else exit_code(result.outcome)
    return Answer(
        _as_json(result, seconds),
        lambda: _print(result, seconds, tracking=tracking_uri(home)),
        code if result.error is None else exit_code_of(result.error),
    )


def _show(event: Event, bar: Progress, *, task: TaskID, verbose: bool) -> None:
    """Shows an event of the run, on standard error; a line of a stage's log only if all are wanted."""
    if event.kind in {"damaged", "note"}:
        bar.console.print(f"  [yellow]![/yellow] {escape(event.text)}", soft_wrap=True)
    elif event.kind == "started":
        bar.reset(task, description=event.stage)
    elif event.kind == "log":
        if verbose:
            bar.console.print(f"  [dim]{escape(event.text)}[/dim]")
    elif event.kind == "cached":
        bar.console.print(f"  [green]✓[/green] {event.stage:<18} [dim]cached[/dim]")
    else:
        mark = "[green]✓[/green]" if event.kind == "finished" else "[red]✗[/red]"
        bar.console.print(f"  {mark} {event.stage:<18} {event.seconds:5.2f} s")
        bar.reset(task, description="…")


def _as_json(result: LocalResult, seconds: float) -> dict[str, Any]:
    outcome = result.outcome
    summary: dict[str, Any] = {
        "run": outcome.run if outcome else None,
        "name": outcome.name if outcome else None,
        "state": outcome.state.value if outcome else State.FAILED.value,
        "verdicts": {gate.name: gate.verdict.value for gate in outcome.gates} if outcome else {},
        "model": outcome.model.model_dump() if outcome and outcome.model else None,
        "reports": outcome.reports if outcome else {},
        "reasons": outcome.reasons if outcome else [],
        "warnings": _warnings(outcome),
        "seconds": result.seconds,
        "total_seconds": round(seconds, 3),
        "cached": result.cached,
        "logs": str(result.log),
    }
    if result.error is not None:
        summary["error"] = {"stage": result.failed_stage, **result.error.fields()}
    return summary


def _warnings(outcome: Outcome | None) -> list[str]:
    """What is inconclusive and does not block."""
    gates = outcome.gates if outcome else ()
    return [
        f"{check.name}: {check.message}"
        for gate in gates
        for check in gate.checks
        if check.verdict is Verdict.INCONCLUSIVE and not check.blocks
    ]


def _print(result: LocalResult, seconds: float, *, tracking: str) -> None:
    """Prints the run's gates, reasons, model and reports for people."""
    if isinstance(result.error, InterruptionError):
        print_error(result.error)
        return
    console = Console()
    outcome = result.outcome
    if outcome is not None:
        _print_gates(outcome, console)
        for warning in _warnings(outcome)[:5]:
            console.print(f"  [yellow]![/yellow] {escape(warning)}")
        for reason in outcome.reasons[:10]:
            console.print(f"  [red]✗[/red] {escape(reason)}")
        if len(outcome.reasons) > 10:
            console.print(f"    and {len(outcome.reasons) - 10} more, in the report")
    console.print()
    if result.error is not None:
        print_error(result.error)
    if outcome is None:
        return
    if outcome.model is not None:
        model = outcome.model
        alias = f"now {model.alias!r}" if model.alias else "as an earlier run registered it; no alias moved"
        console.print(
            f"[green]registered[/green] [bold]{escape(model.name)}[/bold] version {model.version}, {escape(alias)}"
        )
    elif outcome.state is State.REJECTED:
        console.print(f"[red]rejected[/red]: nothing was registered for {escape(outcome.project)}")
    for name, report in outcome.reports.items():
        console.print(f"  {name + ' report' * (name != 'card'):<14} {escape(_short(report))}", soft_wrap=True)
    console.print(f"  {'run':<14} {escape(outcome.run)}, {seconds:.1f} s")
    console.print(f"  {'tracking':<14} {escape(_short(tracking))}", soft_wrap=True)


def _print_gates(outcome: Outcome, console: Console) -> None:
    if not outcome.gates:
        return
    table = Table("gate", "verdict", box=None, pad_edge=False)
    for verdict in Verdict:
        table.add_column(verdict.value, justify="right")
    for gate in outcome.gates:
        counts, colour = gate.counts(), _COLOURS[gate.verdict]
        table.add_row(gate.name, f"[{colour}]{gate.verdict}[/{colour}]", *(str(counts[verdict]) for verdict in Verdict))
    console.print()
    console.print(table)


def _short(path: str) -> str:
    """A path as one would type it here, that of a sqlite database too; any other URI as it is."""
    if path.startswith("sqlite:///"):
        return f"sqlite:///{_short(path.removeprefix('sqlite:///'))}"
    return path if "://" in path else min(path, os.path.relpath(path), key=len)
