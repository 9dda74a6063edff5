"""What several commands print, for people or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.markup import escape

from modelway.components.core.errors import CrashError, ModelwayError
from modelway.components.core.evidence.runs import Outcome, State

if TYPE_CHECKING:
    from modelway.components.core.audit.chain import Entry
    from modelway.components.deploy.result import DeployResult


def print_json(content: object) -> None:
    """Prints one JSON object on standard output."""
    Console(highlight=False, soft_wrap=True).out(json.dumps(content, indent=2, ensure_ascii=False), highlight=False)


def print_line(text: str) -> None:
    """Prints a line."""
    Console(highlight=False).print(escape(text), soft_wrap=True)


def print_progress(line: str) -> None:
    """Prints a line of progress, on standard error."""
    Console(stderr=True, highlight=False).print(f"  [dim]{escape(line)}[/dim]", soft_wrap=True)


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


def print_written(files: Sequence[Path], note: str) -> None:
    """Prints which files were written, and a note."""
    for file in files:
        print_line(f"  {file}")
    print_line(note)


def print_blockers(blockers: Sequence[str], otherwise: str) -> None:
    """Prints why a version may not be promoted, a line each; or a line that says that it may."""
    console = Console(highlight=False)
    for blocker in blockers:
        console.print(f"  [red]✗[/red] {escape(blocker)}", soft_wrap=True)
    if not blockers:
        console.print(f"  [green]✓[/green] {otherwise}", soft_wrap=True)


def print_deploy_result(result: DeployResult, *, as_json: bool) -> None:
    """Prints how a promotion or a rollback ended."""
    if as_json:
        print_json(result.json())
        return
    console = Console(highlight=False)
    colour = "green" if result.live else "red"
    console.print(
        f"[{colour}]{result.status}[/{colour}] [bold]{escape(result.model)}[/bold] version {result.version} in "
        f"{result.environment}, {result.seconds:.0f} s",
        soft_wrap=True,
    )
    for reason in result.reasons:
        console.print(f"  [{colour}]-[/{colour}] {escape(reason)}", soft_wrap=True)
    for name, value in (
        ("image", result.image),
        ("replaced", result.replaced_version),
        ("restored", result.restored_image),
    ):
        if value:
            console.print(f"  {name:<9} {escape(value)}", soft_wrap=True)


def entry_as_json(entry: Entry) -> dict[str, Any]:
    """An entry of the audit log, for ``--json`` output."""
    return {**entry.model_dump(exclude={"nonce"}), "sha256": entry.sha256()}


def to_minute(time: str) -> str:
    """A time in ISO 8601, to the minute."""
    return time[:16].replace("T", " ")


def exit_code(outcome: Outcome) -> int:
    """The exit code of a command about a run: 0 it reached its goal, 1 a judged no, 2 it failed or was stopped."""
    if outcome.state in {State.FAILED, State.STOPPED}:
        return 2
    if outcome.state in {State.REGISTERED, State.PROMOTED}:
        return 0 if not outcome.error else 1 if outcome.deployment is not None else 2
    return 1
