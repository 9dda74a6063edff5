"""`modelway promote`: takes a version to an environment, or says whether it may go there."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from modelway.components.core.audit.approvals import approvals
from modelway.components.core.audit.doubts import promotion_doubts
from modelway.components.core.audit.environments import environment_named, served_versions
from modelway.components.core.audit.lock import current_lock
from modelway.components.core.audit.log import BrokenLogError
from modelway.components.core.audit.opened_version import opened, try_open
from modelway.components.core.audit.registered_models import ModelVersion
from modelway.components.core.audit.requirements import requirements
from modelway.components.core.audit.witness import VerifiedLog
from modelway.components.core.config.deploy_policy import EnvironmentName
from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError, RejectedError, SetupError
from modelway.pipelines.cli.options import Context, Home, Insecure, Project, Store, To, Version, by_option
from modelway.pipelines.cli.output import Answer, deploy_answer, print_blockers, print_line, print_note, print_progress

_RUN = "promote-"


def promote(
    version: Version,
    to: To,
    by: Annotated[str | None, by_option("promotes")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; only say whether it may be promoted, and what is missing.")
    ] = False,
    yes: Annotated[
        bool,
        typer.Option("--yes", "-y", help="Promote it without a question, even an older one or one that was undone."),
    ] = False,
    image: Annotated[str, typer.Option(help="The image by digest. Default: the one that was packaged.")] = "",
    take_over: Annotated[
        str | None,
        typer.Option(
            "--take-over",
            metavar="REASON",
            help="Take over a promotion there whose run has died, before its time is up; the reason is kept in the "
            "audit log. Make sure first that it has died.",
        ),
    ] = None,
    project: Project = None,
    home: Home = None,
    store: Store = None,
    insecure: Insecure = False,
) -> Answer:
    """Promotes a version to an environment by the policy's steps, or undoes it and says why.

    A version that was undone or rolled back from there, or is older than what serves, is promoted if you say so: it is
    asked for on a terminal, and needs --yes elsewhere.

    Exits with 0 if it serves there now (with --check: may go there), 1 if it was refused or undone, 2 on an error.
    """
    context = Context.load(project, home, store=store, by=by)
    model_version, environment = context.model.version_named(version), environment_named(to)
    policy = context.workspace.policy
    if take_over is not None and not take_over.strip():
        raise ModelwayError("taking over needs a reason", key="--take-over", remedy="say why its run has died")
    if check:
        answer = check_promotion(
            model_version, environment, image=image, policy=policy, take_over=bool(take_over), insecure=insecure
        )
        return Answer(answer, lambda: _print_check(answer), 0 if answer["allowed"] else 1)
    if not yes:
        _confirm(model_version, environment, _doubts(model_version, environment))
    from modelway.components.deploy.stage import deploy

    result = deploy(
        model_version,
        environment,
        image=image,
        run=promotion_run(model_version, environment, by=context.by, take_over=bool(take_over)),
        actor=context.by,
        policy=policy,
        take_over=take_over or "",
        progress=print_progress,
        insecure=insecure,
    )
    return deploy_answer(result)


def _doubts(version: ModelVersion, environment: EnvironmentName) -> list[str]:
    """What speaks against promoting a version, and does not block it; a sentence each."""
    try:
        entries = version.model.verified_entries()
    except BrokenLogError:  # which the preconditions report
        return []
    return promotion_doubts(entries, version.name, version=version.number, environment=environment)


def _confirm(version: ModelVersion, environment: EnvironmentName, doubts: Sequence[str]) -> None:
    """Asks whether a version is to be promoted all the same, where somebody can be asked.

    Raises:
        RejectedError: the answer is no.
        SetupError: nobody can be asked.
    """
    if not doubts:
        return
    described = f"{version}: {'; '.join(doubts)}"
    remedy = f"promote another version to {environment}, or add --yes to promote this one all the same"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise SetupError(f"{described}. It is promoted only by --yes", key="--yes", value=version.number, remedy=remedy)
    for doubt in doubts:
        print_note(f"{version}: {doubt}", on_stderr=True)
    if not typer.confirm(f"Promote {version} to {environment} all the same?", err=True):
        raise RejectedError(f"{version} was not promoted: you said no", value=version.number, remedy=remedy)


def promotion_run(version: ModelVersion, environment: EnvironmentName, *, by: str, take_over: bool = False) -> str:
    """The run of a promotion: the person's own one that is under way there and died or goes on, else a new one.

    Who takes over begins a new one, even if it is the own one that has died.
    """
    with suppress(BrokenLogError):  # which the preconditions report
        log = version.model.verified_log()
        lock = current_lock(log.entries, version.name, environment=environment)
        if (
            lock is not None
            and not take_over
            and (lock.version, lock.actor) == (version.number, by)
            and lock.run.startswith(_RUN)
        ):
            return lock.run
    return f"{_RUN}{version.number}-to-{environment}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def check_promotion(
    version: ModelVersion,
    environment: EnvironmentName,
    *,
    image: str = "",
    policy: Policy | None = None,
    take_over: bool = False,
    insecure: bool = False,
) -> dict[str, Any]:
    """Says whether a version may go to an environment now, and if not why: by all that `deploy_model` requires.

    Returns:
        ``allowed``, ``refusals`` (a sentence each), ``notes`` (what speaks against it and needs ``--yes``),
        ``version``, ``serves`` (what is there now), ``blessing``, ``quorum``, ``approvals`` (the witnessed ones), and
        ``open``: the promotion that has the environment, if any.
    """
    from modelway.components.deploy.preconditions import precondition_failures

    model, opening = version.model, try_open(version)
    blockers = list(
        precondition_failures(version, environment, image=image, policy=policy, opening=opening, insecure=insecure)
    )
    current_version = served_versions(model).get(environment)
    serves = None if current_version is None else current_version.number
    answer: dict[str, Any] = {"model": model.name, "version": version.number, "environment": environment}
    answer |= {"serves": serves, "blessing": None, "quorum": None, "open": None}
    try:
        log = model.verified_log()
    except BrokenLogError:  # which is among the blockers
        log = VerifiedLog([], 0, {})
    current = current_lock(log.entries, model.name, environment=environment)
    if current is not None:
        if not take_over and datetime.now(UTC) < current.until:
            blockers.append(
                f"{environment} is being changed: {current} is open, and holds the lock until "
                f"{current.until:%Y-%m-%d %H:%M} UTC; if its run has died, {current.actor} takes it up again by the "
                "same command, and anybody takes it over by --take-over REASON"
            )
        answer["open"] = {"run": current.run, "by": current.actor, "until": current.until.isoformat()}
    with suppress(ModelwayError):  # which is among the blockers too
        release = opened(version, opening)
        needs = requirements([release.policy, *([policy] if policy is not None else [])], environment)
        answer |= {"blessing": release.blessing_sha256, "quorum": needs.quorum}
    version_approvals = approvals(log.trusted, model.name, version=version.number, environment=environment)
    return {
        "allowed": not blockers,
        "refusals": blockers,
        "notes": promotion_doubts(log.entries, model.name, version=version.number, environment=environment),
        **answer,
        "approvals": [approval.model_dump() for approval in version_approvals],
    }


def _print_check(answer: dict[str, Any]) -> None:
    serves = f", which serves version {answer['serves']}" if answer["serves"] else ", which serves nothing yet"
    print_line(f"version {answer['version']} of {answer['model']} to {answer['environment']}{serves}")
    for approval in answer["approvals"]:
        print_line(f"  {approval['by']} approves until {approval['until'][:10]}: {approval['reason']}")
        print_line(f"    identity: {approval['identity']}")
    for note in answer["notes"]:
        print_note(f"promoted only with --yes: {note}")
    print_blockers(answer["refusals"], "it may be promoted")
