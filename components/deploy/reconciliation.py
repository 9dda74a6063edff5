"""The record and the cluster brought together: what a promotion that did not end became, as the cluster tells it.

A task may die while the cluster goes on: Argo undoes the version, or completes it. Whoever takes the promotion over
records its end first, so that the log says what serves and why.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from modelway.components.core.audit.chain import Entry
from modelway.components.core.audit.environments import point_environment_at, restore_alias
from modelway.components.core.audit.lock import PromotionLock, assert_held, overtaken_locks
from modelway.components.core.audit.package_records import recorded_image
from modelway.components.core.audit.registered_models import ModelVersion
from modelway.components.core.audit.witness import VerifiedLog
from modelway.components.core.errors import ModelwayError, UnavailableError
from modelway.components.deploy.promotion import Promotion
from modelway.components.deploy.serving import Serving, serving
from modelway.components.deploy.targets.base import VERSION, annotation

_TOLD_BY = {"told_by": "the cluster"}  # the end of a promotion whose own run did not write it


@dataclass(frozen=True)
class Predecessor:
    """The promotion that another took over, and what became of its change.

    Attributes:
        lock: The promotion.
        state: ``undone``: what served before serves; ``finished``: its version serves, whole, as it was to be
            promoted; ``open``: neither.
        reasons: Why it was undone.
    """

    lock: PromotionLock
    state: Literal["undone", "finished", "open"]
    reasons: tuple[str, ...] = ()


def undo_reasons(serving: Serving, lock: PromotionLock, entries: Iterable[Entry]) -> tuple[str, ...]:
    """Why the version of a promotion was undone, by the cluster or by its run, which did not record it.

    Args:
        serving: What the cluster serves.
        lock: The promotion.
        entries: The audit log's.

    Returns:
        The reasons; none if it was not undone.
    """
    if serving.run != lock.run:
        return ()
    begun = [entry for entry in entries if (entry.event, entry.details.get("promotion")) == ("undoing", lock.id)]
    reason = begun[-1].details.get("reason", "") if begun else serving.undo_reason
    if serving.undone and serving.set_to == lock.version:
        return (reason,) if reason else serving.reasons
    gone = serving.set_to != lock.version or lock.version not in serving.ready
    return (reason,) if reason and gone else ()


def settle_predecessor(promotion: Promotion) -> tuple[Promotion, Predecessor | None]:
    """Records how the promotion ended that this one took over, where the cluster tells it.

    A version that was undone is recorded as ``undone`` (``undone-in-part`` while its pods are still reached), by who
    took over, with the reasons. A version whose rollout the cluster has finished gets the environment's alias, and is
    recorded as ``promoted`` where the rollout is all that a promotion waits for: where there are smoke requests, their
    answers were not all checked. That needs a promotion that MLflow witnesses, and the image that was packaged.

    Returns:
        The promotion, which replaces what serves, and the one that it took over and whose change the cluster has; None
        if it took none over, or none that changed anything.

    Raises:
        LockLostError: this promotion was taken over itself.
    """
    model, claim, workload = promotion.version.model, promotion.claim, promotion.workload
    log = model.verified_log()
    overtaken = overtaken_locks(log.entries, claim)
    current = serving(workload, model.name) if overtaken else None
    lock = next((lock for lock in overtaken if current is not None and lock.run == current.run), None)
    if current is None or lock is None:
        return promotion, None
    if reasons := undo_reasons(current, lock, log.entries):
        record_undone(promotion, lock, reasons=reasons, serving=current)
        return promotion, Predecessor(lock, "undone", reasons)
    is_whole = current.phase == "healthy" and current.set_to == lock.version and current.serves(lock.version)
    version = model.version(lock.version)
    if is_whole and _is_proved(version, lock, image=current.image, log=log):
        _record_finished(promotion, lock, version=version, image=current.image)
        obj = workload.get(model.name)
        template = None if obj is None else workload.target.serving_template(workload.cluster, obj, changing=False)
        replaced = "" if lock.version == claim.version else lock.version
        return replace(promotion, previous_template=template, replaced=replaced), Predecessor(lock, "finished")
    return promotion, Predecessor(lock, "open")


def record_undone(
    promotion: Promotion, lock: PromotionLock, *, reasons: tuple[str, ...], serving: Serving | None = None
) -> None:
    """Records that the version of a promotion that was taken over is undone, and restores the environment's aliases.

    Args:
        promotion: The promotion that took over.
        lock: The one that was taken over.
        reasons: Why its version was undone.
        serving: What the cluster serves; None: what served before, since this promotion has restored it.
    """
    model, environment, template = promotion.version.model, promotion.environment, promotion.previous_template
    restored = "" if template is None else annotation(template, VERSION) or lock.replaces
    assert_held(promotion.log, promotion.claim)
    alias = model.version_with_alias(environment)
    if alias is not None and alias.number == lock.version != restored:
        restore_alias(model, environment, version=restored)
    is_reached = serving is not None and lock.version in serving.ready
    details = {"promotion": lock.id, "run": lock.run, "reason": "; ".join(reasons), "restored": restored}
    details |= {"restored_image": promotion.previous_image} | (_TOLD_BY if serving is not None else {})
    if is_reached and serving is not None:
        details["pods"] = serving.pods()
    model.version(lock.version).log_event(
        "undone-in-part" if is_reached else "undone", promotion.claim.actor, environment=environment, details=details
    )
    teller = "the cluster tells: " if serving is not None else ""
    promotion.workload.progress(f"{teller}version {lock.version} (run {lock.run}) was undone: {details['reason']}")


def _record_finished(promotion: Promotion, lock: PromotionLock, *, version: ModelVersion, image: str) -> None:
    """Points the environment's aliases at a version whose rollout the cluster has finished, and records what it may."""
    assert_held(promotion.log, promotion.claim)
    point_environment_at(version, promotion.environment)
    promotion.workload.progress(f"the cluster tells: version {lock.version} (run {lock.run}) serves")
    if promotion.smoke is None:
        reason = f"the cluster finished the rollout that {lock.actor} began"
        details = {"promotion": lock.id, "run": lock.run, "image": image, "reason": reason, **_TOLD_BY}
        version.log_event("promoted", promotion.claim.actor, environment=promotion.environment, details=details)


def _is_proved(version: ModelVersion, lock: PromotionLock, *, image: str, log: VerifiedLog) -> bool:
    """Whether what serves is what a promotion had verified: its begin is witnessed, and its image the packaged one."""
    try:
        return lock.number <= log.witnessed and image == recorded_image(version)
    except UnavailableError:
        raise
    except ModelwayError:
        return False
