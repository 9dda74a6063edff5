"""Approvals of a version for an environment, and what blocks its promotion there.

Approvals are entries of the audit log: bound to the SHA-256 of the blessing, to a person, a reason and an expiry. An
environment requires what the policy says that the version was released with. If the promoter brings a policy too, the
stricter of the two holds in each point: the greater quorum, the shorter validity, self-approval only if both allow it,
every environment that either requires the version to have been served in.

People are identified by the name that they, or their tools, give (`people`), or by a token of an identity that the
policies trust (`proofs`), whose person is then compared like any name. Where `verified` is required, only these count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelway.components.core.audit.chain import Entry
from modelway.components.core.audit.environments import has_provably_served, unwitnessed_service
from modelway.components.core.audit.identity import AUDIENCE, NOT_VERIFIED, bound_audience, recorded_identity
from modelway.components.core.audit.issuers import Issuers
from modelway.components.core.audit.log import BrokenLogError
from modelway.components.core.audit.opened_version import (
    OpenedVersion,
    Opening,
    open_version,
    opened,
    registration_problem,
)
from modelway.components.core.audit.people import Person, check_name, count_people, name_problem
from modelway.components.core.audit.proofs import identify, proof_flaw
from modelway.components.core.audit.registered_models import ModelVersion
from modelway.components.core.audit.requirements import Requirements, requirements
from modelway.components.core.audit.token_sources import TokenSource
from modelway.components.core.audit.witness import VerifiedLog, not_witnessed
from modelway.components.core.config.deploy_policy import EnvironmentName
from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import (
    CredentialsError,
    ModelwayError,
    NotFoundError,
    RejectedError,
    UnavailableError,
)


class Approval(BaseModel):
    """One person's word that a version may go to an environment.

    Attributes:
        model: The registered model's name.
        version: Its version.
        environment: The environment.
        blessing_sha256: The blessing that it is bound to.
        by: Who approves.
        reason: Why.
        at: When it was given, ISO 8601 in UTC.
        until: When it expires, likewise.
        entry: The number of its entry in the audit log.
        identity: Whom the token is of that verified who approves, or that none did.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    version: str
    environment: EnvironmentName
    blessing_sha256: str
    by: str = Field(min_length=1)
    reason: str = Field(min_length=1)
    at: str
    until: str
    entry: int
    identity: str = NOT_VERIFIED


def approve(
    version: ModelVersion,
    environment: EnvironmentName,
    *,
    by: str,
    reason: str,
    until: datetime | None = None,
    policy: Policy | None = None,
    source: TokenSource | None = None,
) -> Approval:
    """Records a person's approval of a version for an environment.

    It expires at `until`: by default as late as the policies allow, which are the one that the version was released
    with and the promoter's `policy`, if that is another. With a token's `source`, the token says who approves, not
    `by`.

    Raises:
        RejectedError: the policy forbids the approval, the token is not valid, or the version is not blessed.
        ModelwayError: the version's evidence is incomplete, the approval would be invalid, or the audit log is broken.
    """
    now = datetime.now(UTC)
    release = open_version(version)
    needs = requirements([release.policy, *([policy] if policy is not None else [])], environment)
    latest = now + timedelta(days=needs.valid_days)
    until = until or latest
    if not reason.strip():
        raise ModelwayError("an approval needs `reason`", key="reason", remedy="say why")
    if not now < until <= latest:
        raise ModelwayError(
            f"an approval for {environment} expires within {needs.valid_days} days, not at {_format_time(until)}",
            key="until",
            value=_format_time(until),
            remedy=f"choose a time before {_format_time(latest)}",
        )
    log = version.model.verified_log()
    by, proof = _identified(by, source, release=release, needs=needs, environment=environment, entries=log.entries)
    if needs.verified and not proof:
        raise RejectedError(
            f"the policy counts only verified identities in {environment}, and no identity token is given",
            key="identity-token",
            remedy="approve from a job or account that `identities` names: docs/live.md says how it gives its token",
        )
    if problem := _not_an_approver(by, needs) or _self_approval(by, release, needs=needs):
        raise RejectedError(problem, key="by", value=by, remedy="let somebody else approve it")
    if problem := registration_problem(release, log):
        raise RejectedError(problem, value=version.number, remedy="release it with `modelway run`, then approve it")
    ends = until.astimezone(UTC).isoformat(timespec="seconds")
    details = {"blessing_sha256": release.blessing_sha256, "reason": reason.strip(), "until": ends, **proof}
    return _approval(version.log_event("approved", by, environment=environment, details=details))


def withdraw(
    version: ModelVersion,
    environment: EnvironmentName,
    *,
    by: str,
    reason: str,
    policy: Policy | None = None,
    source: TokenSource | None = None,
) -> Entry:
    """Withdraws a person's own approval; an earlier promotion stays as it is.

    The arguments are as for `approve`. A token is verified if one is given; none is required to withdraw.

    Raises:
        RejectedError: the token is not valid.
        ModelwayError: there is no such approval, or the audit log is broken.
    """
    entries, proof = version.model.verified_entries(), dict[str, str]()
    if source is None:
        by = check_name(by, "by")
    else:
        release = open_version(version)
        needs = requirements([release.policy, *([policy] if policy is not None else [])], environment)
        by, proof = _identified(by, source, release=release, needs=needs, environment=environment, entries=entries)
    person = Person.of(by)
    version_approvals = approvals(entries, version.name, version=version.number, environment=environment)
    if not any(Person.of(approval.by).is_same(person) for approval in version_approvals):
        raise NotFoundError(
            f"{by} has no approval of {version} for {environment} to withdraw",
            key="by",
            value=by,
            remedy="`modelway audit log` lists the approvals",
        )
    return version.log_event("withdrawn", by, environment=environment, details={"reason": reason, **proof})


def _identified(
    by: str,
    source: TokenSource | None,
    *,
    release: OpenedVersion,
    needs: Requirements,
    environment: str,
    entries: Sequence[Entry],
) -> tuple[str, dict[str, str]]:
    """Who acts, by a token if there is one, and the proof of it that the entry keeps."""
    if source is None or (source.is_optional and not needs.identities):
        return check_name(by, "by"), {}
    return identify(source, needs, environment=environment, blessing_sha256=release.blessing_sha256, entries=entries)


def approvals(entries: Iterable[Entry], model: str, *, version: str, environment: str) -> list[Approval]:
    """The approvals that were not withdrawn, in order: of each person and blessing the latest.

    One whose identity was not verified replaces none whose was, nor the other way round.
    """
    latest: list[Approval] = []
    for entry in entries:
        if (entry.model, entry.version, entry.environment) != (model, version, environment):
            continue
        if entry.event == "withdrawn":
            person = Person.of(entry.actor)
            latest = [approval for approval in latest if not Person.of(approval.by).is_same(person)]
        elif entry.event == "approved":
            with suppress(ValidationError):  # an incomplete entry is no approval
                approval = _approval(entry)
                latest = [earlier for earlier in latest if not _replaces(approval, earlier)] + [approval]
    return latest


def _replaces(approval: Approval, earlier: Approval) -> bool:
    same_person = Person.of(approval.by).is_same(Person.of(earlier.by))
    same_kind = (approval.identity == NOT_VERIFIED) == (earlier.identity == NOT_VERIFIED)
    return same_person and same_kind and approval.blessing_sha256 == earlier.blessing_sha256


def _approval(entry: Entry) -> Approval:
    about = entry.model_dump(include={"model", "version", "environment", "at"})
    details = {**entry.details, "identity": recorded_identity(entry.details)}
    return Approval.model_validate({**details, **about, "by": entry.actor, "entry": entry.number})


def promotion_blockers(
    version: ModelVersion,
    environment: EnvironmentName,
    *,
    policy: Policy | None = None,
    opening: Opening | None = None,
    now: datetime | None = None,
) -> list[str]:
    """What blocks a version's promotion to an environment, a sentence each; empty if nothing does.

    An approval, a registration and a promotion count if their entry is witnessed; a withdrawal and an undo always do.
    Without a promoter's `policy`, only the one that the version was released with counts. Without an `opening`, the
    version is opened here.

    Raises:
        UnavailableError: MLflow, the store or an issuer of identities cannot be reached.
        CredentialsError: one of them refuses access.
    """
    now = now or datetime.now(UTC)
    blockers: list[str] = []
    log = VerifiedLog([], 0, {})
    try:
        log = version.model.verified_log()
    except BrokenLogError as error:
        blockers.append(f"{error.message}, so its approvals are not valid")
    try:
        release = opened(version, opening)
        needs = requirements([release.policy, *([policy] if policy is not None else [])], environment)
    except (UnavailableError, CredentialsError):
        raise
    except ModelwayError as error:
        return [*blockers, error.message]
    if not blockers and (problem := registration_problem(release, log)):  # of a broken log there are no entries
        blockers.append(problem)
    for before in needs.after:
        place = {"environment": before, "version": version.number}
        if not has_provably_served(log, version.name, **place):
            number = unwitnessed_service(log, version.name, **place)
            note = f": {not_witnessed(number)}" if number else ""
            blockers.append(f"{version} has not been served in {before}, which {environment} requires{note}")
    about = {"version": version.number, "environment": environment}
    valid = approvals(log.trusted, version.name, **about)
    audiences, issuers = (bound_audience(environment, release.blessing_sha256), AUDIENCE), Issuers()
    flaws = [
        (
            approval.by,
            _flaw(approval, release, needs=needs, now=now)
            or proof_flaw(
                log.entries[approval.entry - 1], needs, audiences=audiences, entries=log.trusted, issuers=issuers
            ),
        )
        for approval in valid
    ]
    flaws += [
        (approval.by, not_witnessed(approval.entry))
        for approval in approvals(log.entries, version.name, **about)
        if approval.entry > log.witnessed
    ]
    count = count_people([by for by, flaw in flaws if not flaw])
    if count < needs.quorum:
        required = f"{needs.quorum} approval{'s' * (needs.quorum != 1)}"
        sentence = f"{environment} requires {required}; {count} {'is' if count == 1 else 'are'} valid"
        blockers.append("; ".join([sentence, *(f"{by}'s is not: {flaw}" for by, flaw in flaws if flaw)]))
    return blockers


def _flaw(approval: Approval, release: OpenedVersion, *, needs: Requirements, now: datetime) -> str:
    """Why an approval is not valid; empty if it is."""
    at, until = datetime.fromisoformat(approval.at), datetime.fromisoformat(approval.until)
    until = min(until, at + timedelta(days=needs.valid_days))
    if approval.blessing_sha256 != release.blessing_sha256:
        return f"it is for another blessing ({approval.blessing_sha256[:12]})"
    if now > until:
        return f"it expired at {_format_time(until)}"
    if problem := name_problem(approval.by):
        return f"it does not say who approves: {problem}"
    return _not_an_approver(approval.by, needs) or _self_approval(approval.by, release, needs=needs)


def _self_approval(by: str, release: OpenedVersion, *, needs: Requirements) -> str:
    """Why a person's approval would be a forbidden self-approval; empty if it would not be."""
    requester = release.blessing.requested_by
    if needs.self_approval:
        return ""
    if not Person.of(requester).names:
        return "nobody can approve it, since it is unknown who asked for the run (set MODELWAY_USER for runs)"
    if Person.of(by).is_same(Person.of(requester)):
        return f"{by} asked for the run, and the policy forbids self-approval"
    return ""


def _not_an_approver(by: str, needs: Requirements) -> str:
    """Why the policy does not count a person's approval; empty if it does."""
    person = Person.of(by)
    if all(any(person.is_same(Person.of(name)) for name in names) for names in needs.approvers):
        return ""
    return f"{by} is not among the approvers that the policy names"


def _format_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
