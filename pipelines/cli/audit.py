"""`modelway audit`: the audit log, its entries and whether its chain holds."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.pipelines.cli.options import Context, Home, Project, Store
from modelway.pipelines.cli.output import Answer, Console, entry_as_json, escape, to_minute

app = typer.Typer(help="The audit log: what was registered, approved, deployed and undone.", no_args_is_help=True)


@app.command()
def verify(project: Project = None, home: Home = None, store: Store = None) -> Answer:
    """Verifies the chain of the audit log and names the first broken link; exits with 1 if there is one."""
    result = verify_log(Context.load(project, home, store=store).model)
    return Answer(result, lambda: _print_result(result), 0 if result["whole"] else 1)


@app.command()
def log(
    environment: Annotated[str, typer.Option(help="Only entries about this environment.")] = "",
    last: Annotated[int, typer.Option(help="Only the last so many entries; 0: all.")] = 0,
    project: Project = None,
    home: Home = None,
    store: Store = None,
) -> Answer:
    """Prints the audit log's entries about the project's model, the oldest first."""
    entries = log_entries(Context.load(project, home, store=store).model, environment=environment, last=last)
    return Answer(entries, lambda: _print_entries(entries))


def verify_log(model: RegisteredModel) -> dict[str, Any]:
    """Verifies every link of a model's audit log, and compares its head with the one kept in the model registry.

    Returns:
        ``whole``, ``entries`` (how many), ``head``, ``witnessed`` (up to which entry, by model), and ``broken``: the
        first broken link's ``number``, ``file`` and ``reason``, or None.
    """
    audit_log = model.audit_log
    broken, witness = audit_log.verify(model.name), audit_log.anchored_head(model.name)
    return {
        "whole": broken is None,
        "entries": audit_log.count(),
        "head": audit_log.head().sha256 if broken is None else None,
        "witnessed": {} if witness is None else {model.name: witness.number},
        "broken": None if broken is None else {"number": broken.number, "file": broken.file, "reason": broken.reason},
    }


def log_entries(model: RegisteredModel, *, environment: str = "", last: int = 0) -> list[dict[str, Any]]:
    """The entries about a registered model, the oldest first, or only the last so many about an environment.

    Raises:
        BrokenLogError: a link is broken.
    """
    entries = [
        entry_as_json(entry)
        for entry in model.verified_entries()
        if entry.model == model.name and environment in {"", entry.environment}
    ]
    return entries[-last:] if last else entries


def _print_result(result: dict[str, Any]) -> None:
    broken, console = result["broken"], Console(soft_wrap=True)
    if broken is None:
        anchors = "".join(
            f"; the model registry confirms {escape(model)} up to entry {number}"
            for model, number in result["witnessed"].items()
        )
        console.print(f"[green]whole[/green]: {result['entries']} entries{anchors}")
    else:
        console.print(f"[red]broken[/red] at entry {broken['number']}: {escape(broken['reason'])}")
        console.print(f"  [dim]file[/dim]    {escape(broken['file'])}")


def _print_entries(entries: list[dict[str, Any]]) -> None:
    table = Table("number", "at", "event", "version", "environment", "by", "details", box=None, pad_edge=False)
    for entry in entries:
        details = escape(", ".join(f"{name}: {value}" for name, value in entry["details"].items()))
        about = (entry["event"], entry["version"], entry["environment"], escape(entry["actor"]))
        table.add_row(str(entry["number"]), to_minute(entry["at"]), *about, details)
    Console().print(table if entries else "the audit log is empty")
