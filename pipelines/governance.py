"""What the commands about approvals, promotions and the audit log do, as functions that return plain data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Any

from modelway.components.core import approvals as approving
from modelway.components.core.approvals import Approval, approvals, refusals
from modelway.components.core.audit import AuditLog, Entry
from modelway.components.core.demands import requirements
from modelway.components.core.deploy_policy import EnvironmentName
from modelway.components.core.environments import ENVIRONMENTS, Period, holders, periods
from modelway.components.core.errors import ModelwayError
from modelway.components.core.policy import Policy
from modelway.components.core.promotions import open_claim
from modelway.components.core.released import released
from modelway.components.core.tracking import Tracking


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


def environment_named(text: str) -> EnvironmentName:
    """An environment by its name.

    Raises:
        ModelwayError: there is no such environment.
    """
    found = next((name for name in ENVIRONMENTS if name == text), None)
    if found is None:
        raise ModelwayError(
            f"there is no environment {text!r}", value=text, remedy=f"choose one of {', '.join(ENVIRONMENTS)}"
        )
    return found


def version_named(tracking: Tracking, model: str, text: str) -> str:
    """A version of a registered model by its number or an alias.

    Raises:
        ModelwayError: there is no such version or alias.
    """
    if text in {str(one.version) for one in tracking.versions(model)}:
        return text
    holder = tracking.version_with_alias(model, text) if text and not text.isdecimal() else None
    if holder is None:
        raise ModelwayError(
            f"{model} has no version {text!r}, and nothing holds such an alias",
            value=text,
            remedy="MLflow's registry and `modelway history` list the versions",
        )
    return str(holder.version)


def approve(
    store: str,
    tracking: Tracking,
    policy: Policy | None,
    *,
    model: str,
    version: str,
    environment: str,
    by: str,
    reason: str,
    until: str = "",
) -> dict[str, Any]:
    """What ``modelway approve`` does.

    Args:
        store: The root of the project's store.
        tracking: Where the version is registered.
        policy: The project's policy; the stricter of it and the released one holds.
        model: The registered model's name.
        version: A version's number or alias.
        environment: Where it may go.
        by: Who approves.
        reason: Why.
        until: When the approval ends; as late as the policy lets it if empty.

    Returns:
        ``approval``, and ``refusals``: what still keeps the version from going there.

    Raises:
        ModelwayError: the approval would not count.
    """
    number, where = version_named(tracking, model, version), environment_named(environment)
    given = approving.approve(
        store,
        tracking,
        model=model,
        version=number,
        environment=where,
        by=by,
        reason=reason,
        until=moment(until) if until else None,
        policy=policy,
    )
    left = refusals(store, tracking, policy, model, number, where)
    return {"approval": given.model_dump(), "refusals": left}


def withdraw(
    store: str, tracking: Tracking, *, model: str, version: str, environment: str, by: str, reason: str
) -> dict[str, Any]:
    """What ``modelway approve --withdraw`` does: the entry that takes a person's approval back."""
    number, where = version_named(tracking, model, version), environment_named(environment)
    entry = approving.withdraw(store, tracking, model=model, version=number, environment=where, by=by, reason=reason)
    return _line(entry)


def promote_check(
    store: str, tracking: Tracking, policy: Policy | None, *, model: str, version: str, environment: str
) -> dict[str, Any]:
    """What ``modelway promote --check`` does: whether a version may go to an environment now, and if not why.

    Returns:
        ``allowed``, ``refusals`` (a sentence each), ``version``, ``serves`` (what is there now), ``blessing``,
        ``quorum``, ``approvals``, and ``open``: the promotion that has the environment, if any.
    """
    number, where = version_named(tracking, model, version), environment_named(environment)
    left = refusals(store, tracking, policy, model, number, where)
    found: dict[str, Any] = {"model": model, "version": number, "environment": where, "serves": None, "open": None}
    found |= {"blessing": None, "quorum": None, "approvals": [], "serves": holders(tracking, model).get(where)}
    entries = [] if left and "audit log is broken" in left[0] else AuditLog(store, tracking).entries()
    current = open_claim(entries, model, where)
    if current is not None:
        left.append(f"{where} is being changed: {current} is open")
        found["open"] = {"run": current.run, "by": current.actor, "until": current.until.isoformat()}
    try:
        given = released(tracking, model, number)
        rules = requirements([given.policy, *([policy] if policy is not None else [])], where)
        found |= {"blessing": given.blessing_sha256, "quorum": rules.quorum}
    except ModelwayError as error:
        if type(error) is not ModelwayError:
            raise
    found["approvals"] = [one.model_dump() for one in approvals(entries, model, number, where)]
    return {"allowed": not left, "refusals": left, **found}


def audit_verify(store: str, tracking: Tracking | None, models: Sequence[str] = ()) -> dict[str, Any]:
    """What ``modelway audit verify`` does: whether every link of the audit log holds, and what it was checked against.

    Args:
        store: The root of the project's store.
        tracking: Where the end of the log is witnessed; None: it is not asked.
        models: Registered models whose witness is asked even if no entry names them.

    Returns:
        ``whole``, ``entries`` (how many), ``head``, ``witnessed`` (up to which entry, by model), and ``broken``: the
        first broken link's ``number``, ``file`` and ``reason``, or None.
    """
    log = AuditLog(store, tracking)
    broken = log.verify(*models)
    seen = {model: head.number for model in models if (head := log.witness(model)) is not None}
    return {
        "whole": broken is None,
        "entries": log.count(),
        "head": log.head().sha256 if broken is None else None,
        "witnessed": seen,
        "broken": None if broken is None else {"number": broken.number, "file": broken.file, "reason": broken.reason},
    }


def audit_log(
    store: str, tracking: Tracking | None = None, *, model: str = "", environment: str = "", last: int = 0
) -> list[dict[str, Any]]:
    """What ``modelway audit log`` does: the entries in order, each a flat mapping.

    Args:
        store: The root of the project's store.
        tracking: Where the end of the log is witnessed.
        model: Only entries about this registered model, if given.
        environment: Only entries about this environment, if given.
        last: Only so many from the end; 0: all.

    Raises:
        BrokenLogError: a link is broken.
    """
    entries, _ = AuditLog(store, tracking).verified_entries(*([model] if model else []))
    found = [_line(entry) for entry in entries if model in {"", entry.model} and environment in {"", entry.environment}]
    return found[-last:] if last else found


def history(
    store: str, model: str, at: datetime | None = None, tracking: Tracking | None = None
) -> list[dict[str, Any]]:
    """What ``modelway history`` does: what each environment served when, why, and who let it.

    Args:
        store: The root of the project's store.
        model: The registered model's name.
        at: Only what was served at this time; None: everything.
        tracking: Where the end of the log is witnessed.

    Returns:
        By environment, the newest first: ``environment``, ``version``, ``since``, ``until`` (None: still), the
        ``event`` that began it, ``by``, ``run`` and ``blessing`` of the version, its ``image``, the ``approvals`` that
        held when it came, and ``why`` in sentences.

    Raises:
        BrokenLogError: a link of the audit log is broken.
    """
    entries, _ = AuditLog(store, tracking).verified_entries(model)
    found = [period for name in ENVIRONMENTS for period in reversed(periods(entries, model, name))]
    if at is not None:
        found = [one for one in found if one.since <= at and (one.until is None or at < one.until)]
    return [_served(entries, period, _first_served(entries, period)) for period in found]


def _first_served(entries: Sequence[Entry], period: Period) -> datetime:
    """When a version first came to where it went back to later: its approvals held then."""
    came = periods(entries, period.entry.model, period.environment)
    return min(one.since for one in came if one.version == period.version)


def _served(entries: Sequence[Entry], period: Period, came: datetime) -> dict[str, Any]:
    entry = period.entry
    before = entries[: entry.number]
    of_version = [one for one in before if (one.model, one.version) == (entry.model, period.version)]
    registered = next((one for one in of_version if one.event == "registered"), None)
    blessing = registered.details.get("blessing_sha256", "") if registered is not None else ""
    held = [
        one
        for one in approvals(of_version, entry.model, period.version, period.environment)
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
        "why": _why(period, registered, held),
    }


def _why(period: Period, registered: Entry | None, held: Sequence[Approval]) -> list[str]:
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
