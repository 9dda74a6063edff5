"""Who agreed that a version goes to an environment, and why one may not go there.

Approvals are entries of the audit log: bound to the SHA-256 of the blessing, to a person, a reason and an expiry. What
an environment asks for is what the policy said that the version was released with. Where the promoter brings a policy
too, the stricter of the two holds in each point: the greater quorum, the shorter validity, self-approval only where
both allow it, every environment that either wants the version to come from.

People are known by the name that they, or their tools, give: compared without regard to case and width, by the address
where there is one (``Ada <ada@example.org>``). That a name is true is for the store's and the registry's credentials.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelway.components.core.audit import AuditLog, BrokenLogError, Entry
from modelway.components.core.demands import Requirements, requirements
from modelway.components.core.deploy_policy import EnvironmentName
from modelway.components.core.environments import has_served
from modelway.components.core.errors import ModelwayError
from modelway.components.core.policy import Policy
from modelway.components.core.released import Released, released
from modelway.components.core.tracking import Tracking


class Approval(BaseModel):
    """One person's word that a version may go to an environment.

    Attributes:
        model: The registered model's name.
        version: Its version.
        environment: Where it may go.
        blessing_sha256: The blessing that the person has seen.
        by: Who approves.
        reason: Why.
        at: When it was given, ISO 8601 in UTC.
        until: When it ends, likewise.
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


def person(name: str) -> str:
    """What a person is known by: the address in a name if there is one, without regard to case, width and spaces."""
    text = unicodedata.normalize("NFKC", name).casefold()
    if "<" in text and text.rstrip().endswith(">"):
        text = text.rstrip()[text.rindex("<") + 1 : -1]
    return " ".join(text.split())


def approve(
    store: str,
    tracking: Tracking,
    *,
    model: str,
    version: str,
    environment: EnvironmentName,
    by: str,
    reason: str,
    until: datetime | None = None,
    policy: Policy | None = None,
) -> Approval:
    """Records that a person approves that a version goes to an environment.

    Args:
        store: The root of the project's store.
        tracking: Where the version is registered.
        model: The registered model's name.
        version: Its version.
        environment: Where it may go.
        by: Who approves.
        reason: Why.
        until: When the approval ends; as late as the policy lets it unless given.
        policy: The promoter's policy, where there is another than the released one.

    Raises:
        ModelwayError: the version's evidence is not whole, the approval would not count, or the audit log is broken.
    """
    now = datetime.now(UTC)
    given = released(tracking, model, version)
    rules = requirements([given.policy, *([policy] if policy is not None else [])], environment)
    latest = now + timedelta(days=rules.valid_days)
    until = until or latest
    for name, text in (("by", by), ("reason", reason)):
        if not text.strip():
            raise ModelwayError(
                f"an approval without `{name}` says nothing", key=name, remedy="say who approves, and why"
            )
    if not now < until <= latest:
        raise ModelwayError(
            f"an approval for {environment} ends within {rules.valid_days} days from now, not at {_shown(until)}",
            key="until",
            value=_shown(until),
            remedy=f"choose a time before {_shown(latest)}",
        )
    if refusal := _own(by, given, rules):
        raise ModelwayError(refusal, key="by", value=by, remedy="let somebody else approve it")
    log = AuditLog(store, tracking)
    log.verified_entries(model)
    ends = until.astimezone(UTC).isoformat(timespec="seconds")
    details = {"blessing_sha256": given.blessing_sha256, "reason": reason.strip(), "until": ends}
    entry = log.append("approved", by.strip(), model=model, version=version, environment=environment, details=details)
    return _approval(entry)


def withdraw(
    store: str, tracking: Tracking, *, model: str, version: str, environment: EnvironmentName, by: str, reason: str
) -> Entry:
    """Takes a person's own approval back; an earlier promotion stays as it is.

    Raises:
        ModelwayError: there is no such approval, or the audit log is broken.
    """
    log = AuditLog(store, tracking)
    standing = approvals(log.verified_entries(model)[0], model, version, environment)
    if not any(person(one.by) == person(by) for one in standing):
        raise ModelwayError(
            f"{by} has no approval of version {version} of {model} for {environment} to withdraw",
            key="by",
            value=by,
            remedy="`modelway audit log` lists the approvals",
        )
    details = {"reason": reason}
    return log.append("withdrawn", by, model=model, version=version, environment=environment, details=details)


def approvals(entries: Iterable[Entry], model: str, version: str, environment: str) -> list[Approval]:
    """The approvals that were given and not withdrawn: of each person and blessing the latest, in their order."""
    found: dict[tuple[str, str], Approval] = {}
    for entry in entries:
        if (entry.model, entry.version, entry.environment) != (model, version, environment):
            continue
        if entry.event == "withdrawn":
            found = {key: one for key, one in found.items() if key[0] != person(entry.actor)}
        elif entry.event == "approved":
            with suppress(ValidationError):  # an entry that says too little is no approval
                approval = _approval(entry)
                key = (person(approval.by), approval.blessing_sha256)
                found.pop(key, None)
                found[key] = approval
    return list(found.values())


def _approval(entry: Entry) -> Approval:
    about = entry.model_dump(include={"model", "version", "environment", "at"})
    return Approval.model_validate({**entry.details, **about, "by": entry.actor})


def refusals(
    store: str,
    tracking: Tracking,
    policy: Policy | None,
    model: str,
    version: str,
    environment: EnvironmentName,
    now: datetime | None = None,
) -> list[str]:
    """Why a version may not go to an environment, a sentence each; none if it may.

    Args:
        store: The root of the project's store.
        tracking: Where the version is registered.
        policy: The promoter's policy; the released one alone counts if None.
        model: The registered model's name.
        version: Its version.
        environment: Where it is to go.
        now: The time; the clock's unless given.

    Raises:
        UnavailableError: MLflow or the store cannot be reached.
        CredentialsError: one of them refuses access.
    """
    now = now or datetime.now(UTC)
    found: list[str] = []
    entries: list[Entry] = []
    try:
        entries = AuditLog(store, tracking).verified_entries(model)[0]
    except BrokenLogError as error:
        found.append(f"{error.message}, so no approval in it counts")
    try:
        given = released(tracking, model, version)
        rules = requirements([given.policy, *([policy] if policy is not None else [])], environment)
    except ModelwayError as error:
        if type(error) is not ModelwayError:
            raise
        return [*found, error.message]
    registered = [one for one in entries if (one.event, one.model, one.version) == ("registered", model, version)]
    if any(one.details.get("blessing_sha256") not in {None, given.blessing_sha256} for one in registered):
        found.append(f"the audit log has version {version} of {model} registered with another blessing than it has now")
    found += [
        f"version {version} of {model} has not been served in {before}, and {environment} comes after it"
        for before in rules.after
        if not has_served(entries, model, before, version)
    ]
    return found + _short_of_quorum(approvals(entries, model, version, environment), given, rules, environment, now)


def _short_of_quorum(
    standing: list[Approval], given: Released, rules: Requirements, environment: str, now: datetime
) -> list[str]:
    counted = {person(one.by) for one in standing if not _flaw(one, given, rules, now)}
    if len(counted) >= rules.quorum:
        return []
    people = "1 person" if rules.quorum == 1 else f"{rules.quorum} people"
    flaws = [f"{one.by}'s does not count: {flaw}" for one in standing if (flaw := _flaw(one, given, rules, now))]
    number = (
        "none is" if not counted else f"only {len(counted)} is" if len(counted) == 1 else f"only {len(counted)} are"
    )
    return ["; ".join([f"{environment} asks for approvals by {people}, and {number} there that counts", *flaws])]


def _flaw(approval: Approval, given: Released, rules: Requirements, now: datetime) -> str:
    """Why an approval does not count; empty if it does."""
    at, until = datetime.fromisoformat(approval.at), datetime.fromisoformat(approval.until)
    until = min(until, at + timedelta(days=rules.valid_days))
    if approval.blessing_sha256 != given.blessing_sha256:
        return f"it is for another blessing ({approval.blessing_sha256[:12]})"
    if now > until:
        return f"it ended at {_shown(until)}"
    return _own(approval.by, given, rules)


def _own(by: str, given: Released, rules: Requirements) -> str:
    """Why a person's approval would be one of their own work; empty if it is not, or may be."""
    requester = given.blessing.requested_by
    if rules.self_approval:
        return ""
    if not person(requester):
        return (
            "it is not known who asked for the run, so nobody is known to be somebody else (set MODELWAY_USER for runs)"
        )
    if person(by) == person(requester):
        return f"{by} asked for the run, and the policy forbids self-approval"
    return ""


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
