"""What several commands print, for people or as JSON."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

import rich.console
from rich import markup

from modelway.components.core.audit.identity import IDENTITY, PROOF, recorded_identity
from modelway.components.core.errors import CrashError, InterruptionError, ModelwayError, os_error
from modelway.components.core.evidence.runs import Outcome, State
from modelway.components.core.report.text import printable

if TYPE_CHECKING:
    from modelway.components.core.audit.chain import Entry
    from modelway.components.deploy.result import DeployResult


STANDARD_OUTPUT = "standard output"  # as the file of an error


@dataclass(frozen=True)
class Answer:
    """What a command prints, and how it exits.

    Attributes:
        content: What is printed with ``--json``, as one object.
        print_for_people: Prints it without.
        exit_code: The command's exit code.
    """

    content: object
    print_for_people: Callable[[], None]
    exit_code: int = 0

    def print(self, *, as_json: bool) -> None:
        """Prints the answer as JSON or for people; a reader who has gone, such as `head`, misses the rest of it.

        Raises:
            ModelwayError: standard output cannot be written to.
        """
        try:
            if as_json:
                print_json(self.content)
            else:
                self.print_for_people()
            sys.stdout.flush()
        except BrokenPipeError:
            discard_output()
        except OSError as error:
            discard_output()  # what is left to print would fail at the end again
            raise os_error(error, STANDARD_OUTPUT, deed="written") or error from error


class Console(rich.console.Console):
    """A terminal or file to print to, on which nothing is highlighted; what nobody reads any more goes nowhere."""

    def __init__(self, *, stderr: bool = False, soft_wrap: bool = False, markup: bool = True) -> None:
        super().__init__(stderr=stderr, highlight=False, soft_wrap=soft_wrap, markup=markup)

    def on_broken_pipe(self) -> None:
        """Goes on without a reader, such as `head`, where rich would end the program."""
        discard_output(stderr=self.stderr)


def discard_output(*, stderr: bool = False) -> None:
    """Discards what is printed on standard output from now on, or on standard error: its reader has gone."""
    stream = sys.stderr if stderr else sys.stdout
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def prepare_output() -> None:
    """Has characters that the terminal's encoding lacks printed as escapes, where Python would raise."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not _is_unicode(stream):
            stream.reconfigure(errors="backslashreplace")


def _is_unicode(stream: TextIO) -> bool:
    return (stream.encoding or "").lower().replace("-", "").startswith("utf")


def print_json(content: object) -> None:
    """Prints one JSON object on standard output."""
    text = printable(json.dumps(content, indent=2, ensure_ascii=not _is_unicode(sys.stdout)))
    Console(soft_wrap=True).out(text, highlight=False)


def escape(text: str) -> str:
    """A text as it is to be read on a terminal: no markup, no escape sequences, no marks of direction."""
    return markup.escape(printable(text))


def print_line(text: str) -> None:
    """Prints a line."""
    Console().print(escape(text), soft_wrap=True)


def print_progress(line: str) -> None:
    """Prints a line of progress, on standard error."""
    Console(stderr=True).print(f"  [dim]{escape(line)}[/dim]", soft_wrap=True)


def print_error(error: ModelwayError, *, severity: Literal["error", "warning"] = "error") -> None:
    """Prints an error for people, on standard error; a crash or an interruption in one line."""
    console = Console(stderr=True, soft_wrap=True)
    if isinstance(error, CrashError):
        line = f"{error.message}; {error.remedy}: {error.file}"
        console.print(f"[bold red]error[/bold red]: {escape(line)}")
        return
    if isinstance(error, InterruptionError):
        console.print(f"[yellow]{escape(error.message)}[/yellow]; {escape(error.remedy)}")
        return
    colour = "red" if severity == "error" else "yellow"
    console.print(f"[bold {colour}]{severity}[/bold {colour}]: {escape(error.message)}")
    for name, value in error.details().items():
        console.print(f"  [dim]{name:<7}[/dim] {escape(value)}")


def written(files: Sequence[Path], note: str, **more: object) -> Answer:
    """The answer of a command that wrote files: their paths and a note, or with ``--json`` the paths and more."""
    return Answer({"files": [str(file) for file in files], **more}, lambda: print_written(files, note))


def print_written(files: Sequence[Path], note: str) -> None:
    """Prints which files were written, and a note."""
    for file in files:
        print_line(f"  {file}")
    print_line(note)


def print_blockers(blockers: Sequence[str], otherwise: str) -> None:
    """Prints why a version may not be promoted, a line each; or a line that says that it may."""
    console = Console(soft_wrap=True)
    for blocker in blockers:
        console.print(f"  [red]✗[/red] {escape(blocker)}")
    if not blockers:
        console.print(f"  [green]✓[/green] {otherwise}")


def print_note(text: str, *, on_stderr: bool = False) -> None:
    """Prints what somebody should know before they decide."""
    Console(stderr=on_stderr, soft_wrap=True).print(f"  [yellow]![/yellow] {escape(text)}")


def deploy_answer(result: DeployResult) -> Answer:
    """How a promotion or a rollback ended; 1 unless the version serves now."""
    return Answer(result.json(), lambda: _print_deploy_result(result), 0 if result.live else 1)


def _print_deploy_result(result: DeployResult) -> None:
    console = Console(soft_wrap=True)
    colour = "green" if result.live else "red"
    is_way_back = result.status == "rolled-back" and result.replaced_version
    way = f"from version {result.replaced_version} to " if is_way_back else ""
    console.print(
        f"[{colour}]{result.status}[/{colour}] [bold]{escape(result.model)}[/bold] {way}version {result.version} in "
        f"{result.environment}, {result.seconds:.0f} s"
    )
    for reason in result.reasons:
        console.print(f"  [{colour}]-[/{colour}] {escape(reason)}")
    versions = {"image": result.image, "replaced": result.replaced_version, "restored": result.restored_image}
    for name, value in versions.items():
        if value:
            console.print(f"  {name:<9} {escape(value)}")


def entry_as_json(entry: Entry) -> dict[str, Any]:
    """An entry of the audit log, for ``--json`` output; says whose an approval's identity is, without the token."""
    content = {**entry.model_dump(exclude={"nonce": True, "details": {PROOF}}), "sha256": entry.sha256()}
    if entry.event in {"approved", "withdrawn"}:
        content["details"][IDENTITY] = recorded_identity(entry.details)
    return content


def to_minute(time: str) -> str:
    """A time in ISO 8601, to the minute."""
    return time[:16].replace("T", " ")


def exit_code(outcome: Outcome) -> int:
    """The exit code of a command about a run: 0 it reached its goal, 1 a judged no, 2 it failed or did not end."""
    if outcome.state in {State.FAILED, State.STOPPED, State.INTERRUPTED}:
        return 2
    if outcome.state in {State.REGISTERED, State.PROMOTED}:
        return 0 if not outcome.error else 1 if outcome.deployment is not None else 2
    return 1
