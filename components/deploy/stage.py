"""The stage's one function: takes a released version live in an environment, or leaves what serves as it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from modelway.components.core.audit.chain import Entry
from modelway.components.core.audit.environments import periods, served_versions
from modelway.components.core.audit.lock import EnvironmentLockedError, PromotionLock, acquire, current_lock
from modelway.components.core.audit.log import BrokenLogError
from modelway.components.core.audit.registered_models import ModelVersion
from modelway.components.core.audit.release_evidence import release_evidence
from modelway.components.core.config.deploy_policy import EnvironmentName
from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError, UnavailableError
from modelway.components.deploy.cluster import Cluster, Object
from modelway.components.deploy.names import kubernetes_name
from modelway.components.deploy.preconditions import precondition_failures, recorded_image
from modelway.components.deploy.promotion import Attempt, deployed, refusal_of
from modelway.components.deploy.result import Deployed
from modelway.components.deploy.smoke import SmokeTraffic, smoke_policy
from modelway.components.deploy.smoke_requests import NoSmokeRequestsError, smoke_requests
from modelway.components.deploy.targets.base import RUN, annotation
from modelway.components.deploy.workload import Site

_LEFT = "it was left by a run that did not end"


def deploy(
    version: ModelVersion,
    environment: EnvironmentName,
    *,
    image: str = "",
    run: str,
    actor: str,
    policy: Policy | None = None,
    cluster: Cluster | None = None,
    progress: Callable[[str], None] = print,
    insecure: bool = False,
) -> Deployed:
    """Takes a registered, packaged version live, and follows it until it serves or is undone.

    Everything that it has to show is verified before anything is touched. A run that died midway is taken up where the
    cluster and the audit log are, by asking for the same with the same `run`.

    Args:
        version: The version.
        environment: Where it is to serve.
        image: Its image by digest; empty: as `package_model` recorded it.
        run: The run that deploys; the same when a task is tried again.
        actor: Who asks for it.
        policy: The promoter's policy; it may ask more than the one that the version was released with, not less.
        cluster: Where the environment is; the one that ``KUBECONFIG`` or the pod's account names unless given.
        progress: Takes a line whenever there is something to tell.
        insecure: Whether the registry is spoken to by plain HTTP; one on the machine itself always is.

    Returns:
        What came of it.

    Raises:
        UnavailableError: a service cannot be reached; run again with the same `run`.
        CredentialsError: a service refuses access.
        LockLostError: another promotion took the environment over; this one has stopped where it was.
    """
    started = time.monotonic()
    model = version.model
    entries = _entries(version)
    result = Deployed("refused", version.name, version.number, environment, image)

    def refused(reasons: tuple[str, ...]) -> Deployed:
        _record_refusal(version, replace(result, reasons=reasons), actor=actor, run=run)
        refusal = replace(result, reasons=reasons, seconds=time.monotonic() - started)
        progress(refusal.sentence())
        return refusal

    if by := _taken_over_by(entries, result, run=run):
        return refused((f"run {run} was taken over by {by}, and does not go on: ask with another run",))
    current = current_lock(entries, model.name, environment=environment)
    if current is None or (current.run, current.version) != (run, version.number):  # else it was verified when it began
        progress(f"verifying {version} for {environment}")
        if failures := precondition_failures(version, environment, image=image, policy=policy, insecure=insecure):
            return refused(failures)
    image = image or recorded_image(version)
    result = replace(result, image=image)
    policy = policy or release_evidence(version).policy
    site = site_of(model.name, environment, policy=policy, cluster=cluster, progress=progress)
    present = site.found(model.name)
    if current is None and _serves(entries, site, found=present, asked=result):
        progress(f"{version} serves in {environment} already")
        return replace(result, verdict="promoted", reasons=("it served there already",))
    try:
        smoke = _smoke(version, site) if _is_smoke(policy, environment) else None
        current_version = served_versions(model).get(environment)
        claim = acquire(
            model.audit_log,
            model=model.name,
            version=version.number,
            environment=environment,
            actor=actor,
            run=run,
            lease=lease(policy),
            replaces="" if current_version is None else current_version.number,
        )
    except (EnvironmentLockedError, NoSmokeRequestsError) as error:
        return refused((error.message,))
    attempt = Attempt(version, site, claim, environment, image, started, smoke=smoke)
    return _carry_out(attempt, current)


def site_of(
    model: str,
    environment: EnvironmentName,
    *,
    policy: Policy,
    cluster: Cluster | None,
    progress: Callable[[str], None],
) -> Site:
    """A model's place in an environment.

    Raises:
        ModelwayError: no cluster is known, or the model's name cannot be one there.
    """
    named = policy.environments[environment].namespace if environment in policy.environments else None
    cluster = cluster or Cluster.connect(named or f"modelway-{environment}")
    rules = smoke_policy(policy) if _is_smoke(policy, environment) else policy
    return Site(cluster, kubernetes_name(model), rules, progress)


def _is_smoke(policy: Policy, environment: EnvironmentName) -> bool:
    return environment in policy.environments and policy.environments[environment].traffic == "smoke"


def _smoke(version: ModelVersion, site: Site) -> SmokeTraffic:
    """What sends requests to the new pods, where the environment has no traffic.

    Raises:
        NoSmokeRequestsError: the version's evidence has no rows to send.
        CredentialsError: the account may not send them.
    """
    requests = smoke_requests(version)
    site.cluster.check_sending()
    return SmokeTraffic(site.cluster, requests, policy=site.policy)


def lease(policy: Policy) -> timedelta:
    """Longer than a rollout can last, with its rehearsal before it and its undoing after it."""
    asked = policy.deployment
    return timedelta(seconds=asked.timeout_seconds + 3 * asked.progress_deadline_seconds + 600)


def serving(site: Site, found: Object | None, *, before: PromotionLock | None) -> Object | None:
    """The pod template that serves; None if none does.

    Args:
        site: Where.
        found: The object; None if there is none.
        before: The promotion that the environment was claimed by until now, which may have changed the object.
    """
    if found is None:
        return None
    changing = before is not None and annotation(found, RUN) == before.run
    return site.target.served(site.cluster, found, changing=changing)


def _carry_out(attempt: Attempt, before: PromotionLock | None) -> Deployed:
    site, claim = attempt.site, attempt.claim
    entries = attempt.version.model.verified_entries()
    found = site.found(claim.model)
    attempt = replace(attempt, served=serving(site, found, before=before))
    if deployed(entries, claim) is not None and found is not None and not attempt.is_under_way(found):
        site.progress("an earlier task of this run had begun to undo it")
        reason = attempt.undoing(found) or f"{site.name} was changed by something else meanwhile"
        limit = site.policy.deployment.progress_deadline_seconds
        return attempt.undone((reason,), whole=attempt.served is None or site.settle(limit))
    if found is None or not attempt.is_under_way(found):
        if reasons := refusal_of(lambda: _changed(attempt, found)):
            return attempt.refuse(reasons)
    else:
        site.progress(f"{site.name} is asked for {attempt.image} already: it is followed")
    attempt.record_begun(entries)
    failed = attempt.follow()
    return attempt.undo(failed) if failed else attempt.complete("promoted")


def _changed(attempt: Attempt, found: Object | None) -> tuple[str, ...]:
    """Begins the change, once the way back has been tried; why it is not begun, empty if it is."""
    site = attempt.site
    if found is not None and attempt.served is not None and site.state(found).phase != "healthy":
        site.progress(f"what serves is put back first, in place of {site.image(found)}: {_LEFT}")
        if not site.undo(site.image(found), attempt.served, reason=_LEFT):
            return (f"{site.name} is not whole, and does not come to be: repair it first",)
    if reasons := attempt.rehearsed():
        return reasons
    attempt.begin(site.found(attempt.claim.model), plain=False)
    return ()


def _serves(entries: list[Entry], site: Site, *, found: Object | None, asked: Deployed) -> bool:
    """Whether the version serves whole, by the audit log and by the cluster."""
    served = periods(entries, asked.model, environment=asked.environment)
    if found is None or not served or served[-1].version != asked.version:
        return False
    return site.image(found) == asked.image and site.state(found).phase == "healthy"


def _taken_over_by(entries: list[Entry], asked: Deployed, *, run: str) -> str:
    """What took a run's last promotion over, which its task, tried again, must not repeat; empty if nothing did."""
    about = (asked.model, asked.environment)
    begun = [one for one in entries if one.event == "promotion.begun" and (one.model, one.environment) == about]
    mine = [one for one in begun if (one.version, one.details.get("run")) == (asked.version, run)]
    over = next((one for one in begun if mine and one.details.get("took_over") == mine[-1].sha256()), None)
    return "" if over is None else f"{over.actor} (run {over.details.get('run')}: {over.details.get('reason')})"


def _entries(version: ModelVersion) -> list[Entry]:
    """The log's entries; none of a broken one, which is among what is verified."""
    try:
        return version.model.verified_entries()
    except BrokenLogError:
        return []


def _record_refusal(version: ModelVersion, refused: Deployed, *, actor: str, run: str) -> None:
    details = {"image": refused.image, "run": run, "reason": "; ".join(refused.reasons)}
    try:
        version.log_event("refused", actor, environment=refused.environment, details=details)
    except ModelwayError as error:
        if isinstance(error, UnavailableError):
            raise
