"""`modelway audit`: the audit log, its entries, whether its chain holds, and which entries MLflow witnesses."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from modelway.components.core.audit.chain import Entry
from modelway.components.core.audit.environments import environment_named
from modelway.components.core.audit.log import HEAD_DIGITS
from modelway.components.core.audit.people import check_name
from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.audit.witness import VerifiedLog
from modelway.components.core.errors import ModelwayError
from modelway.pipelines.cli.options import Context, Home, Project, Reason, Store, by_option
from modelway.pipelines.cli.output import Answer, Console, entry_as_json, escape, print_error, print_line, to_minute

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
    name = environment_named(environment) if environment else ""
    entries = log_entries(Context.load(project, home, store=store).model, environment=name, last=last)
    return Answer(entries, lambda: _print_entries(entries, about=name))


@app.command()
def witness(
    reason: Reason,
    by: Annotated[str | None, by_option("accepts the entries")] = None,
    head: Annotated[
        str, typer.Option(help="Accept the entries up to this one, the last that was listed: its hash's first digits.")
    ] = "",
    project: Project = None,
    home: Home = None,
    store: Store = None,
) -> Answer:
    """Lists the entries that MLflow does not witness, and with --head lets it witness them: they count from then on.

    Exits with 0 if all entries are witnessed now, 1 if some are only listed, 2 on an error.
    """
    context = Context.load(project, home, store=store, by=by)
    result = accept_entries(context.model, head=head, by=context.by, reason=reason)
    return Answer(
        result, lambda: _print_acceptance(result), 0 if result["accepted"] or not result["unwitnessed"] else 1
    )


def verify_log(model: RegisteredModel) -> dict[str, Any]:
    """Verifies every link of a model's audit log, and compares its head with the one kept in the model registry.

    Returns:
        ``whole``, ``entries`` (how many), ``head``, ``witnessed`` (up to which entry, by model), ``unwitnessed`` (the
        numbers of the entries after these; none if the log is broken), and ``broken``: the first broken link's
        ``number``, ``file`` and ``reason``, or None.
    """
    audit_log = model.audit_log
    broken, anchors = audit_log.verify(model.name), audit_log.anchors(model.name)
    unwitnessed = [entry.number for entry in model.verified_log().unwitnessed] if broken is None else []
    return {
        "whole": broken is None,
        "entries": audit_log.count(),
        "head": audit_log.head().sha256 if broken is None else None,
        "witnessed": anchors,
        "unwitnessed": unwitnessed,
        "broken": None if broken is None else {"number": broken.number, "file": broken.file, "reason": broken.reason},
    }


def log_entries(model: RegisteredModel, *, environment: str = "", last: int = 0) -> list[dict[str, Any]]:
    """The entries about a registered model, the oldest first, or only the last so many about an environment.

    Returns:
        The fields of each entry, its ``sha256``, and whether it is ``witnessed``.

    Raises:
        BrokenLogError: a link is broken.
    """
    log = model.verified_log()
    entries = [
        _entry_as_json(entry, log)
        for entry in log.entries
        if entry.model == model.name and environment in {"", entry.environment}
    ]
    return entries[-last:] if last else entries


def accept_entries(model: RegisteredModel, *, head: str, by: str, reason: str) -> dict[str, Any]:
    """Lists the entries of a store's audit log that are not witnessed, and accepts them.

    Args:
        model: The registered model.
        head: The first digits, at least 16, of the SHA-256 of the last entry to accept; empty: none is accepted.
        by: Who accepts them.
        reason: Why.

    Returns:
        ``unwitnessed`` (the entries, of all models), ``head`` (the last entry's hash), and ``accepted``: the entry that
        says so, or None.

    Raises:
        BrokenLogError: a link is broken: nothing is accepted.
        HeadMovedError: the log has another head.
        ModelwayError: the reason or the name says nothing, or MLflow did not take the new head.
    """
    by = check_name(by, "by")
    if not reason.strip():
        raise ModelwayError("accepting entries needs a reason", key="reason", remedy="say why")
    log = model.verified_log()
    entries = [_entry_as_json(entry, log) for entry in log.unwitnessed]
    result: dict[str, Any] = {"unwitnessed": entries, "head": log.head.sha256, "accepted": None}
    if entries and head:
        accepted = model.audit_log.accept_unwitnessed(head, model=model.name, actor=by, reason=reason.strip())
        result["accepted"] = entry_as_json(accepted)
    return result


def _entry_as_json(entry: Entry, log: VerifiedLog) -> dict[str, Any]:
    return {**entry_as_json(entry), "witnessed": entry.number <= log.witnessed}


def _print_acceptance(result: dict[str, Any]) -> None:
    entries, accepted = result["unwitnessed"], result["accepted"]
    if not entries:
        print_line("MLflow witnesses all entries of the audit log")
        return
    _print_entries(entries)
    if accepted is not None:
        print_line(
            f"{accepted['actor']} accepted these entries: MLflow witnesses the audit log up to {accepted['number']}"
        )
    else:
        print_line(
            "These entries do not count, and nothing was changed. Ask the people that they name. If each is genuine, "
            f"run this again with --head {result['head'][:HEAD_DIGITS]}"
        )


def _print_result(result: dict[str, Any]) -> None:
    broken, console = result["broken"], Console(soft_wrap=True)
    if broken is None:
        anchors = "".join(
            f"; the model registry confirms {escape(model)} up to entry {number}"
            for model, number in result["witnessed"].items()
        )
        console.print(f"[green]whole[/green]: {result['entries']} entries{anchors}")
        if numbers := result["unwitnessed"]:
            warning = f"entries that MLflow does not witness, so that they do not count: {', '.join(map(str, numbers))}"
            remedy = "`modelway audit witness --reason …` lists them, and accepts them if they are genuine"
            print_error(ModelwayError(warning, remedy=remedy), severity="warning")
    else:
        console.print(f"[red]broken[/red] at entry {broken['number']}: {escape(broken['reason'])}")
        console.print(f"  [dim]file[/dim]    {escape(broken['file'])}")


def _print_entries(entries: list[dict[str, Any]], *, about: str = "") -> None:
    """Prints a line for each entry, however long, so that it can be searched and cut; empty details are left out."""
    widths = {name: max((len(entry[name]) for entry in entries), default=0) for name in ("event", "environment")}
    for entry in entries:
        details = "  ".join(f"{name}={value}" for name, value in entry["details"].items() if value)
        columns = [to_minute(entry["at"]), *(entry[name].ljust(width) for name, width in widths.items())]
        version = f"version {entry['version']}" if entry["version"] else ""
        mark = "" if entry["witnessed"] else "  not witnessed"
        columns += [version, f"{entry['actor']}{mark}", details]
        print_line(f"{entry['number']:>4}  {'  '.join(columns)}".rstrip())
    if not entries:
        print_line(f"the audit log has no entry about {about}" if about else "the audit log is empty")
