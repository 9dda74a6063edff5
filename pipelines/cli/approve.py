"""`modelway approve`: a person's approval of a version for an environment, or its withdrawal."""

from __future__ import annotations

from typing import Annotated

import typer

from modelway.components.core.audit import approvals
from modelway.components.core.audit.environments import environment_named
from modelway.components.core.audit.identity import recorded_identity
from modelway.components.core.audit.token_sources import token_source
from modelway.components.core.audit.witness import not_witnessed
from modelway.components.core.errors import ModelwayError, UnavailableError
from modelway.pipelines.cli.options import (
    Context,
    Home,
    IdentityToken,
    Project,
    Reason,
    Store,
    To,
    Version,
    by_option,
    parse_time,
)
from modelway.pipelines.cli.output import Answer, entry_as_json, print_blockers, print_error, print_line


def approve(
    version: Version,
    to: To,
    reason: Reason,
    by: Annotated[str | None, by_option("approves, or withdraws their approval")] = None,
    until: Annotated[
        str, typer.Option(help="When the approval ends, ISO 8601. Default: as late as the policy allows.")
    ] = "",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Withdraw the approval.")] = False,
    identity_token: IdentityToken = "",
    project: Project = None,
    home: Home = None,
    store: Store = None,
) -> Answer:
    """Records a person's approval that a version goes to an environment; it holds for this blessing, until it ends.

    Exits with 0 if it is recorded, 1 if the policy forbids it, 2 on an error.
    """
    context = Context.load(project, home, store=store, by=by)
    model_version, environment = context.model.version_named(version), environment_named(to)
    policy, source = context.workspace.policy, token_source(identity_token, by=by or "")
    if withdraw:
        entry = approvals.withdraw(
            model_version, environment, by=context.by, reason=reason, policy=policy, source=source
        )
        identity = recorded_identity(entry.details)
        note = f"{entry.actor} does not approve version {model_version.number} for {to} any more (identity: {identity})"
        return Answer(entry_as_json(entry), lambda: print_line(note))
    approval = approvals.approve(
        model_version,
        environment,
        by=context.by,
        reason=reason,
        until=parse_time(until) if until else None,
        policy=policy,
        source=source,
    )
    try:
        witnessed = approval.entry <= context.model.verified_log().witnessed
        blockers = approvals.promotion_blockers(model_version, environment, policy=policy)
    except UnavailableError as error:
        raise UnavailableError(
            f"the approval is entry {approval.entry} of the audit log, but whether it is witnessed is not known: "
            f"{error.message}",
            file=error.file,
            key=error.key,
            remedy="when the service answers again, `modelway audit verify` says so; do not approve again before",
        ) from error
    answer = {"approval": approval.model_dump(), "witnessed": witnessed, "refusals": blockers}
    return Answer(answer, lambda: _print(approval, blockers, witnessed=witnessed))


def _print(approval: approvals.Approval, blockers: list[str], *, witnessed: bool) -> None:
    print_line(
        f"{approval.by} approves version {approval.version} of {approval.model} for {approval.environment} until "
        f"{approval.until[:10]} (blessing {approval.blessing_sha256[:12]})"
    )
    print_line(f"  identity: {approval.identity}")
    if not witnessed:
        warning = f"the approval does not count yet: {not_witnessed(approval.entry)}"
        remedy = "see that MLflow can be reached and tagged; then run `modelway audit witness --reason …`"
        print_error(ModelwayError(warning, remedy=remedy), severity="warning")
    print_blockers(blockers, "its approvals are complete; `modelway promote --check` says whether it may be promoted")
