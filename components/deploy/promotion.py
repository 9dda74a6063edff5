"""One claimed attempt to make a version serve: what it begins and ends in the cluster, in MLflow and in the log."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from modelway.components.core.audit.chain import Entry
from modelway.components.core.audit.environments import point_environment_at, restore_alias
from modelway.components.core.audit.lock import LockLostError, PromotionLock, assert_held, release
from modelway.components.core.audit.log import AuditLog
from modelway.components.core.audit.registered_models import ModelVersion
from modelway.components.core.config.deploy_policy import EnvironmentName
from modelway.components.core.errors import ModelwayError, UnavailableError
from modelway.components.core.evidence.deployment_record import DeploymentResult
from modelway.components.deploy.cluster import Object
from modelway.components.deploy.rehearsal import rehearse
from modelway.components.deploy.result import Deployed
from modelway.components.deploy.smoke import SmokeTraffic
from modelway.components.deploy.targets.base import RUN, UNDONE, Change, annotation, image_of, is_stopped
from modelway.components.deploy.workload import Site

_NOT_JUDGED = "{evidence} the only evidence: a {target} is not judged by errors, latency or drift"


@dataclass(frozen=True)
class Attempt:
    """One claimed attempt to make a version serve.

    Attributes:
        version: The version.
        site: Where it is to serve.
        claim: What gives this run the environment.
        environment: The environment.
        image: The version's image by digest.
        started: When this run began, by the monotonic clock.
        served: The pod template that serves before; None if none does.
        smoke: What sends requests to the new pods; None where the environment has traffic of its own.
    """

    version: ModelVersion
    site: Site
    claim: PromotionLock
    environment: EnvironmentName
    image: str
    started: float
    served: Object | None = None
    smoke: SmokeTraffic | None = None

    @property
    def log(self) -> AuditLog:
        """The store's audit log."""
        return self.version.model.audit_log

    def rehearsed(self) -> tuple[str, ...]:
        """Tries the way back; why it does not work, empty if it does or there is none yet."""
        if self.served is None:
            self.site.progress("nothing serves yet: there is no way back to rehearse")
            return ()
        self.site.progress(f"rehearsing the way back to {image_of(self.served)}")
        limit = self.site.policy.deployment.progress_deadline_seconds
        cluster, name, served = self.site.cluster, self.site.name, self.served
        found = refusal_of(lambda: rehearse(cluster, name, template=served, seconds=limit))
        return tuple(f"the way back does not work, as its rehearsal shows: {reason}" for reason in found)

    def begin(self, found: Object | None, *, plain: bool) -> None:
        """Changes what is asked of the cluster.

        Args:
            found: The object; None: it is made.
            plain: Whether pods are replaced one by one and unwatched, to go back in a hurry.
        """
        site, claim = self.site, self.claim
        assert_held(self.log, claim)
        strategy = {} if found is None else site.target.strategy(site.policy, site.name, found=found, plain=plain)
        deadline = site.policy.deployment.progress_deadline_seconds
        about = (claim.model, claim.version, self.image, claim.run, self.served)
        site.begin(found, Change(*about, strategy=strategy, progress_deadline_seconds=deadline))
        site.progress(f"{site.cluster.namespace}/{site.target.resource}/{site.name} is asked for {self.image}")

    def record_begun(self, entries: list[Entry]) -> None:
        """Writes that the version is being served from now on, once."""
        claim = self.claim
        if deployed(entries, claim) is None:
            before = "" if self.served is None else image_of(self.served)
            details = {"promotion": claim.id, "run": claim.run, "image": self.image, "previous": before}
            self.version.log_event("deployed", claim.actor, environment=claim.environment, details=details)

    def follow(self) -> tuple[str, ...]:
        """Follows the change; why it has failed, empty if the version serves."""
        limit = self.site.policy.deployment.timeout_seconds
        if self.smoke is None:
            return self.site.follow(self.image, limit)
        self.site.progress(
            f"{self.environment} has no traffic of its own: {self.smoke.per_second:g} smoke requests a second are sent "
            "to the new pods"
        )
        with self.smoke as smoke:
            return self.site.follow(self.image, limit, smoke=smoke)

    def complete(self, event: Literal["promoted", "rolled-back"], reason: str = "") -> Deployed:
        """Gives the version the environment's aliases, and says that it serves."""
        assert_held(self.log, self.claim)
        point_environment_at(self.version, self.environment)
        details = {"image": self.image, "run": self.claim.run, **({"reason": reason} if reason else {})}
        if self.smoke is not None:
            details["smoke_requests"] = str(self.smoke.right)
        release(self.log, self.claim, event=event, actor=self.claim.actor, details=details)
        return self._ended(event, self._notes())

    def _notes(self) -> tuple[str, ...]:
        """What there is to know of the evidence that a version serves by."""
        target, smoke = self.site.target, self.smoke
        notes = []
        if not target.judged:
            evidence = "its pods' readiness is" if smoke is None else "its pods' readiness and smoke requests are"
            notes.append(_NOT_JUDGED.format(evidence=evidence, target=target.resource.removesuffix("s")))
        if smoke is not None:
            notes.append(f"it answered {smoke.right} smoke requests right; {self.environment} has no other traffic")
        return tuple(notes)

    def undo(self, reasons: tuple[str, ...]) -> Deployed:
        """Puts back what served before, in the cluster and in MLflow, and says why."""
        assert_held(self.log, self.claim)
        for reason in reasons:
            self.site.progress(f"it is undone: {reason}")
        whole = self.site.undo(self.image, self.served, reason="; ".join(reasons))
        return self.undone(reasons, whole=whole)

    def undone(self, reasons: tuple[str, ...], *, whole: bool) -> Deployed:
        """Says that the version was undone, and gives its aliases back."""
        claim = self.claim
        restored = "" if self.served is None else image_of(self.served)
        if self.served is None:
            reasons = (*reasons, "nothing served before, so nothing serves now")
        elif not whole:
            reasons = (*reasons, f"what served before, {restored}, is not whole yet")
        assert_held(self.log, claim)
        model = self.version.model
        if model.version_with_alias(self.environment) == self.version and claim.version != claim.replaces:
            restore_alias(model, self.environment, version=claim.replaces)
        details = {"image": self.image, "run": claim.run, "reason": "; ".join(reasons)}
        details |= {"restored": claim.replaces if restored else "", "restored_image": restored}
        release(self.log, claim, event="undone", actor=claim.actor, details=details)
        return replace(self._ended("undone", reasons), restored=restored)

    def refuse(self, reasons: tuple[str, ...]) -> Deployed:
        """Says that nothing was touched, and why."""
        details = {"image": self.image, "run": self.claim.run, "reason": "; ".join(reasons)}
        release(self.log, self.claim, event="refused", actor=self.claim.actor, details=details)
        return self._ended("refused", reasons)

    def undoing(self, found: Object) -> str:
        """Why this run had begun to undo its change before it died; empty if it had not."""
        return annotation(found, UNDONE) if annotation(found, RUN) == self.claim.run else ""

    def is_under_way(self, found: Object) -> bool:
        """Whether the object asks for the version already, and this run may just follow it."""
        if self.site.image(found) != self.image or is_stopped(found):
            return False
        return annotation(found, RUN) == self.claim.run or self.site.state(found).phase != "failed"

    def _ended(self, verdict: DeploymentResult, reasons: tuple[str, ...]) -> Deployed:
        made = Deployed(
            verdict=verdict,
            model=self.claim.model,
            version=self.claim.version,
            environment=self.claim.environment,
            image=self.image,
            replaced=self.claim.replaces,
            reasons=reasons,
            seconds=time.monotonic() - self.started,
        )
        self.site.progress(made.sentence())
        return made


def deployed(entries: list[Entry], claim: PromotionLock) -> Entry | None:
    """The entry that says that a promotion changed the cluster; None if it has not yet."""
    return next(
        (one for one in entries if one.event == "deployed" and one.details.get("promotion") == claim.id),
        None,
    )


def refusal_of(step: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
    """Why a step before anything is changed was not done: by what it returns, or by the error that ends it.

    Raises:
        UnavailableError: a service cannot be reached, and the same run may go on later.
        LockLostError: another promotion took the environment over.
    """
    try:
        return step()
    except (UnavailableError, LockLostError):
        raise
    except ModelwayError as error:
        return (error.message,)
