"""Deploys a released version to an environment, or leaves what serves there as it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from modelway.components.core.audit.chain import Entry
from modelway.components.core.audit.environments import environment_named, periods
from modelway.components.core.audit.lock import (
    EnvironmentLockedError,
    LockLostError,
    PromotionLock,
    acquire,
    current_lock,
    overtaken_locks,
)
from modelway.components.core.audit.log import BrokenLogError
from modelway.components.core.audit.opened_version import opened, try_open
from modelway.components.core.audit.package_records import recorded_image
from modelway.components.core.audit.registered_models import ModelVersion, RegisteredModel
from modelway.components.core.audit.witness import VerifiedLog
from modelway.components.core.config.deploy_policy import EnvironmentName
from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError, UnavailableError
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.deploy.analysis import prometheus_address
from modelway.components.deploy.cluster import Cluster, Object
from modelway.components.deploy.objects import kubernetes_name
from modelway.components.deploy.preconditions import precondition_failures
from modelway.components.deploy.promotion import Promotion, failures_of
from modelway.components.deploy.promotion_entries import deployed_entry, is_inconclusive, undoing_entry
from modelway.components.deploy.reconciliation import LEFT_OVER, Predecessor, record_undone, settle_predecessor
from modelway.components.deploy.result import DeployResult
from modelway.components.deploy.room import NoRoomError
from modelway.components.deploy.smoke import SmokeTraffic, smoke_policy
from modelway.components.deploy.smoke_requests import NoSmokeRequestsError, smoke_requests
from modelway.components.deploy.targets.annotations import changing_run
from modelway.components.deploy.workload import UNDO_DEADLINES, Workload, namespace_of

_ACTOR = "deploy_model"


def deploy_in_task(
    *,
    store: str,
    model: str,
    version: str,
    environment: str,
    run: str,
    policy: str = "",
    image: str = "",
    requested_by: str = "",
    insecure: bool = False,
) -> DeployResult:
    """Deploys as `deploy` does, from a task of `deploy_model`, and keeps the result in the store, whatever it is.

    The arguments are the task's. Without `requested_by`, the task itself requested the deployment.

    Raises:
        ModelwayError: there is no such environment, or what `deploy` raises.
    """
    environment_name, promoter_policy = environment_named(environment), Policy.load(policy) if policy else None
    result = deploy(
        RegisteredModel(model, store, Tracking.from_environment()).version(version),
        environment_name,
        image=image,
        run=run,
        actor=requested_by or _ACTOR,
        policy=promoter_policy,
        progress=lambda line: print(line, flush=True),  # noqa: T201 - a task's log
        insecure=insecure,
    )
    result.record(run).write(store, run)
    return result


def deploy(
    version: ModelVersion,
    environment: EnvironmentName,
    *,
    image: str = "",
    run: str,
    actor: str,
    policy: Policy | None = None,
    cluster: Cluster | None = None,
    take_over: str = "",
    progress: Callable[[str], None] = print,
    insecure: bool = False,
) -> DeployResult:
    """Deploys a registered, packaged version, and follows the rollout until the version serves or is undone.

    All preconditions are checked before anything is changed. Calling again with the same `run` resumes a run that died
    midway, from the state of the cluster and the audit log.

    Args:
        version: The version.
        environment: The environment to deploy to.
        image: Its image by digest; empty: the one that `package_model` recorded.
        run: The run that deploys; the same when a task is retried.
        actor: Who requested the deployment.
        policy: The promoter's policy; it may be stricter than the released one, not weaker.
        cluster: The environment's cluster; by default the one of ``KUBECONFIG`` or of the pod's service account.
        take_over: A person's reason for taking over the promotion in progress, whose run has died; empty: it is left
            alone until its lease expires.
        progress: Called with each line of progress.
        insecure: Whether to talk to the registry over plain HTTP; one on the machine itself always is.

    Returns:
        The deploy result; ``undone`` too where another promotion took the environment over: this one has stopped where
        it was, and what serves is for the other to say.

    Raises:
        UnavailableError: a service cannot be reached; run again with the same `run`.
        CredentialsError: a service refuses access.
    """
    started_at = time.monotonic()
    model = version.model
    try:
        log = model.verified_log()
    except BrokenLogError:  # which the preconditions report
        log = VerifiedLog([], 0, {})
    entries = log.entries
    result = DeployResult("refused", version.name, version.number, environment, image)

    def refuse(reasons: tuple[str, ...]) -> DeployResult:
        refusal = replace(result, reasons=reasons, seconds=time.monotonic() - started_at)
        _record_refusal(version, refusal, actor=actor, run=run)
        progress(refusal.sentence())
        return refusal

    if successor := _taken_over_by(entries, result, run=run):
        return refuse((f"run {run} was taken over by {successor}, and cannot continue: start another run",))
    current = current_lock(entries, model.name, environment=environment)
    resumed = current is not None and (current.run, current.version) == (run, version.number)
    opening = None
    if current is None or not resumed or current.number > log.witnessed:  # else it was verified when it began
        progress(f"verifying {version} for {environment}")
        opening = try_open(version)
        if failures := precondition_failures(
            version, environment, image=image, policy=policy, opening=opening, insecure=insecure
        ):
            return refuse(failures)
    image = image or recorded_image(version)
    result = replace(result, image=image)
    policy = policy or opened(version, opening).policy
    workload = workload_of(version, environment, policy=policy, cluster=cluster, progress=progress)
    obj = workload.get(model.name)
    if current is None and _is_serving(entries, workload, obj=obj, result=result):
        progress(f"{version} already serves in {environment}")
        return replace(result, status="promoted", reasons=("it already served there",))
    try:
        smoke = None
        if _is_smoke(workload.policy, environment):
            requests = smoke_requests(version, opening)
            workload.cluster.check_may_send()
            smoke = SmokeTraffic(workload.cluster, requests, policy=workload.policy)
        current_version = model.version_with_alias(environment)
        claim = acquire(
            model.audit_log,
            model=model.name,
            version=version.number,
            environment=environment,
            actor=actor,
            run=run,
            lease=lease(workload.policy),
            replaces="" if current_version is None else current_version.number,
            take_over=take_over,
        )
    except (EnvironmentLockedError, NoSmokeRequestsError) as error:
        is_locked = isinstance(error, EnvironmentLockedError)
        return refuse((f"{error.message}: {error.remedy}" if is_locked else error.message,))
    promotion = Promotion(version, workload, claim, environment, image, started_at, smoke=smoke)
    try:
        return _carry_out(promotion, current)
    except LockLostError:
        end = promotion.ended_elsewhere()
        if end is None:
            raise
        return end


def workload_of(
    version: ModelVersion,
    environment: EnvironmentName,
    *,
    policy: Policy | None,
    cluster: Cluster | None,
    progress: Callable[[str], None],
) -> Workload:
    """A model's workload in an environment, by a policy; None: the one that the version was released by.

    Raises:
        ModelwayError: no cluster is configured, the model's name cannot be used in Kubernetes, or the address of
            Prometheus has a password in it.
    """
    policy = policy or opened(version).policy
    cluster = cluster or Cluster.connect(namespace_of(policy, environment))
    if _is_smoke(policy, environment):
        policy = smoke_policy(policy)
    workload = Workload(cluster, kubernetes_name(version.name), policy, progress)
    if workload.target.has_analysis:
        prometheus_address()  # one that is not taken is noticed before anything is changed
    return workload


def _is_smoke(policy: Policy, environment: EnvironmentName) -> bool:
    return environment in policy.environments and policy.environments[environment].traffic == "smoke"


def lease(policy: Policy) -> timedelta:
    """The longest that a rollout can take, including a wait for pods before it, its rehearsal and an undo."""
    deployment = policy.deployment
    deadlines = (3 + UNDO_DEADLINES) * deployment.progress_deadline_seconds
    return timedelta(seconds=deployment.timeout_seconds + deadlines + 600)


def template_in_service(
    workload: Workload, obj: Object | None, *, previous_claim: PromotionLock | None, entries: list[Entry]
) -> Object | None:
    """The pod template that serves now; None if none does.

    The promotion that held the environment until now may have changed the object, or one that it had taken over.
    """
    if obj is None:
        return None
    holders = [] if previous_claim is None else [previous_claim, *overtaken_locks(entries, previous_claim)]
    changing = any(changing_run(obj) == holder.run for holder in holders)
    return workload.target.serving_template(workload.cluster, obj, changing=changing)


def _carry_out(promotion: Promotion, previous_claim: PromotionLock | None) -> DeployResult:
    workload, claim = promotion.workload, promotion.claim
    entries = promotion.version.model.verified_entries()
    obj = workload.get(claim.model)
    template = template_in_service(workload, obj, previous_claim=previous_claim, entries=entries)
    promotion = replace(promotion, previous_template=template)
    promotion, predecessor = settle_predecessor(promotion)
    if deployed_entry(entries, claim) is not None and obj is not None and not promotion.is_in_progress(obj):
        workload.progress("an earlier task of this run had begun to undo it")
        reason = promotion.undo_reason(obj) or f"{workload.name} was changed by something else meanwhile"
        inconclusive = is_inconclusive(undoing_entry(entries, claim))
        return promotion.finish_undone((reason,), workload.wait_restored(template), inconclusive=inconclusive)
    if obj is None or not promotion.is_in_progress(obj):
        if reasons := failures_of(lambda: _start(promotion, obj, predecessor=predecessor)):
            return promotion.refuse(reasons)
    else:
        workload.progress(f"{workload.name} is already set to {promotion.image}: following the rollout")
        workload.take_up(obj, claim.run)
    promotion.record_deployed(entries)
    try:
        failures = promotion.follow()
    except NoRoomError as error:
        return promotion.undo((error.message,), inconclusive=True)
    return promotion.undo(failures) if failures else promotion.complete("promoted")


def _start(promotion: Promotion, obj: Object | None, *, predecessor: Predecessor | None) -> tuple[str, ...]:
    """Starts the change, after rehearsing the rollback; returns why it was not started, empty if it was."""
    workload = promotion.workload
    template = promotion.previous_template
    promotion.list_releases()
    if obj is not None and workload.image(obj) == promotion.previous_image:
        workload.wait_for_pods(obj)
        obj = workload.get(promotion.claim.model)
    if obj is not None and template is not None and workload.state(obj).phase != "healthy":
        left_over = "; ".join(predecessor.reasons if predecessor is not None else ()) or LEFT_OVER
        workload.progress(f"restoring what serves first, in place of {workload.image(obj)}: {left_over}")
        if not workload.undo(workload.image(obj), template, reason=left_over).healthy:
            return (f"{workload.name} is not healthy and does not recover: repair it first",)
        if predecessor is not None and predecessor.state == "open":
            record_undone(promotion, predecessor)
    if reasons := promotion.rehearse_rollback():
        return reasons
    promotion.start(workload.get(promotion.claim.model), immediate=False)
    return ()


def _is_serving(entries: list[Entry], workload: Workload, *, obj: Object | None, result: DeployResult) -> bool:
    """Whether the version serves and is healthy, by the audit log and by the cluster."""
    history = periods(entries, result.model, environment=result.environment)
    if obj is None or not history or history[-1].version != result.version:
        return False
    return workload.image(obj) == result.image and workload.state(obj).phase == "healthy"


def _taken_over_by(entries: list[Entry], result: DeployResult, *, run: str) -> str:
    """What took over the run's last promotion, which a retry must not repeat; empty if nothing did."""
    place = ("promotion.begun", result.model, result.environment)
    begun = [entry for entry in entries if (entry.event, entry.model, entry.environment) == place]
    own = [entry for entry in begun if (entry.version, entry.details.get("run")) == (result.version, run)]
    successor = next((entry for entry in begun if own and entry.details.get("took_over") == own[-1].sha256()), None)
    if successor is None:
        return ""
    return f"{successor.actor} (run {successor.details.get('run')}: {successor.details.get('reason')})"


def _record_refusal(version: ModelVersion, result: DeployResult, *, actor: str, run: str) -> None:
    details = {"image": result.image, "run": run, "reason": "; ".join(result.reasons)}
    try:
        version.log_event("refused", actor, environment=result.environment, details=details)
    except UnavailableError:
        raise
    except ModelwayError:  # of a log that is broken, say, which the refusal names
        return
