"""What the commands about live versions print for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from modelway.pipelines.cli.output import print_json

if TYPE_CHECKING:
    from modelway.components.deploy.result import DeployResult
    from modelway.components.package.stage import Packaged


def say(text: str) -> None:
    """Prints a line."""
    Console(highlight=False).print(escape(text), soft_wrap=True)


def progress(line: str) -> None:
    """Prints a line of progress, on standard error."""
    Console(stderr=True, highlight=False).print(f"  [dim]{escape(line)}[/dim]", soft_wrap=True)


def print_packaged(made: Packaged) -> None:
    """Prints what a version was packaged as."""
    say(f"{made.release.name} version {made.release.version}: {made.image}")
    served = "ONNX Runtime" if made.release.onnx else "its pipeline"
    sealed = ", encrypted" if made.sealed else ""
    say(f"  {made.layer_bytes / 1e6:,.1f} MB on the base, served by {served}{sealed}, signed")
    say(f"  {made.conversion}")


def print_approval(approval: dict[str, Any], refusals: list[str]) -> None:
    """Prints an approval, and what is missing still."""
    say(
        f"{approval['by']} approves version {approval['version']} of {approval['model']} for "
        f"{approval['environment']} until {approval['until'][:10]} (blessing {approval['blessing_sha256'][:12]})"
    )
    _print_refusals(refusals, "nothing keeps it from going there now")


def print_check(found: dict[str, Any]) -> None:
    """Prints whether a version may go to an environment."""
    serves = f", which serves version {found['serves']}" if found["serves"] else ", which serves nothing yet"
    say(f"version {found['version']} of {found['model']} to {found['environment']}{serves}")
    for one in found["approvals"]:
        say(f"  {one['by']} approves until {one['until'][:10]}: {one['reason']}")
    _print_refusals(found["refusals"], "it may go there")


def _print_refusals(refusals: list[str], otherwise: str) -> None:
    console = Console(highlight=False)
    for refusal in refusals:
        console.print(f"  [red]✗[/red] {escape(refusal)}", soft_wrap=True)
    if not refusals:
        console.print(f"  [green]✓[/green] {otherwise}", soft_wrap=True)


def print_deployed(deployed: DeployResult, *, as_json: bool) -> None:
    """Prints how a promotion or a rollback ended."""
    if as_json:
        print_json(deployed.json())
        return
    console = Console(highlight=False)
    colour = "green" if deployed.live else "red"
    console.print(
        f"[{colour}]{deployed.status}[/{colour}] [bold]{escape(deployed.model)}[/bold] version {deployed.version} in "
        f"{deployed.environment}, {deployed.seconds:.0f} s",
        soft_wrap=True,
    )
    for reason in deployed.reasons:
        console.print(f"  [{colour}]-[/{colour}] {escape(reason)}", soft_wrap=True)
    for key in ("image", "replaced", "restored"):
        if value := deployed.json()[key]:
            console.print(f"  {key:<9} {escape(value)}", soft_wrap=True)


def print_history(model: str, served: list[dict[str, Any]]) -> None:
    """Prints what each environment served when, the newest first."""
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, title=f"{escape(model)}: what was served", title_justify="left")
    for title in ("environment", "version", "since", "until", "why"):
        table.add_column(title)
    for one in served:
        until = _minute(one["until"]) if one["until"] else "now"
        why = escape(" ".join(one["why"]))
        table.add_row(one["environment"], one["version"], _minute(one["since"]), until, why)
    console.print(table if served else f"no environment served {escape(model)}")


def print_verified(found: dict[str, Any]) -> None:
    """Prints whether the audit log is whole."""
    broken, console = found["broken"], Console(highlight=False)
    if broken is None:
        seen = ", ".join(f"{escape(model)} up to {number}" for model, number in found["witnessed"].items())
        console.print(f"[green]whole[/green]: {found['entries']} entries" + (f"; the registry saw {seen}" * bool(seen)))
    else:
        console.print(f"[red]broken[/red] at entry {broken['number']}: {escape(broken['reason'])}", soft_wrap=True)
        console.print(f"  [dim]file[/dim]    {escape(broken['file'])}", soft_wrap=True)


def print_log(entries: list[dict[str, Any]]) -> None:
    """Prints entries of the audit log."""
    table = Table(box=None, pad_edge=False)
    for title in ("number", "at", "event", "version", "environment", "by", "details"):
        table.add_column(title)
    for one in entries:
        details = escape(", ".join(f"{name}: {value}" for name, value in one["details"].items()))
        about = (one["event"], one["version"], one["environment"], escape(one["actor"]))
        table.add_row(str(one["number"]), _minute(one["at"]), *about, details)
    Console(highlight=False).print(table if entries else "the audit log is empty")


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")
