"""What `modelway` prints: progress as stages run, and the summary at the end, for people or as JSON."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich import progress
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from modelway.components.core.checks import Verdict
from modelway.components.core.errors import CrashError, ModelwayError
from modelway.components.core.evidence.runs import Outcome, State
from modelway.pipelines.local.runner import Event, LocalResult

if TYPE_CHECKING:
    from modelway.pipelines.compile_checks.project import Problem
    from modelway.pipelines.drill.drill import Caught

_COLOUR = {Verdict.PASSED: "green", Verdict.FAILED: "red", Verdict.INCONCLUSIVE: "yellow"}


class Progress:
    """Shows each stage as it runs, on standard error.

    Args:
        verbose: Also print every line that the stages log.
    """

    def __init__(self, *, verbose: bool) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.verbose = verbose
        columns = (progress.SpinnerColumn(), progress.TextColumn("{task.description}"), progress.TimeElapsedColumn())
        self._bar = progress.Progress(*columns, console=self.console, transient=True)
        self._task = self._bar.add_task("checking the project and warming up")
        self._bar.start()
        self._started = time.perf_counter()

    def __call__(self, event: Event) -> None:
        """Takes note of an event."""
        if event.kind == "damaged":
            self.console.print(f"  [yellow]![/yellow] {escape(event.text)}", soft_wrap=True)
        elif event.kind == "started":
            self._bar.reset(self._task, description=event.stage)
        elif event.kind == "log":
            if self.verbose:
                self.console.print(f"  [dim]{escape(event.text)}[/dim]")
        elif event.kind == "cached":
            self.console.print(f"  [green]✓[/green] {event.stage:<18} [dim]cached[/dim]")
        else:
            mark = "[green]✓[/green]" if event.kind == "finished" else "[red]✗[/red]"
            self.console.print(f"  {mark} {event.stage:<18} {event.seconds:5.2f} s")
            self._bar.reset(self._task, description="…")

    def stop(self) -> float:
        """Takes the spinner away; returns the seconds since the start."""
        self._bar.stop()
        return time.perf_counter() - self._started


def summary(result: LocalResult, seconds: float) -> dict[str, Any]:
    """The run as one JSON object: `run`, `state`, `verdicts`, `model`, `reports`, `seconds` by stage, and the rest."""
    outcome = result.outcome
    found: dict[str, Any] = {
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
        found["error"] = {"stage": result.failed_stage, **result.error.fields()}
    return found


def _warnings(outcome: Outcome | None) -> list[str]:
    """What is inconclusive and does not block."""
    gates = outcome.gates if outcome else ()
    return [
        f"{check.name}: {check.message}"
        for gate in gates
        for check in gate.checks
        if check.verdict is Verdict.INCONCLUSIVE and not check.blocks
    ]


def print_summary(result: LocalResult, seconds: float, *, tracking: str) -> None:
    """Prints the run's gates, reasons, model and reports for people."""
    console = Console(highlight=False)
    outcome = result.outcome
    if outcome is not None and outcome.gates:
        table = Table(box=None, pad_edge=False)
        for title, justify in (
            ("gate", "left"),
            ("verdict", "left"),
            ("passed", "right"),
            ("failed", "right"),
            ("inconclusive", "right"),
        ):
            table.add_column(title, justify=justify)  # type: ignore[arg-type]
        for gate in outcome.gates:
            counts = gate.counts()
            colour = _COLOUR[gate.verdict]
            table.add_row(gate.name, f"[{colour}]{gate.verdict}[/{colour}]", *(str(counts[one]) for one in Verdict))
        console.print()
        console.print(table)
    if outcome is not None:
        for warning in _warnings(outcome)[:5]:
            console.print(f"  [yellow]![/yellow] {escape(warning)}")
        for reason in outcome.reasons[:10]:
            console.print(f"  [red]✗[/red] {escape(reason)}")
        if len(outcome.reasons) > 10:
            console.print(f"    and {len(outcome.reasons) - 10} more, in the report")
    console.print()
    if result.error is not None:
        print_error(result.error)
    if outcome is not None and outcome.model is not None:
        model = outcome.model
        held = f"now {model.alias!r}" if model.alias else "as an earlier run registered it; no alias moved"
        name = f"[bold]{escape(model.name)}[/bold]"
        console.print(f"[green]registered[/green] {name} version {model.version}, {escape(held)}")
    elif outcome is not None and outcome.state is State.REJECTED:
        console.print(f"[red]rejected[/red]: nothing was registered for {escape(outcome.project)}")
    for name, report in (outcome.reports if outcome else {}).items():
        console.print(f"  {name + ' report' * (name != 'card'):<14} {escape(_short(report))}", soft_wrap=True)
    if outcome is not None:
        console.print(f"  {'run':<14} {escape(outcome.run)}, {seconds:.1f} s")
        console.print(f"  {'tracking':<14} {escape(_short(tracking))}", soft_wrap=True)


def _short(path: str) -> str:
    """A path as one would type it here, that of a sqlite database too; any other URI as it is."""
    if path.startswith("sqlite:///"):
        return f"sqlite:///{_short(path.removeprefix('sqlite:///'))}"
    return path if "://" in path else min(path, os.path.relpath(path), key=len)


def print_problems(problems: Sequence[Problem]) -> None:
    """Prints what is wrong with what was compiled, on standard error."""
    for problem in problems:
        print_error(problem.error, severity=problem.severity)


def print_error(error: ModelwayError, *, severity: Literal["error", "warning"] = "error") -> None:
    """Prints an error for people, on standard error; a crash in one line."""
    console = Console(stderr=True, highlight=False)
    if isinstance(error, CrashError):
        line = f"{error.message}; {error.remedy}: {error.file}"
        console.print(f"[bold red]error[/bold red]: {escape(line)}", soft_wrap=True)
        return
    colour = "red" if severity == "error" else "yellow"
    console.print(f"[bold {colour}]{severity}[/bold {colour}]: {escape(error.message)}", soft_wrap=True)
    for name, value in error.details().items():
        console.print(f"  [dim]{name:<7}[/dim] {escape(value)}", soft_wrap=True)


def print_json(content: object) -> None:
    """Prints one JSON object on standard output."""
    Console(highlight=False, soft_wrap=True).out(json.dumps(content, indent=2, ensure_ascii=False), highlight=False)


def exit_code(outcome: Outcome) -> int:
    """What a command about a run exits with: 0 it went as it was meant to, 1 a judged no, 2 it did not get there."""
    if outcome.state in {State.FAILED, State.STOPPED}:
        return 2
    if outcome.state in {State.REGISTERED, State.PROMOTED}:
        return 0 if not outcome.error else 1 if outcome.deployment is not None else 2
    return 1


def print_resolution(inputs: dict[str, str], arguments: dict[str, str]) -> None:
    """Prints what a run would work on, and what to submit it with."""
    console = Console(highlight=False)
    lines = {
        "data's version": inputs["source_version"],
        "champion": inputs["champion"] or "none to compare with",
        "code": inputs["code_version"],
        "waivers as of": inputs["as_of"] or "no waivers",
    }
    for title, value in lines.items():
        console.print(f"  {title:<16} {escape(value)}", soft_wrap=True)
    for note in inputs["notes"].splitlines():
        console.print(f"  [yellow]![/yellow] {escape(note)}", soft_wrap=True)
    console.print("a release is submitted with")
    for name, value in arguments.items():
        console.print(f"  {name:<16} {escape(value)}", soft_wrap=True)


def print_written(files: list[Path], what: str) -> None:
    """Prints which files were written."""
    console = Console(highlight=False)
    for file in files:
        console.print(f"  {escape(str(file))}", soft_wrap=True)
    console.print(escape(what))


def print_explanation(sentences: list[str], state: State) -> None:
    """Prints why a run's model was or was not blessed."""
    console = Console(highlight=False)
    colour = "green" if state in {State.REGISTERED, State.PROMOTED} else "red"
    console.print(f"[{colour}]{escape(sentences[0])}[/{colour}]", soft_wrap=True)
    for sentence in sentences[1:]:
        console.print(f"  - {escape(sentence)}", soft_wrap=True)


class DrillProgress:
    """Shows how far a drill is, on standard error.

    Args:
        steps: How many runs there will be.
    """

    def __init__(self, steps: int) -> None:
        self._bar = progress.Progress(console=Console(stderr=True, highlight=False), transient=True)
        self._task = self._bar.add_task("clean run", total=steps)
        self._bar.start()
        self._started = time.perf_counter()

    def __call__(self, result: Caught) -> None:
        """Takes note of a finished run."""
        mark = "[green]✓[/green]" if result.caught else "[red]✗[/red]"
        self._bar.console.print(f"  {mark} {result.fault}")
        self._bar.update(self._task, advance=1, description=f"after {result.fault}")

    def stop(self) -> float:
        """Takes the bar away; returns the seconds since the start."""
        self._bar.stop()
        return time.perf_counter() - self._started


def print_drill(results: list[Caught], seconds: float) -> None:
    """Prints which gate caught each fault."""
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    for title in ("fault", "meant for", "caught by", "checks", ""):
        table.add_column(title)
    for one in results:
        shown = ", ".join(one.checks[:2]) + (f" and {len(one.checks) - 2} more" if len(one.checks) > 2 else "")
        mark = "[green]✓[/green]" if one.caught else "[red]✗[/red]"
        table.add_row(one.fault, one.expected_gate or "none", one.caught_by or "none", escape(shown), mark)
    console.print(table)
    missed = [one.fault for one in results if not one.caught]
    faults = len(results) - 1
    told = f"{faults - len([one for one in results[1:] if not one.caught])} of {faults} faults caught, {seconds:.0f} s"
    console.print(
        f"[green]{told}; the clean run passes[/green]" if not missed else f"[red]{told}: {', '.join(missed)}[/red]"
    )
