"""`modelway promote`: takes a version to an environment, or says whether it may go there."""

from __future__ import annotations

import secrets
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from modelway.components.core.audit.approvals import approvals
from modelway.components.core.audit.environments import environment_named, served_versions
from modelway.components.core.audit.lock import current_lock
from modelway.components.core.audit.log import BrokenLogError
from modelway.components.core.audit.opened_version import open_version
from modelway.components.core.audit.registered_models import ModelVersion
from modelway.components.core.audit.requirements import requirements
from modelway.components.core.audit.witness import VerifiedLog
from modelway.components.core.config.deploy_policy import EnvironmentName
from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import CredentialsError, ModelwayError, UnavailableError
from modelway.pipelines.cli.options import Context, Home, Insecure, Project, Store, To, Version, by_option
from modelway.pipelines.cli.output import Answer, deploy_answer, print_blockers, print_line, print_progress

_RUN = "promote-"


def promote(
    version: Version,
    to: To,
    by: Annotated[str | None, by_option("promotes")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; only say whether it may be promoted, and what is missing.")
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
        ``allowed``, ``refusals`` (a sentence each), ``version``, ``serves`` (what is there now), ``blessing``,
        ``quorum``, ``approvals`` (the witnessed ones), and ``open``: the promotion that has the environment, if any.
    """
    from modelway.components.deploy.preconditions import precondition_failures

    model = version.model
    blockers = list(precondition_failures(version, environment, image=image, policy=policy, insecure=insecure))
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
    try:
        release = open_version(version)
        needs = requirements([release.policy, *([policy] if policy is not None else [])], environment)
        answer |= {"blessing": release.blessing_sha256, "quorum": needs.quorum}
    except (UnavailableError, CredentialsError):
        raise
    except ModelwayError:  # which is among the blockers too
        pass
    version_approvals = approvals(log.trusted, model.name, version=version.number, environment=environment)
    return {
        "allowed": not blockers,
        "refusals": blockers,
        **answer,
        "approvals": [approval.model_dump() for approval in version_approvals],
    }


def _print_check(answer: dict[str, Any]) -> None:
    serves = f", which serves version {answer['serves']}" if answer["serves"] else ", which serves nothing yet"
    print_line(f"version {answer['version']} of {answer['model']} to {answer['environment']}{serves}")
    for approval in answer["approvals"]:
        print_line(f"  {approval['by']} approves until {approval['until'][:10]}: {approval['reason']}")
        print_line(f"    identity: {approval['identity']}")
    print_blockers(answer["refusals"], "it may be promoted")
