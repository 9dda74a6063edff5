"""A promotion that holds its environment: what it starts and finishes in the cluster, in MLflow and in the log."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from modelway.components.core.audit.chain import Entry
from modelway.components.core.audit.environments import point_environment_at, restore_alias
from modelway.components.core.audit.lock import End, LockLostError, PromotionLock, assert_held, end_of, release
from modelway.components.core.audit.log import AuditLog
from modelway.components.core.audit.registered_models import ModelVersion
from modelway.components.core.config.deploy_policy import EnvironmentName
from modelway.components.core.errors import ModelwayError, UnavailableError
from modelway.components.core.evidence.runs import DeploymentResult
from modelway.components.deploy.cluster import Object
from modelway.components.deploy.following import follow
from modelway.components.deploy.promotion_entries import deployed_entry, status_of, undoing_entry, verdict_details
from modelway.components.deploy.rehearsal import rehearse_rollback
from modelway.components.deploy.releases import list_releases
from modelway.components.deploy.restoration import Restoration
from modelway.components.deploy.result import DeployResult
from modelway.components.deploy.room import NoRoomError
from modelway.components.deploy.smoke import SmokeTraffic
from modelway.components.deploy.targets.annotations import UNDONE_RUN, VERSION, annotation, changing_run, undo_reason
from modelway.components.deploy.targets.base import RolloutChange, image_of, is_stopped
from modelway.components.deploy.workload import Workload


@dataclass(frozen=True)
class Promotion:
    """A promotion that holds its environment.

    Attributes:
        version: The version.
        workload: What is to serve it.
        claim: The claim by which this run holds the environment.
        environment: The environment.
        image: The version's image by digest.
        started_at: When this run started, by the monotonic clock.
        previous_template: The pod template that serves before the change; None if none does.
        smoke: The smoke requests to the new pods; None where the environment has traffic of its own.
        rolled_back_from: Of a rollback the version that it goes back from, which may have been rolled out only in part.
        replaced: The version that serves before the change; empty: the one that the claim names.
    """

    version: ModelVersion
    workload: Workload
    claim: PromotionLock
    environment: EnvironmentName
    image: str
    started_at: float
    previous_template: Object | None = None
    smoke: SmokeTraffic | None = None
    rolled_back_from: str = ""
    replaced: str = ""

    @property
    def log(self) -> AuditLog:
        """The store's audit log."""
        return self.version.model.audit_log

    @property
    def previous_image(self) -> str:
        """The image that serves before the change; empty if none does."""
        return "" if self.previous_template is None else image_of(self.previous_template)

    @property
    def replaced_version(self) -> str:
        """The version that serves before the change; empty if none does."""
        return self.replaced or self.claim.replaces

    def list_releases(self) -> None:
        """Lists the version and the one that serves as released, where the environment admits only released images.

        Raises:
            UnavailableError: the store or the cluster cannot be reached.
        """
        model, template, workload = self.version.model, self.previous_template, self.workload
        images = {self.version: self.image}
        previous = "" if template is None else annotation(template, VERSION) or self.replaced_version
        if previous:
            images.setdefault(model.version(previous), self.previous_image)
        list_releases(workload.cluster, workload.name, images=images, progress=workload.progress)

    def rehearse_rollback(self) -> tuple[str, ...]:
        """Rehearses the rollback; returns why it does not work, empty if it does or there is nothing to go back to.

        Raises:
            NoRoomError: there is no room for it.
            UnavailableError: the cluster cannot be reached.
        """
        workload, template = self.workload, self.previous_template
        if template is None:
            workload.progress("nothing serves yet: there is no rollback to rehearse")
            return ()
        workload.progress(f"rehearsing the rollback to {self.previous_image}")
        limit = workload.policy.deployment.progress_deadline_seconds
        try:
            failures = rehearse_rollback(workload.cluster, workload.name, template=template, seconds=limit)
        except (NoRoomError, UnavailableError):
            raise
        except ModelwayError as error:
            failures = (error.message,)
        return tuple(f"the rehearsal of a rollback failed: {reason}" for reason in failures)

    def start(self, obj: Object | None, *, immediate: bool) -> None:
        """Changes the cluster's object.

        Args:
            obj: The object; None: it is created.
            immediate: Whether pods are replaced one by one without steps and analysis, as a rollback needs.
        """
        workload, claim, target = self.workload, self.claim, self.workload.target
        assert_held(self.log, claim)
        strategy = {} if obj is None else target.strategy(workload.policy, workload.name, obj=obj, immediate=immediate)
        change = RolloutChange(
            model=claim.model,
            version=claim.version,
            image=self.image,
            run=claim.run,
            previous_template=self.previous_template,
            strategy=strategy,
            progress_deadline_seconds=workload.policy.deployment.progress_deadline_seconds,
        )
        workload.apply(obj, change)
        workload.progress(f"{workload.cluster.namespace}/{target.resource}/{workload.name} is set to {self.image}")

    def record_deployed(self, entries: list[Entry]) -> None:
        """Records, once, that the cluster was changed to the version."""
        claim = self.claim
        if deployed_entry(entries, claim) is None:
            details = {"promotion": claim.id, "run": claim.run, "image": self.image, "previous": self.previous_image}
            self.version.log_event("deployed", claim.actor, environment=claim.environment, details=details)

    def follow(self, *, make_room: bool = False) -> tuple[str, ...]:
        """Follows the rollout; returns why it failed, empty if the version serves.

        Args:
            make_room: Whether what is replaced gives way where the version finds no room, as in a rollback.

        Raises:
            NoRoomError: there was no room for it, so that there is no verdict on the version.
        """
        limit = self.workload.policy.deployment.timeout_seconds
        if self.smoke is None:
            return follow(self.workload, self.image, limit, make_room=make_room)
        self.workload.progress(
            f"{self.environment} has no traffic of its own: sending {self.smoke.per_second:g} smoke requests a second "
            "to the new pods"
        )
        with self.smoke as smoke:
            return follow(self.workload, self.image, limit, smoke=smoke)

    def complete(self, event: Literal["promoted", "rolled-back"], reason: str = "") -> DeployResult:
        """Points the environment's aliases at the version, and records that it serves."""
        assert_held(self.log, self.claim)
        point_environment_at(self.version, self.environment)
        details = {"reason": reason} if reason else {}
        if self.rolled_back_from:
            details["replaced"] = self.rolled_back_from
        notes = []
        target, smoke = self.workload.target, self.smoke
        if not target.has_analysis:
            evidence = "its pods' readiness is" if smoke is None else "its pods' readiness and smoke requests are"
            kind = target.resource.removesuffix("s")
            notes.append(f"{evidence} the only evidence: a {kind} is not analysed for errors, latency or drift")
        if smoke is not None:
            details["smoke_requests"] = str(smoke.right)
            notes.append(f"it answered {smoke.right} smoke requests right; {self.environment} has no other traffic")
        return self._end(event, tuple(notes), **details)

    def return_to_previous(self, obj: Object, *, reason: str) -> DeployResult:
        """Rolls back to the version that still serves, by undoing what another promotion has in progress."""
        workload, image = self.workload, self.workload.image(obj)
        assert_held(self.log, self.claim)
        self.record_deployed([])
        if image == self.image:
            restoration = workload.wait_restored(self.previous_template)
        else:
            restoration = workload.undo(image, self.previous_template, reason=reason)
        if restoration.undone:
            details = {"reason": reason, "serving": restoration.serving(), "restored": self.claim.version}
            return self._end("undone-in-part", (reason, restoration.line()), **details, restored_image=self.image)
        result = self.complete("rolled-back", reason)
        return replace(result, reasons=tuple(filter(None, (reason, restoration.line()))))

    def undo(self, reasons: tuple[str, ...], *, inconclusive: bool = False) -> DeployResult:
        """Restores what served before, in the cluster and in MLflow, and records why.

        Args:
            reasons: Why.
            inconclusive: Whether that says nothing about the version.
        """
        assert_held(self.log, self.claim)
        for reason in reasons:
            self.workload.progress(f"undoing: {reason}")
        self._record_undoing("; ".join(reasons), inconclusive=inconclusive)
        self.list_releases()
        restoration = self.workload.undo(self.image, self.previous_template, reason="; ".join(reasons))
        return self.finish_undone(reasons, restoration, inconclusive=inconclusive)

    def finish_undone(
        self, reasons: tuple[str, ...], restoration: Restoration, *, inconclusive: bool = False
    ) -> DeployResult:
        """Records how far the version was undone, and restores the environment's aliases."""
        claim, restored_image = self.claim, self.previous_image
        if restoration.undone or (restored_image and not restoration.healthy):
            reasons = (*reasons, restoration.line() or f"what served before, {restored_image}, is not healthy yet")
        elif not restored_image:
            reasons = (*reasons, "nothing served before, so nothing serves now")
        event: End = "undone-in-part" if restoration.undone else "undone"
        assert_held(self.log, claim)
        model = self.version.model
        if model.version_with_alias(self.environment) == self.version and claim.version != self.replaced_version:
            restore_alias(model, self.environment, version=self.replaced_version)
        restored = self.replaced_version if restored_image else ""
        reason, serving = "; ".join(reasons), restoration.serving()
        details = {"reason": reason, "serving": serving, "restored": restored, "restored_image": restored_image}
        return self._end(event, reasons, **details, **verdict_details(inconclusive))

    def refuse(self, reasons: tuple[str, ...]) -> DeployResult:
        """Records that nothing was changed, and why."""
        return self._end("refused", reasons, reason="; ".join(reasons))

    def ended_elsewhere(self) -> DeployResult | None:
        """How a promotion ended that this run no longer holds: by another task of its run, or by who took it over.

        Returns:
            The result: what the other task recorded, or ``undone`` if the promotion was taken over; None if it is held.
        """
        end = end_of(self.version.model.verified_entries(), self.claim)
        if end is None:
            return None
        status: DeploymentResult = "undone"
        reason = end.details.get("reason", "")
        if end.event == "promotion.begun":
            successor = PromotionLock(**dict(end))
            reason = f"it was taken over by {successor}" + (f": {reason}" if reason else "")
        else:
            status = status_of(end.event, end.details)
        result = self._result(status, (reason,) if reason else (), end.details.get("restored_image", ""))
        self.workload.progress(result.sentence())
        return result

    def undo_reason(self, obj: Object) -> str:
        """Why this run had begun to undo its change before it died; empty if it had not."""
        return undo_reason(obj) if changing_run(obj) == self.claim.run else ""

    def is_in_progress(self, obj: Object) -> bool:
        """Whether the object is already set to the version, so that this run only needs to follow it."""
        if self.workload.image(obj) != self.image or is_stopped(obj) or annotation(obj, UNDONE_RUN) == self.claim.run:
            return False
        return changing_run(obj) == self.claim.run or self.workload.state(obj).phase != "failed"

    def _record_undoing(self, reason: str, *, inconclusive: bool) -> None:
        """Records, once, that the undo begins, and why, should this task not see its end."""
        claim = self.claim
        entries = self.version.model.verified_entries()
        if undoing_entry(entries, claim) is not None:
            return
        serving = self.workload.restoration(self.previous_template).serving()
        details = {"promotion": claim.id, "run": claim.run, "image": self.image, "reason": reason, "serving": serving}
        details |= verdict_details(inconclusive)
        self.version.log_event("undoing", claim.actor, environment=claim.environment, details=details)

    def _end(self, event: End, reasons: tuple[str, ...], **details: str) -> DeployResult:
        """Releases the environment with an entry of the audit log, and says how the promotion ended."""
        claim = self.claim
        details = {"image": self.image, "run": claim.run, **details}
        release(self.log, claim, event=event, actor=claim.actor, details=details)
        result = self._result(status_of(event, details), reasons, details.get("restored_image", ""))
        self.workload.progress(result.sentence())
        return result

    def _result(self, status: DeploymentResult, reasons: tuple[str, ...], restored_image: str) -> DeployResult:
        claim = self.claim
        return DeployResult(
            status=status,
            model=claim.model,
            version=claim.version,
            environment=claim.environment,
            image=self.image,
            replaced_version=self.rolled_back_from or self.replaced_version,
            restored_image=restored_image,
            reasons=reasons,
            seconds=time.monotonic() - self.started_at,
        )


def failures_of(step: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
    """Runs a step that comes before any change; returns the failures that it reports, or the error that ends it.

    Raises:
        UnavailableError: a service cannot be reached; the same run may continue later.
        LockLostError: another promotion took the environment over.
    """
    try:
        return step()
    except (UnavailableError, LockLostError):
        raise
    except ModelwayError as error:
        return (error.message,)
