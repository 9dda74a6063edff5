"""One promotion at a time: an environment is claimed by an entry of the audit log, and given free by another.

A claim is the entry ``promotion.begun``, written right after the end of the log that its writer has read: of two
promotions at once exactly one wins, and the other finds the claim and is refused. ``promoted``, ``undone``,
``rolled-back`` or ``refused`` ends it. Where a run dies in between, the claim stays open: the same run takes it up
again; any other may take it over once its time is up, or before that with a person's reason (leases: Gray and Cheriton,
1989). A run that was taken over finds out when it asks whether it still holds the claim, and cannot end it any more.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from modelway.components.core.audit.log import AuditLog, Entry, Head, HeadMovedError
from modelway.components.core.config.deploy_policy import EnvironmentName
from modelway.components.core.errors import ModelwayError, UnavailableError

End = Literal["promoted", "undone", "rolled-back", "refused"]
_ENDS = {"promoted", "undone", "rolled-back", "refused"}
_TRIES = 200


@dataclass(frozen=True)
class PromotionLock:
    """An environment that a promotion has for itself.

    Attributes:
        id: What its entries are known by: the SHA-256 of the entry that began it.
        model: The registered model's name.
        version: The version that is promoted.
        environment: Where to.
        run: The run that promotes.
        actor: Who asked for it.
        since: When it began.
        until: When another run may take it over.
        replaces: The version that was served when it began, to go back to; empty if none was.
    """

    id: str
    model: str
    version: str
    environment: str
    run: str
    actor: str
    since: datetime
    until: datetime
    replaces: str

    @classmethod
    def of(cls, entry: Entry) -> PromotionLock:
        """The claim that an entry made."""
        details = entry.details
        return cls(
            id=entry.sha256(),
            model=entry.model,
            version=entry.version,
            environment=entry.environment,
            run=details.get("run", ""),
            actor=entry.actor,
            since=entry.time,
            until=datetime.fromisoformat(details["until"]) if "until" in details else entry.time,
            replaces=details.get("replaces", ""),
        )

    def __str__(self) -> str:
        return (
            f"the promotion of version {self.version} of {self.model} to {self.environment} by {self.actor} "
            f"(run {self.run}, begun {self.since:%Y-%m-%d %H:%M} UTC)"
        )


class PromotionOpenError(ModelwayError):
    """Another promotion has the environment."""


class LockLostError(ModelwayError):
    """The promotion was taken over or has ended: its run must touch nothing any more."""


def current_lock(entries: Iterable[Entry], model: str, *, environment: str) -> PromotionLock | None:
    """The promotion that an environment is claimed by; None if it is free."""
    found: PromotionLock | None = None
    for entry in entries:
        if (entry.model, entry.environment) != (model, environment):
            continue
        if entry.event == "promotion.begun":
            found = PromotionLock.of(entry)
        elif entry.event in _ENDS and found is not None and entry.details.get("promotion") == found.id:
            found = None
    return found


def begin(
    log: AuditLog,
    *,
    model: str,
    version: str,
    environment: EnvironmentName,
    actor: str,
    run: str,
    lease: timedelta,
    replaces: str = "",
    take_over: str = "",
    now: datetime | None = None,
) -> PromotionLock:
    """Claims an environment for the promotion of a version; the run that has it already gets its claim again.

    Args:
        log: The store's audit log.
        model: The registered model's name.
        version: The version to promote.
        environment: Where to.
        actor: Who asks for it.
        run: The run that promotes; the same when a task is tried again.
        lease: How long others are kept from taking over: longer than a promotion can last.
        replaces: The version that is served there now; that of a promotion that is taken over counts instead.
        take_over: A person's reason for taking over an open promotion before its time is up.
        now: The time; the clock's unless given.

    Raises:
        PromotionOpenError: another promotion has the environment.
        BrokenLogError: the audit log is broken.
    """
    for _ in range(_TRIES):
        moment = now or datetime.now(UTC)
        entries, head = log.verified_entries(model)
        current = current_lock(entries, model, environment=environment)
        details = {"run": run, "replaces": replaces, "until": (moment + lease).isoformat(timespec="seconds")}
        if current is not None:
            stale = moment >= current.until
            if (current.run, current.version) == (run, version) and not stale and not take_over:
                return current
            if not stale and not take_over:
                raise PromotionOpenError(
                    f"{environment} is being changed: {current} is open until {current.until:%Y-%m-%d %H:%M} UTC",
                    value=current.id[:12],
                    remedy="wait until it has ended; if its run has died, run that again or take it over with a reason",
                )
            reason = take_over or f"its time was up at {current.until:%Y-%m-%d %H:%M} UTC"
            details |= {"took_over": current.id, "reason": reason, "replaces": current.replaces}
        try:
            about = {"model": model, "version": version, "environment": environment}
            return PromotionLock.of(log.append("promotion.begun", actor, **about, details=details, expected=head))
        except HeadMovedError:
            _wait()
    raise _busy(log)


def assert_held(log: AuditLog, claim: PromotionLock) -> Head:
    """Makes sure that a promotion still has its environment; to be asked before each step that changes something.

    Returns:
        The end of the log at which it does.

    Raises:
        LockLostError: another promotion took it over, or it has ended.
    """
    entries, head = log.verified_entries(claim.model)
    current = current_lock(entries, claim.model, environment=claim.environment)
    if current is not None and current.id == claim.id:
        return head
    by = f"was taken over by {current}" if current is not None else "has ended"
    raise LockLostError(
        f"{claim} {by}",
        value=claim.id[:12],
        remedy="let this run end; `modelway history` says what is served now",
    )


def release(
    log: AuditLog, claim: PromotionLock, *, event: End, actor: str, details: Mapping[str, str] | None = None
) -> Entry:
    """Ends a promotion and gives the environment free; running it again gives the entry that ended it.

    Args:
        log: The store's audit log.
        claim: The promotion.
        event: How it ended.
        actor: Who ended it: a person or a service.
        details: What else there is to say: ``image``, ``reason``, ``restored`` (what is served again), and so on.

    Raises:
        LockLostError: another promotion took it over, or it has ended otherwise.
    """
    for _ in range(_TRIES):
        try:
            head = assert_held(log, claim)
            return log.append(
                event,
                actor,
                model=claim.model,
                version=claim.version,
                environment=claim.environment,
                details={**(details or {}), "promotion": claim.id},
                expected=head,
            )
        except LockLostError:
            ended = [one for one in log.entries() if one.event == event and one.details.get("promotion") == claim.id]
            if ended:
                return ended[0]
            raise
        except HeadMovedError:
            _wait()
    raise _busy(log)


def _wait() -> None:
    time.sleep(random.uniform(0, 0.1))  # noqa: S311 - who waits longer is no secret


def _busy(log: AuditLog) -> UnavailableError:
    return UnavailableError(
        f"{_TRIES} times somebody else wrote to the audit log first",
        file=log.folder,
        remedy="run again when less is going on",
    )
