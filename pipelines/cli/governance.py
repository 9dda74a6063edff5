"""What the commands about approvals, promotions and the audit log do, as functions that return plain data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Any

from modelway.components.core.audit import approvals as approving
from modelway.components.core.audit.approvals import Approval, approvals, promotion_blockers
from modelway.components.core.audit.chain import Entry
from modelway.components.core.audit.environments import ENVIRONMENTS, Period, periods, served_versions
from modelway.components.core.audit.lock import current_lock
from modelway.components.core.audit.log import BrokenLogError
from modelway.components.core.audit.registered_models import ModelVersion, RegisteredModel
from modelway.components.core.audit.release_evidence import release_evidence
from modelway.components.core.audit.requirements import requirements
from modelway.components.core.config.deploy_policy import EnvironmentName
from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import CredentialsError, ModelwayError, UnavailableError


def moment(text: str) -> datetime:
    """A time as people write it: ISO 8601, in UTC unless it says otherwise; a day alone is its last moment.

    Raises:
        ModelwayError: it is no time.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ModelwayError(
            f"{text!r} is no time", value=text, remedy="write it as 2026-11-01 or 2026-11-01T14:30"
        ) from error
    if len(text) == len("2026-11-01"):
        found = datetime.combine(found, time.max)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def approve(
    version: ModelVersion,
    environment: EnvironmentName,
    *,
    by: str,
    reason: str,
    until: str = "",
    policy: Policy | None = None,
) -> dict[str, Any]:
    """What ``modelway approve`` does.

    Args:
        version: The version.
        environment: Where it may go.
        by: Who approves.
        reason: Why.
        until: When the approval ends; as late as the policy lets it if empty.
        policy: The project's policy; the stricter of it and the released one holds.

    Returns:
        ``approval``, and ``refusals``: what still keeps the version from going there.

    Raises:
        ModelwayError: the approval would not count.
    """
    ends = moment(until) if until else None
    approval = approving.approve(version, environment, by=by, reason=reason, until=ends, policy=policy)
    return {"approval": approval.model_dump(), "refusals": promotion_blockers(version, environment, policy=policy)}


def withdraw(version: ModelVersion, environment: EnvironmentName, *, by: str, reason: str) -> dict[str, Any]:
    """What ``modelway approve --withdraw`` does: the entry that takes a person's approval back."""
    return _line(approving.withdraw(version, environment, by=by, reason=reason))


def promote_check(
    version: ModelVersion, environment: EnvironmentName, *, policy: Policy | None = None
) -> dict[str, Any]:
    """What ``modelway promote --check`` does: whether a version may go to an environment now, and if not why.

    Returns:
        ``allowed``, ``refusals`` (a sentence each), ``version``, ``serves`` (what is there now), ``blessing``,
        ``quorum``, ``approvals``, and ``open``: the promotion that has the environment, if any.
    """
    model = version.model
    blockers = promotion_blockers(version, environment, policy=policy)
    current_version = served_versions(model).get(environment)
    serves = None if current_version is None else current_version.number
    answer: dict[str, Any] = {"model": model.name, "version": version.number, "environment": environment}
    answer |= {"serves": serves, "blessing": None, "quorum": None, "open": None}
    try:
        entries = model.verified_entries()
    except BrokenLogError:  # which `promotion_blockers` has said
        entries = []
    current = current_lock(entries, model.name, environment=environment)
    if current is not None:
        blockers.append(f"{environment} is being changed: {current} is open")
        answer["open"] = {"run": current.run, "by": current.actor, "until": current.until.isoformat()}
    try:
        release = release_evidence(version)
        needs = requirements([release.policy, *([policy] if policy is not None else [])], environment)
        answer |= {"blessing": release.blessing_sha256, "quorum": needs.quorum}
    except (UnavailableError, CredentialsError):
        raise
    except ModelwayError:  # likewise
        pass
    version_approvals = approvals(entries, model.name, version=version.number, environment=environment)
    return {
        "allowed": not blockers,
        "refusals": blockers,
        **answer,
        "approvals": [approval.model_dump() for approval in version_approvals],
    }


def audit_verify(model: RegisteredModel) -> dict[str, Any]:
    """What ``modelway audit verify`` does: whether every link of the audit log holds, and what it was checked against.

    Args:
        model: A registered model, whose anchor is compared even if no entry names it.

    Returns:
        ``whole``, ``entries`` (how many), ``head``, ``witnessed`` (up to which entry, by model), and ``broken``: the
        first broken link's ``number``, ``file`` and ``reason``, or None.
    """
    log = model.audit_log
    broken, anchor = log.verify(model.name), log.anchored_head(model.name)
    return {
        "whole": broken is None,
        "entries": log.count(),
        "head": log.head().sha256 if broken is None else None,
        "witnessed": {} if anchor is None else {model.name: anchor.number},
        "broken": None if broken is None else {"number": broken.number, "file": broken.file, "reason": broken.reason},
    }


def audit_log(model: RegisteredModel, *, environment: str = "", last: int = 0) -> list[dict[str, Any]]:
    """What ``modelway audit log`` does: the entries about a registered model in order, each a flat mapping.

    Args:
        model: The registered model.
        environment: Only entries about this environment, if given.
        last: Only so many from the end; 0: all.

    Raises:
        BrokenLogError: a link is broken.
    """
    lines = [
        _line(entry)
        for entry in model.verified_entries()
        if entry.model == model.name and environment in {"", entry.environment}
    ]
    return lines[-last:] if last else lines


def history(model: RegisteredModel, *, at: datetime | None = None) -> list[dict[str, Any]]:
    """What ``modelway history`` does: what each environment served when, why, and who let it.

    Args:
        model: The registered model.
        at: Only what was served at this time; None: everything.

    Returns:
        By environment, the newest first: ``environment``, ``version``, ``since``, ``until`` (None: still), the
        ``event`` that began it, ``by``, ``run`` and ``blessing`` of the version, its ``image``, the ``approvals`` that
        held when it came, and ``why`` in sentences.

    Raises:
        BrokenLogError: a link of the audit log is broken.
    """
    entries = model.verified_entries()
    return [
        _served(entries, period, came=_first_served(entries, period))
        for name in ENVIRONMENTS
        for period in reversed(periods(entries, model.name, environment=name))
        if at is None or (period.since <= at and (period.until is None or at < period.until))
    ]


def _first_served(entries: Sequence[Entry], period: Period) -> datetime:
    """When a version first came to where it went back to later: its approvals held then."""
    came = periods(entries, period.entry.model, environment=period.environment)
    return min(one.since for one in came if one.version == period.version)


def _served(entries: Sequence[Entry], period: Period, *, came: datetime) -> dict[str, Any]:
    entry = period.entry
    before = entries[: entry.number]
    of_version = [one for one in before if (one.model, one.version) == (entry.model, period.version)]
    registered = next((one for one in of_version if one.event == "registered"), None)
    blessing = registered.details.get("blessing_sha256", "") if registered is not None else ""
    held = [
        one
        for one in approvals(of_version, entry.model, version=period.version, environment=period.environment)
        if datetime.fromisoformat(one.until) >= came and one.blessing_sha256 == (blessing or one.blessing_sha256)
    ]
    return {
        "environment": period.environment,
        "version": period.version,
        "since": period.since.isoformat(),
        "until": None if period.until is None else period.until.isoformat(),
        "event": entry.event,
        "by": entry.actor,
        "run": registered.details.get("run", "") if registered is not None else "",
        "blessing": blessing or next((one.blessing_sha256 for one in held), ""),
        "image": entry.details.get("image", ""),
        "approvals": [one.model_dump(include={"by", "reason", "at", "until"}) for one in held],
        "why": _why(period, registered, held=held),
    }


def _why(period: Period, registered: Entry | None, *, held: Sequence[Approval]) -> list[str]:
    entry = period.entry
    told = []
    if registered is not None:
        run, blessing = registered.details.get("run", ""), registered.details.get("blessing_sha256", "")
        told.append(f"Version {period.version} was blessed{f' in {run}' if run else ''} (blessing {blessing[:12]}).")
    told += [f"{one.by} approved it: {one.reason}." for one in held]
    reason = f": {entry.details['reason']}" if entry.details.get("reason") else ""
    what = {
        "registered": f"{entry.actor} released it",
        "deployed": f"{entry.actor} deployed it",
        "promoted": f"{entry.actor} promoted it",
        "rolled-back": f"{entry.actor} rolled back to it",
        "undone": f"It took its place again when version {entry.version} was undone",
    }[entry.event]
    told.append(f"{what}{reason}.")
    if period.undone:
        told.append("It was not kept.")
    return told


def _line(entry: Entry) -> dict[str, Any]:
    return {**entry.model_dump(exclude={"nonce"}), "sha256": entry.sha256()}
