"""Who takes a promotion over that died records first what the cluster made of it, and replaces what serves."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from pod_proxy import ApiServer
from registered_versions import register_version
from serving_objects import HASH, IMAGES, add_aborted_rollout, add_analysis, add_pod, add_rollout, add_service
from user_files import minimal_policy

from modelway.components.core.audit.environments import has_served, periods
from modelway.components.core.audit.lock import PromotionLock, acquire, current_lock
from modelway.components.core.audit.log import AuditLog
from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.errors import ModelwayError
from modelway.components.deploy import stage
from modelway.components.deploy.promotion import Promotion
from modelway.components.deploy.reconciliation import record_undone, settle_predecessor
from modelway.components.deploy.restoration import Restoration
from modelway.components.deploy.smoke import SmokeTraffic
from modelway.components.deploy.workload import Workload

ERRORS = "error-rate is 40 %; the policy allows 2 % (deployment.analysis.error_rate)"


@dataclass
class Case:
    """Version 4 serves in staging, and ada's promotion of version 5 has died."""

    model: RegisteredModel
    api: ApiServer
    lines: list[str]

    def begin(self, version: str, actor: str, run: str, take_over: str = "") -> PromotionLock:
        about: Any = {"model": self.model.name, "version": version, "environment": "staging", "actor": actor}
        lease = timedelta(hours=1)
        return acquire(self.model.audit_log, **about, run=run, lease=lease, replaces="4", take_over=take_over)

    def say(self, event: Any, version: str, **details: str) -> None:
        self.model.version(version).log_event(event, "ada", environment="staging", details=details)

    def taken_over(self, version: str = "3", *, serving: str = "4") -> Promotion:
        """Bob's promotion, which took over."""
        claim = self.begin(version, "bob", "run-bob", take_over="its pod was evicted")
        workload = Workload(self.api.cluster(), "loans", minimal_policy(), progress=self.lines.append)
        spec = {"containers": [{"name": "server", "image": IMAGES[serving]}]}
        template = {"metadata": {"annotations": {"modelway.io/version": serving}}, "spec": spec}
        handle = self.model.version(version)
        return Promotion(handle, workload, claim, "staging", "r@sha256:3", time.monotonic(), template)

    @property
    def alias(self) -> str:
        version = self.model.version_with_alias("staging")
        return "" if version is None else version.number

    @property
    def events(self) -> list[tuple[str, str]]:
        return [(entry.event, entry.version) for entry in self.model.verified_entries()]

    def history(self) -> list[tuple[str, bool]]:
        entries = self.model.verified_entries()
        return [(period.version, period.undone) for period in periods(entries, self.model.name, environment="staging")]


@pytest.fixture
def case(packages: Any, api: ApiServer, request: pytest.FixtureRequest) -> Case:
    name = f"reconciled-{abs(hash(request.node.name)):x}"
    assert [register_version(packages.tracking, name) for _ in range(5)][-1] == "5"
    case = Case(packages.handle(name), api, [])
    case.say("promoted", "4")
    case.model.version("4").set_alias("staging")
    return case


def died(case: Case) -> PromotionLock:
    lock = case.begin("5", "ada", "run-5")
    case.say("deployed", "5", promotion=lock.id, run="run-5")
    return lock


def finish(case: Case, *, image: str = IMAGES["5"], record: Callable[..., None] | None = None) -> None:
    """The cluster finishes the rollout to version 5, whose package's record is given."""
    add_rollout(case.api, "5", phase="Healthy", stableRS="h5")
    spec = case.api.objects["rollouts", "loans"]["spec"]["template"]
    labels = {HASH: "h5"}
    replica_set = {"ownerReferences": [{"uid": "u"}], "name": "loans-h5"}
    template = {**spec, "metadata": {**spec["metadata"], "labels": labels}}
    case.api.objects["replicasets", "loans-h5"] = {"metadata": replica_set, "spec": {"template": template}}
    add_service(case.api)
    add_pod(case.api, "a", "5")
    if record is not None:
        record(case.model.name, "5", image)


def test_without_a_promotion_that_was_taken_over_the_cluster_is_not_asked(case: Case) -> None:
    claim = case.begin("5", "ada", "run-5")
    promotion = Promotion(case.model.version("5"), None, claim, "staging", "", 0.0)  # type: ignore[arg-type]
    assert settle_predecessor(promotion) == (promotion, None)


def test_what_the_cluster_undid_is_recorded_with_its_measured_reason_by_who_took_over(case: Case) -> None:
    dead = died(case)
    add_aborted_rollout(case.api)
    add_analysis(case.api)
    promotion = case.taken_over()
    settled, predecessor = settle_predecessor(promotion)
    assert settled == replace(promotion, replaced="4")
    assert predecessor is not None
    assert (predecessor.lock, predecessor.state, predecessor.reasons) == (dead, "undone", (ERRORS,))
    entry = case.model.verified_entries()[-1]
    assert (entry.event, entry.version, entry.actor) == ("undone", "5", "bob")
    assert entry.details == {
        "promotion": dead.id,
        "run": "run-5",
        "reason": ERRORS,
        "restored": "4",
        "restored_image": IMAGES["4"],
        "told_by": "the cluster",
    }
    assert case.lines == [f"version 5 (run run-5) is recorded as undone: {ERRORS}"]
    assert case.history() == [("4", False), ("5", True), ("4", False)]
    lock = current_lock(case.model.verified_entries(), case.model.name, environment="staging")
    assert lock == promotion.claim, "the end of the dead promotion does not release the lock of who took over"
    assert settle_predecessor(promotion) == (settled, None), "it is recorded once"


def test_an_undo_that_is_not_over_is_recorded_once_what_served_before_is_restored(case: Case) -> None:
    died(case)
    add_aborted_rollout(case.api)
    add_analysis(case.api)
    add_pod(case.api, "c", "5")
    promotion = case.taken_over()
    _, predecessor = settle_predecessor(promotion)
    assert predecessor is not None
    assert (predecessor.state, predecessor.reasons) == ("open", (ERRORS,))
    assert case.events[-1] == ("promotion.begun", "3")
    record_undone(promotion, predecessor)
    assert (case.events[-1], case.model.verified_entries()[-1].details["reason"]) == (("undone", "5"), ERRORS)


def test_an_alias_that_the_dead_run_had_moved_goes_back(case: Case) -> None:
    died(case)
    case.model.version("5").set_alias("staging")
    add_aborted_rollout(case.api)
    settle_predecessor(case.taken_over())
    assert case.alias == "4"


def test_the_reason_of_an_undo_that_the_dead_run_had_begun_counts_before_the_clusters(case: Case) -> None:
    dead = died(case)
    case.say("undoing", "5", promotion=dead.id, reason="3 of 20 answers were wrong")
    add_aborted_rollout(case.api)
    _, predecessor = settle_predecessor(case.taken_over())
    assert predecessor is not None
    assert predecessor.reasons == ("3 of 20 answers were wrong",)


def test_of_several_that_died_the_one_is_meant_whose_change_the_cluster_has(case: Case) -> None:
    dead = died(case)
    case.begin("2", "eve", "run-eve", take_over="ada is away")  # and died before it changed anything
    add_aborted_rollout(case.api)
    _, predecessor = settle_predecessor(case.taken_over())
    assert predecessor is not None
    assert predecessor.lock == dead


@pytest.mark.usefixtures("keys")
def test_a_version_whose_rollout_the_cluster_finished_is_promoted_and_replaced(case: Case, packages: Any) -> None:
    dead = died(case)
    finish(case, record=packages.record)
    promotion = case.taken_over()
    settled, predecessor = settle_predecessor(promotion)
    assert predecessor is not None
    assert (predecessor.lock, predecessor.state) == (dead, "finished")
    assert (settled.replaced_version, settled.previous_image) == ("5", IMAGES["5"])
    assert case.alias == "5"
    entry = case.model.verified_entries()[-1]
    assert (entry.event, entry.version, entry.details["promotion"]) == ("promoted", "5", dead.id)
    assert entry.details["told_by"] == "the cluster"
    again, _ = settle_predecessor(promotion)
    assert again.replaced_version == "5", "also where the run is taken up again"
    result = settled.finish_undone(("it fails",), Restoration(healthy=True))
    assert (result.replaced_version, case.alias) == ("5", "5"), "what is restored is what served"
    assert case.model.verified_entries()[-1].details["restored"] == "5"


@pytest.mark.usefixtures("keys")
def test_a_version_that_is_promoted_again_is_not_its_own_predecessor(case: Case, packages: Any) -> None:
    died(case)
    finish(case, record=packages.record)
    settled, _ = settle_predecessor(case.taken_over("5"))
    assert settled.replaced_version == "4"


@pytest.mark.usefixtures("keys")
def test_smoke_answers_that_nobody_checked_promote_nothing_but_the_alias_says_what_serves(
    case: Case, packages: Any
) -> None:
    died(case)
    finish(case, record=packages.record)
    smoke = SmokeTraffic(case.api.cluster(), [], policy=minimal_policy())
    settled, _ = settle_predecessor(replace(case.taken_over(), smoke=smoke))
    case.say("deployed", "3", promotion=settled.claim.id)
    assert (settled.replaced_version, case.alias) == ("5", "5")
    assert ("promoted", "5") not in case.events
    settled.finish_undone(("it fails",), Restoration(healthy=True))
    assert case.history()[-1] == ("5", False)
    entries = case.model.verified_entries()
    assert not has_served(entries, case.model.name, environment="staging", version="5")
    assert has_served(entries, case.model.name, environment="staging", version="4")


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("recorded", ["", IMAGES["4"]], ids=["not packaged", "another image"])
def test_against_who_writes_the_cluster_alone_an_image_that_was_not_packaged_is_not_promoted(
    case: Case, packages: Any, recorded: str
) -> None:
    died(case)
    finish(case, image=recorded, record=packages.record if recorded else None)
    _, predecessor = settle_predecessor(case.taken_over())
    assert predecessor is not None
    assert (predecessor.state, case.alias) == ("open", "4")
    assert ("promoted", "5") not in case.events


@pytest.mark.usefixtures("keys")
def test_against_who_writes_the_store_alone_a_promotion_that_is_not_witnessed_is_not_promoted(
    case: Case, packages: Any
) -> None:
    about: Any = {"model": case.model.name, "version": "5", "environment": "staging", "actor": "eve"}
    forged_log = AuditLog(case.model.store)  # as of a writer who has no MLflow
    acquire(forged_log, **about, run="run-5", lease=timedelta(hours=1), replaces="4")
    finish(case, record=packages.record)
    _, predecessor = settle_predecessor(case.taken_over())
    assert predecessor is not None
    assert (predecessor.state, case.alias) == ("open", "4")


def test_what_was_left_over_and_restored_is_recorded_as_undone(case: Case) -> None:
    dead = died(case)
    add_rollout(case.api, "5", phase="Progressing")
    promotion = case.taken_over()
    _, predecessor = settle_predecessor(promotion)
    assert predecessor is not None
    assert predecessor.state == "open"
    assert predecessor.lock == dead
    record_undone(promotion, predecessor)
    entry = case.model.verified_entries()[-1]
    assert (entry.event, entry.details["restored"], "told_by" in entry.details) == ("undone", "4", False)
    assert entry.details["reason"] == "it was left by a run that did not finish"


def test_a_run_that_took_over_a_deployment_and_is_run_again_still_knows_what_served_before(case: Case) -> None:
    dead = died(case)
    add_rollout(case.api, "5")
    obj = case.api.objects.pop(("rollouts", "loans"))
    spec = {"containers": [{"name": "server", "image": IMAGES["4"]}]}
    previous = {"metadata": {"annotations": {"modelway.io/version": "4"}}, "spec": spec}
    obj["metadata"]["annotations"]["modelway.io/previous"] = json.dumps(previous)
    obj["status"] = {"observedGeneration": 4, "replicas": 3, "availableReplicas": 2}
    case.api.objects["deployments", "loans"] = obj
    promotion = case.taken_over()
    policy = minimal_policy(deployment={"target": "deployment"})
    workload = replace(promotion.workload, policy=policy)
    obj, entries = workload.get("loans"), case.model.verified_entries()
    for lock in (dead, promotion.claim):
        assert stage.template_in_service(workload, obj, previous_claim=lock, entries=entries) == previous
    with pytest.raises(ModelwayError, match="being changed by something else"):
        stage.template_in_service(workload, obj, previous_claim=None, entries=entries)
