"""The commands from a blessed version to live traffic: keys, package, approve, promote, roll back, history, audit."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from modelway.components.core.audit.environments import environment_named
from modelway.pipelines.cli import governance
from modelway.pipelines.cli import live_output as live_console
from modelway.pipelines.cli import output as console
from modelway.pipelines.cli.options import BASE, TARGET, By, Home, Json, Project, Store, desk, project_folder
from modelway.pipelines.project.workspace import Workspace

app = typer.Typer(no_args_is_help=True)
audit = typer.Typer(help="The audit log: what was registered, approved, deployed and undone.", no_args_is_help=True)
app.add_typer(audit, name="audit")

Version = Annotated[str, typer.Argument(help="The version's number, or an alias such as development or challenger.")]
To = Annotated[str, typer.Option("--to", help="The environment: staging or production.")]
Reason = Annotated[str, typer.Option("--reason", "-m", help="Why; it is kept in the audit log.")]
Insecure = Annotated[bool, typer.Option("--insecure", help="Speak plain HTTP to the registry.")]


@app.command()
def keys(
    folder: Annotated[Path, typer.Argument(help="Where the keys go.")] = Path("keys"), as_json: Json = False
) -> None:
    """Makes the keys that releases are signed with, verified by and, if you like, encrypted with."""
    from modelway.components.core.bundle.encryption import new_identity
    from modelway.components.core.bundle.signing import new_keys

    files = [folder / name for name in ("signing.pem", "verifying.pem", "encryption.key", "encryption.recipient")]
    signing, verifying, identity, recipient = files
    folder.mkdir(parents=True, exist_ok=True)
    new_keys(signing, verifying)
    new_identity(identity, recipient)
    if as_json:
        console.print_json({"files": [str(path) for path in files]})
    else:
        console.print_written(
            files,
            "keep signing.pem and encryption.key secret. Packaging needs signing.pem as MODELWAY_SIGNING_KEY and, to "
            "encrypt, encryption.recipient as MODELWAY_ENCRYPTION_RECIPIENT; a server needs verifying.pem as "
            "MODELWAY_VERIFYING_KEY and, to decrypt, encryption.key as MODELWAY_ENCRYPTION_KEY",
        )


@app.command()
def package(
    version: Version,
    base: Annotated[str, BASE],
    target: Annotated[str, TARGET],
    project: Project = None,
    home: Home = None,
    store: Store = None,
    platform: Annotated[str, typer.Option(help="The image's platform.")] = "linux/amd64",
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Makes a blessed version a signed OCI image, without a daemon, and prints its digest."""
    from modelway.components.package.stage import package as make

    at = desk(project, home, store=store)
    sys.path.append(str(at.workspace.folder))  # where a pickled model's own modules are
    with TemporaryDirectory() as work:
        result = make(
            at.model.version_named(version),
            base=base,
            target=target,
            bundle_path=f"{work}/bundle",
            platform=platform,
            insecure=insecure,
        )
    if as_json:
        console.print_json({name: value for name, value in asdict(result).items() if name != "sbom"})
    else:
        live_console.print_packaged(result)


@app.command()
def approve(
    version: Version,
    to: To,
    reason: Reason,
    by: By = None,
    until: Annotated[str, typer.Option(help="When it ends, ISO 8601; as late as the policy lets it.")] = "",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take the approval back.")] = False,
    project: Project = None,
    home: Home = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Approves that a version goes to an environment: by name, with a reason, until a day, for this very blessing."""
    at = desk(project, home, store=store, by=by)
    model_version, environment = at.model.version_named(version), environment_named(to)
    if withdraw:
        entry = governance.withdraw(model_version, environment, by=at.by, reason=reason)
        if as_json:
            console.print_json(entry)
        else:
            live_console.say(f"{at.by} does not approve version {model_version.number} for {to} any more")
        return
    approval = governance.approve(
        model_version, environment, by=at.by, reason=reason, until=until, policy=at.workspace.policy
    )
    if as_json:
        console.print_json(approval)
    else:
        live_console.print_approval(**approval)


@app.command()
def promote(
    version: Version,
    to: To,
    by: By = None,
    check: Annotated[bool, typer.Option("--check", help="Only say whether it may go there, and what is missing.")] = (
        False
    ),
    image: Annotated[str, typer.Option(help="The image by digest; without it the one that was packaged.")] = "",
    project: Project = None,
    home: Home = None,
    store: Store = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Brings a version to an environment, by the policy's steps, or undoes it and says why.

    Exits with 0 if it is served there now, 1 if it was refused or undone, 2 on an error.
    """
    at = desk(project, home, store=store, by=by)
    model_version, environment = at.model.version_named(version), environment_named(to)
    if check:
        answer = governance.promote_check(model_version, environment, policy=at.workspace.policy)
        if as_json:
            console.print_json(answer)
        else:
            live_console.print_check(answer)
        raise typer.Exit(0 if answer["allowed"] else 1)
    from modelway.components.deploy.stage import deploy

    deployed = deploy(
        model_version,
        environment,
        image=image,
        run=f"promote-{model_version.number}-to-{environment}-by-{at.by}",
        actor=at.by,
        policy=at.workspace.policy,
        progress=live_console.progress,
        insecure=insecure,
    )
    live_console.print_deployed(deployed, as_json=as_json)
    raise typer.Exit(0 if deployed.live else 1)


@app.command()
def rollback(
    environment: Annotated[str, typer.Argument(help="The environment: staging or production.")],
    reason: Reason,
    to: Annotated[str, typer.Option("--to", help="A version's number; without it the one served before.")] = "",
    by: By = None,
    project: Project = None,
    home: Home = None,
    store: Store = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Goes back to the version that an environment served before, at once, even amid a promotion."""
    from modelway.components.deploy.rollback import rollback as go_back

    at = desk(project, home, store=store, by=by)
    deployed = go_back(
        at.model,
        environment_named(environment),
        actor=at.by,
        reason=reason,
        to=to,
        policy=at.workspace.policy,
        progress=live_console.progress,
        insecure=insecure,
    )
    live_console.print_deployed(deployed, as_json=as_json)
    raise typer.Exit(0 if deployed.live else 1)


@app.command()
def manifests(
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder with the manifests.")] = Path("manifests"),
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Compiles the policy into the manifests: Rollout, AnalysisTemplates, Services, alert rules."""
    from modelway.components.deploy.names import kubernetes_name
    from modelway.pipelines.manifests import write_manifests

    workspace = Workspace.load(project_folder(project))
    written = write_manifests(workspace.policy, kubernetes_name(workspace.project.name), folder=output)
    if as_json:
        console.print_json({"files": [str(path) for path in written]})
    else:
        console.print_written(written, "compiled from the policy; `kubectl apply -k` takes an overlay of them")


@app.command()
def history(
    at: Annotated[str, typer.Option("--at", help="Only what was served then: 2026-11-01 or 2026-11-01T14:30.")] = "",
    project: Project = None,
    home: Home = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Shows which version each environment served when, why, and who let it."""
    where = desk(project, home, store=store)
    periods = governance.history(where.model, at=governance.moment(at) if at else None)
    if as_json:
        console.print_json(periods)
    else:
        live_console.print_history(where.model.name, periods)


@audit.command()
def verify(project: Project = None, home: Home = None, store: Store = None, as_json: Json = False) -> None:
    """Follows the chain of the audit log and names its first broken link; exits with 1 if there is one."""
    at = desk(project, home, store=store)
    result = governance.audit_verify(at.model)
    if as_json:
        console.print_json(result)
    else:
        live_console.print_verified(result)
    raise typer.Exit(0 if result["whole"] else 1)


@audit.command()
def log(
    environment: Annotated[str, typer.Option(help="Only entries about this environment.")] = "",
    last: Annotated[int, typer.Option(help="Only so many from the end; 0: all.")] = 0,
    project: Project = None,
    home: Home = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Prints the entries of the audit log about the project's model, in order."""
    at = desk(project, home, store=store)
    entries = governance.audit_log(at.model, environment=environment, last=last)
    if as_json:
        console.print_json(entries)
    else:
        live_console.print_log(entries)
