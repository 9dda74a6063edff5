"""The promotion lock: one promotion at a time in an environment, acquired and released by entries of the audit log.

The lock is the entry ``promotion.begun``, written right after the head that its writer has read: of two promotions at
once exactly one wins, and the other finds the lock and is refused. ``promoted``, ``undone``, ``undone-in-part``,
``rolled-back`` or ``refused`` releases it. If a run dies in between, the lock stays held: the same run gets it again;
another run may take it over once its lease has expired, or earlier with a person's reason (leases: Gray and Cheriton,
1989). A run whose lock was taken over learns that from `assert_held`, and can no longer release it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from modelway.components.core.audit.chain import Entry, Head
from modelway.components.core.audit.log import TRIES, AuditLog, HeadMovedError
from modelway.components.core.config.deploy_policy import EnvironmentName
from modelway.components.core.errors import ModelwayError

End = Literal["promoted", "undone", "undone-in-part", "rolled-back", "refused"]
_ENDS = frozenset(get_args(End))


class PromotionLock(Entry):
    """A promotion's exclusive hold of an environment: the entry ``promotion.begun`` that acquired it."""

    @property
    def id(self) -> str:
        """The hash of the entry, which the entry that releases it names."""
        return self.sha256()

    @property
    def run(self) -> str:
        """The run that promotes."""
        return self.details.get("run", "")

    @property
    def until(self) -> datetime:
        """When another run may take it over."""
        return datetime.fromisoformat(self.details.get("until", self.at))

    @property
    def replaces(self) -> str:
        """The version that was served when it was acquired, to go back to; empty if none was."""
        return self.details.get("replaces", "")

    def __str__(self) -> str:
        return (
            f"the promotion of version {self.version} of {self.model} to {self.environment} by {self.actor} "
            f"(run {self.run}, begun {self.time:%Y-%m-%d %H:%M} UTC)"
        )


class EnvironmentLockedError(ModelwayError):
    """Another promotion holds the environment's lock."""


class LockLostError(ModelwayError):
    """The lock was taken over or released: its run must change nothing any more."""


def current_lock(entries: Iterable[Entry], model: str, *, environment: str) -> PromotionLock | None:
    """The lock that is held on an environment; None if there is none."""
    current: PromotionLock | None = None
    for entry in entries:
        if (entry.model, entry.environment) != (model, environment):
            continue
        if entry.event == "promotion.begun":
            current = PromotionLock(**dict(entry))
        elif entry.event in _ENDS and current is not None and entry.details.get("promotion") == current.id:
            current = None
    return current


def end_of(entries: Iterable[Entry], lock: PromotionLock) -> Entry | None:
    """The entry that released a lock or took it over; None while it is held."""
    for entry in entries:
        releases = entry.event in _ENDS and entry.details.get("promotion") == lock.id
        if releases or entry.details.get("took_over") == lock.id:
            return entry
    return None


def overtaken_locks(entries: Iterable[Entry], lock: PromotionLock) -> list[PromotionLock]:
    """The locks of other runs that a lock took over and whose end is not in the log, the latest first."""
    begun: dict[str, PromotionLock] = {}
    ended: set[str] = set()
    for entry in entries:
        if (entry.model, entry.environment) == (lock.model, lock.environment):
            if entry.event == "promotion.begun":
                begun[entry.sha256()] = PromotionLock(**dict(entry))
            elif entry.event in _ENDS:
                ended.add(entry.details.get("promotion", ""))
    chain: list[PromotionLock] = []
    overtaken = begun.get(lock.details.get("took_over", ""))
    while overtaken is not None and overtaken.number < lock.number:
        if overtaken.id not in ended and (overtaken.run, overtaken.version) != (lock.run, lock.version):
            chain.append(overtaken)
        overtaken = begun.get(overtaken.details.get("took_over", ""))
    return chain


def acquire(
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
    """Acquires an environment's lock for the promotion of a version; the run that holds it already gets it again.

    Args:
        log: The store's audit log.
        model: The registered model's name.
        version: The version to promote.
        environment: The environment.
        actor: Who asks for the promotion.
        run: The run that promotes; the same when a task is retried.
        lease: For how long others may not take over without a reason: longer than a promotion can last.
        replaces: The version that is served there now; of a lock that is taken over, the version that it names counts.
        take_over: A person's reason for taking over a held lock before its lease expires.
        now: The time; the clock's unless given.

    Raises:
        EnvironmentLockedError: another promotion holds the lock.
        BrokenLogError: the audit log is broken.
    """
    about = {"model": model, "version": version, "environment": environment}
    for _ in range(TRIES):
        moment = now or datetime.now(UTC)
        entries, head = log.verified_entries(model)
        current = current_lock(entries, model, environment=environment)
        details = {"run": run, "replaces": replaces, "until": (moment + lease).isoformat(timespec="seconds")}
        if current is not None:
            stale = moment >= current.until
            if not stale and (current.run, current.version) == (run, version):
                return current
            if not stale and not take_over:
                raise EnvironmentLockedError(
                    f"{environment} is locked by {current} until {current.until:%Y-%m-%d %H:%M} UTC",
                    value=current.id[:12],
                    remedy="wait until it has ended; if its run has died, run that again, or take it over with "
                    "`modelway promote … --take-over REASON`",
                )
            reason = take_over or f"its lease expired at {current.until:%Y-%m-%d %H:%M} UTC"
            details |= {"took_over": current.id, "reason": reason, "replaces": current.replaces}
        with suppress(HeadMovedError):
            entry = log.append("promotion.begun", actor, **about, details=details, expected=head)
            return PromotionLock(**dict(entry))
        _wait()
    raise log.too_busy()


def assert_held(log: AuditLog, lock: PromotionLock) -> Head:
    """Makes sure that a promotion still holds its lock; to be called before each step that changes something.

    Returns:
        The log's head at which it does.

    Raises:
        LockLostError: another promotion took it over, or it was released.
    """
    entries, head = log.verified_entries(lock.model)
    current = current_lock(entries, lock.model, environment=lock.environment)
    if current is not None and current.id == lock.id:
        return head
    end = f"was taken over by {current}" if current is not None else "has ended"
    raise LockLostError(
        f"{lock} {end}",
        value=lock.id[:12],
        remedy="let this run end; `modelway history` says what is served now",
    )


def release(
    log: AuditLog, lock: PromotionLock, *, event: End, actor: str, details: Mapping[str, str] | None = None
) -> Entry:
    """Ends a promotion and releases its lock; calling it again returns the entry that did.

    The entry's details are ``image``, ``reason``, ``restored`` (what is served again), and so on.

    Raises:
        LockLostError: another promotion took it over, or it ended in another way.
    """
    about = lock.model_dump(include={"model", "version", "environment"})
    details = {**(details or {}), "promotion": lock.id}
    for _ in range(TRIES):
        try:
            return log.append(event, actor, **about, details=details, expected=assert_held(log, lock))
        except LockLostError:
            for entry in log.entries():
                if entry.event == event and entry.details.get("promotion") == lock.id:
                    return entry
            raise
        except HeadMovedError:
            _wait()
    raise log.too_busy()


def _wait() -> None:
    time.sleep(random.uniform(0, 0.1))  # noqa: S311 - who waits longer is no secret
