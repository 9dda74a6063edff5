"""`modelway doctor`: whether all that a project needs is there and works."""

from __future__ import annotations

from typing import Annotated

import typer

from modelway.components.core.surroundings.findings import Finding, Status
from modelway.components.core.surroundings.findings import as_json as findings_json
from modelway.pipelines.cli.options import (
    BASE,
    TARGET,
    Folder,
    Home,
    Insecure,
    Store,
    home_of,
    project_folder,
    store_of,
)
from modelway.pipelines.cli.output import Answer, Console, escape
from modelway.pipelines.project.workspace import Workspace

_COLOURS = {
    Status.MISSING: "red",
    Status.REFUSED: "red",
    Status.UNREACHABLE: "red",
    Status.UNKNOWN: "yellow",
    Status.UNSET: "dim",
    Status.OK: "green",
}


def doctor(
    project: Folder = None,
    store: Store = None,
    *,
    home: Home = None,
    namespace: Annotated[
        str | None,
        typer.Option(help="The namespace of the runs on the cluster. Default: kubeflow, if the cluster has it."),
    ] = None,
    base: Annotated[str, BASE] = "",
    target: Annotated[str, TARGET] = "",
    insecure: Insecure = False,
) -> Answer:
    """Checks that all that the project needs is there, from MLflow and S3 to the cluster, and names remedies.

    Exits with 0 if all that is configured works, 2 if something is missing, refuses access or cannot be reached.
    """
    from modelway.pipelines.doctor.doctor import diagnose

    folder = project_folder(project)
    home = home_of(folder, home)
    findings = diagnose(
        Workspace.load(folder),
        home,
        store=store_of(store, home),
        namespace=namespace,
        base=base,
        target=target,
        insecure=insecure,
    )
    code = 2 if any(finding.status.blocks for finding in findings) else 0
    return Answer(findings_json(findings), lambda: _print(findings), code)


def _print(findings: list[Finding]) -> None:
    """Prints a line for each finding, the worst first, with its remedy below it."""
    printer = Console(soft_wrap=True)  # so that commands can be copied
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        colour, subject = _COLOURS[finding.status], f"{finding.subject:<{width}}"
        printer.print(f"[{colour}]{finding.status:<14}[/{colour}]  {escape(subject)}  {escape(finding.message)}")
        if finding.remedy:
            printer.print(f"    [dim]remedy: {escape(finding.remedy)}[/dim]")
    problems = sum(finding.status.blocks for finding in findings)
    printer.print(
        f"[red]{problems} of {len(findings)} must be fixed[/red]"
        if problems
        else "[green]all that is configured works[/green]"
    )
