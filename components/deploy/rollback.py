"""One call back to a version that served before: at once, without steps, taking over whatever is under way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from modelway.components.core.audit.environments import Period, periods
from modelway.components.core.audit.lock import acquire, assert_held, current_lock
from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.audit.release_evidence import release_evidence
from modelway.components.core.config.deploy_policy import EnvironmentName
from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError, NotFoundError
from modelway.components.deploy.cluster import Cluster, Object
from modelway.components.deploy.preconditions import image_problems, recorded_image
from modelway.components.deploy.promotion import Attempt, refusal_of
from modelway.components.deploy.result import Deployed
from modelway.components.deploy.stage import lease, serving, site_of
from modelway.components.deploy.targets.base import image_of


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
) -> Deployed:
    """Goes back to a version that an environment has served before.

    Its image is verified; approvals are not asked again. Pods are replaced one by one, none before another is ready,
    without the steps and the analysis of a promotion: what was judged once is not judged again while users wait.

    Args:
        model: The registered model.
        environment: Where.
        actor: Who asks for it.
        reason: Why.
        to: The version; empty: the one that served before the present one.
        take_over: Whether a promotion that is under way is taken over.
        policy: Says how the environment is reached; the released one of the version unless given.
        cluster: Where the environment is; the one that ``KUBECONFIG`` or the pod's account names unless given.
        progress: Takes a line whenever there is something to tell.
        insecure: Whether the registry is spoken to by plain HTTP; one on the machine itself always is.

    Returns:
        What came of it: ``rolled-back``; ``undone`` where the version did not come up, and what served serves on;
        ``refused`` where its image does not verify.

    Raises:
        ModelwayError: no version was served before, or not the one that was asked for, or no reason is given.
        EnvironmentLockedError: a promotion is under way and is not to be taken over.
        UnavailableError: a service cannot be reached; run again.
        CredentialsError: a service refuses access.
    """
    started = time.monotonic()
    if not reason.strip():
        raise ModelwayError("a rollback without a reason says nothing", key="reason", remedy="say why")
    entries = model.verified_entries()
    history = periods(entries, model.name, environment=environment)
    version = model.version(to or _before(history, model.name, environment=environment))
    if all(period.version != version.number for period in _judged(history)):
        raise NotFoundError(
            f"{environment} has not served {version}",
            value=version.number,
            remedy="`modelway history` lists what it has served; another version is promoted, not rolled back to",
        )
    image = recorded_image(version)
    if problems := image_problems(version, image, insecure=insecure):
        details = {"image": image, "reason": "; ".join(problems)}
        version.log_event("refused", actor, environment=environment, details=details)
        seconds = time.monotonic() - started
        about = (model.name, version.number, environment, image)
        return Deployed("refused", *about, reasons=tuple(problems), seconds=seconds)
    policy = policy or release_evidence(version).policy
    site = site_of(model.name, environment, policy=policy, cluster=cluster, progress=progress)
    present = site.found(model.name)
    before = current_lock(entries, model.name, environment=environment)
    served = serving(site, present, before=before)
    run = f"rollback-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    over = reason if take_over else ""
    claim = acquire(
        model.audit_log,
        model=model.name,
        version=version.number,
        environment=environment,
        actor=actor,
        run=run,
        lease=lease(policy),
        replaces=history[-1].version,
        take_over=over,
    )
    attempt = Attempt(version, site, claim, environment, image, started, served)
    if reasons := refusal_of(lambda: _begin(attempt, present, reason=reason)):
        return attempt.refuse(reasons)
    attempt.record_begun([])
    if failed := attempt.follow():
        return attempt.undo(failed)
    return replace(attempt.complete("rolled-back", reason), reasons=(reason,))


def _begin(attempt: Attempt, present: Object | None, *, reason: str) -> tuple[str, ...]:
    """Asks the cluster for the version: by undoing what is under way where that is in its place, else by a change."""
    site, served = attempt.site, attempt.served
    if present is not None and served is not None and image_of(served) == attempt.image:
        assert_held(attempt.log, attempt.claim)
        if site.image(present) != attempt.image:
            site.undo(site.image(present), served, reason=reason)
    else:
        attempt.begin(present, plain=True)
    return ()


def _before(served: list[Period], model: str, *, environment: str) -> str:
    """The version that served before the present one, having been judged: one that is under way is the present one."""
    present = served[-1].version if served else ""
    for one in reversed(_judged(served)):
        if one.version != present:
            return one.version
    raise NotFoundError(
        f"{environment} has served no version of {model} before {present or 'any'}",
        remedy="promote another version, or name the one to go back to",
    )


def _judged(served: list[Period]) -> list[Period]:
    """The times that a version served to the end of its rollout."""
    return [one for one in served if one.entry.event != "deployed" and not one.undone]
