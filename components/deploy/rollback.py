"""Rolls back to a version that served before: at once, without steps, taking over a promotion in progress."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from modelway.components.core.audit.environments import Period, has_provably_served, periods, unwitnessed_service
from modelway.components.core.audit.lock import acquire, current_lock
from modelway.components.core.audit.package_records import recorded_image
from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.audit.witness import not_witnessed
from modelway.components.core.config.deploy_policy import EnvironmentName
from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError, NotFoundError
from modelway.components.deploy.cluster import Cluster, Object
from modelway.components.deploy.preconditions import image_failures
from modelway.components.deploy.promotion import Promotion, failures_of
from modelway.components.deploy.result import DeployResult
from modelway.components.deploy.room import NoRoomError
from modelway.components.deploy.stage import lease, template_in_service, workload_of


def rollback(
    model: RegisteredModel,
    environment: EnvironmentName,
    *,
    actor: str,
    reason: str,
    to: str = "",
    take_over: bool = True,
    policy: Policy | None = None,
    cluster: Cluster | None = None,
    progress: Callable[[str], None] = print,
    insecure: bool = False,
) -> DeployResult:
    """Rolls an environment back to a version that it has served before.

    The version's image is verified; approvals are not required again. Pods are replaced one by one, none before another
    is ready, without the steps and the analysis of a promotion: what was judged once is not judged again while users
    wait.

    Args:
        model: The registered model.
        environment: The environment.
        actor: Who requested the rollback.
        reason: Why.
        to: The version; empty: the last one that served well, and was neither undone nor rolled back from since.
        take_over: Whether to take over a promotion in progress.
        policy: Says how the environment is reached; by default the version's released policy.
        cluster: The environment's cluster; by default the one of ``KUBECONFIG`` or of the pod's service account.
        progress: Called with each line of progress.
        insecure: Whether to talk to the registry over plain HTTP; one on the machine itself always is.

    Returns:
        The deploy result: ``rolled-back``; ``undone`` where the version did not start, and what served still serves
        (``inconclusive`` where there was no room for it);
        ``refused`` where its image does not verify.

    Raises:
        ModelwayError: no version was served before, or not the requested one, or no reason is given.
        EnvironmentLockedError: a promotion is in progress and is not to be taken over.
        UnavailableError: a service cannot be reached; run again.
        CredentialsError: a service refuses access.
    """
    started_at = time.monotonic()
    if not reason.strip():
        raise ModelwayError("a rollback needs a reason", key="reason", remedy="say why")
    log = model.verified_log()
    history = periods(log.entries, model.name, environment=environment)
    version = model.version(
        to or _previous_version(history, model.name, environment=environment, witnessed=log.witnessed)
    )
    if not has_provably_served(log, model.name, environment=environment, version=version.number):
        number = unwitnessed_service(log, model.name, environment=environment, version=version.number)
        note = f": {not_witnessed(number)}" if number else ""
        raise NotFoundError(
            f"{environment} has not served {version}{note}",
            value=version.number,
            remedy="`modelway history` lists what it has served; promote other versions instead",
        )
    image = recorded_image(version)
    if failures := tuple(image_failures(version, image, insecure=insecure)):
        details = {"image": image, "reason": "; ".join(failures)}
        version.log_event("refused", actor, environment=environment, details=details)
        result = DeployResult("refused", model.name, version.number, environment, image)
        return replace(result, reasons=failures, seconds=time.monotonic() - started_at)
    workload = workload_of(version, environment, policy=policy, cluster=cluster, progress=progress)
    obj = workload.get(model.name)
    previous_claim = current_lock(log.entries, model.name, environment=environment)
    template = template_in_service(workload, obj, previous_claim=previous_claim)
    claim = acquire(
        model.audit_log,
        model=model.name,
        version=version.number,
        environment=environment,
        actor=actor,
        run=f"rollback-{datetime.now(UTC):%Y%m%d-%H%M%S}",
        lease=lease(workload.policy),
        replaces=history[-1].version,
        take_over=reason if take_over else "",
    )
    promotion = Promotion(version, workload, claim, environment, image, started_at, template)
    if obj is not None and promotion.previous_image == promotion.image:
        promotion.list_releases()
        return promotion.return_to_previous(obj, reason=reason)
    if reasons := failures_of(lambda: _start(promotion, obj)):
        return promotion.refuse(reasons)
    promotion.record_deployed([])
    try:
        reasons = promotion.follow(make_room=True)
    except NoRoomError as error:
        return promotion.undo((error.message,), inconclusive=True)
    if reasons:
        return promotion.undo(reasons)
    return replace(promotion.complete("rolled-back", reason), reasons=(reason,))


def _start(promotion: Promotion, obj: Object | None) -> tuple[str, ...]:
    """Starts the rollback; returns why it was not started, empty if it was."""
    promotion.list_releases()
    promotion.start(obj, immediate=True)
    return ()


def _previous_version(history: list[Period], model: str, *, environment: str, witnessed: int) -> str:
    """The last version that served well before the current one; one in progress counts as the current one.

    Of a version that served several times the last time counts: what was undone or rolled back from is not gone back to
    until it has served well again. After an undo in part it is the version that the undo was to restore.
    """
    if history and history[-1].entry.event == "undone-in-part":
        return history[-1].version
    latest: dict[str, Period] = {}
    for period in history:
        latest.pop(period.version, None)
        latest[period.version] = period
    current = latest.popitem()[0] if latest else ""
    for version, period in reversed(latest.items()):
        if period.served_well and period.entry.number <= witnessed:
            return version
    reasons = "".join(f"; version {version} {_end(period)}" for version, period in latest.items() if _end(period))
    raise NotFoundError(
        f"{environment} has served no other version of {model} well before {current or 'any'}{reasons}",
        remedy="promote another version, or name the one to go back to with --to (`modelway history` lists them)",
    )


def _end(period: Period) -> str:
    """How a version's service ended, where not by the promotion of another."""
    return "was undone" if period.undone else "was rolled back from" if period.rolled_back else ""
