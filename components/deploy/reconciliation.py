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

LEFT_OVER = "it was left by a run that did not finish"
_TOLD_BY = {"told_by": "the cluster"}  # the end of a promotion whose own run did not write it


@dataclass(frozen=True)
class Predecessor:
    """The promotion that another took over, and what became of its change.

    Attributes:
        lock: The promotion.
        state: ``undone``: what served before serves, alone; ``finished``: its version serves, whole, as it was to be
            promoted; ``open``: neither.
        reasons: Why it was undone, or is being undone; empty: it is not.
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

    A version that was undone, and of which no pod is reached any more, is recorded as ``undone`` by who took over, with
    the reasons; `record_undone` records later what is not yet. A version whose rollout the cluster has finished gets
    the environment's alias, and is recorded as ``promoted`` where the rollout is all that a promotion waits for: where
    there are smoke requests, their answers were not all checked. That needs a promotion that MLflow witnesses, and the
    image that was packaged.

    Returns:
        The promotion, which replaces what serves, and the one that it took over and whose change the cluster has; None
        if it took none over, or none that changed anything.

    Raises:
        LockLostError: this promotion was taken over itself.
    """
    model, claim, workload = promotion.version.model, promotion.claim, promotion.workload
    log = model.verified_log()
    if not claim.details.get("took_over"):
        return promotion, None
    promotion = _replacing_what_serves(promotion)
    overtaken = overtaken_locks(log.entries, claim)
    current = serving(workload, model.name) if overtaken else None
    lock = next((lock for lock in overtaken if current is not None and lock.run == current.run), None)
    if current is None or lock is None:
        return promotion, None
    reasons = undo_reasons(current, lock, log.entries)
    if reasons and lock.version not in current.ready:
        undone = Predecessor(lock, "undone", reasons)
        record_undone(promotion, undone)
        return promotion, undone
    is_whole = (
        not reasons and current.phase == "healthy" and current.set_to == lock.version and current.serves(lock.version)
    )
    version = model.version(lock.version)
    if is_whole and _is_proved(version, lock, image=current.image, log=log):
        _record_finished(promotion, lock, version=version, image=current.image)
        obj = workload.get(model.name)
        template = None if obj is None else workload.target.serving_template(workload.cluster, obj, changing=False)
        promotion = _replacing_what_serves(replace(promotion, previous_template=template))
        return promotion, Predecessor(lock, "finished")
    return promotion, Predecessor(lock, "open", reasons)


def record_undone(promotion: Promotion, predecessor: Predecessor) -> None:
    """Records that the version of a promotion that was taken over is undone, and restores the environment's aliases."""
    model, environment = promotion.version.model, promotion.environment
    lock, reason = predecessor.lock, "; ".join(predecessor.reasons) or LEFT_OVER
    assert_held(promotion.log, promotion.claim)
    alias = model.version_with_alias(environment)
    before = lock.replaces if alias is None or alias.number == lock.version else alias.number
    restored = "" if promotion.previous_template is None else before
    if alias is not None and alias.number == lock.version != restored:
        restore_alias(model, environment, version=restored)
    details = {"promotion": lock.id, "run": lock.run, "reason": reason, "restored": restored}
    details |= {"restored_image": promotion.previous_image} | (_TOLD_BY if predecessor.reasons else {})
    model.version(lock.version).log_event("undone", promotion.claim.actor, environment=environment, details=details)
    promotion.workload.progress(f"version {lock.version} (run {lock.run}) is recorded as undone: {reason}")


def _replacing_what_serves(promotion: Promotion) -> Promotion:
    """The promotion, replacing the version that has the environment's alias: a claim that took over names an older one.

    That is so where the cluster has finished a rollout before, which the claim that was taken over did not know of.
    """
    alias = promotion.version.model.version_with_alias(promotion.environment)
    is_other = alias is not None and alias.number != promotion.claim.version
    return replace(promotion, replaced=alias.number if alias is not None and is_other else "")


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
