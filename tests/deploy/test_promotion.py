"""What a promotion starts and finishes in the cluster, in MLflow and in the audit log."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pod_proxy import ApiServer
from user_files import minimal_policy

from modelway.components.core.audit.lock import LockLostError, acquire, current_lock
from modelway.components.core.errors import ModelwayError, RejectedError, UnavailableError
from modelway.components.deploy import workload as workload_module
from modelway.components.deploy.promotion import Promotion, failures_of
from modelway.components.deploy.promotion_entries import deployed_entry, is_inconclusive, undoing_entry
from modelway.components.deploy.stage import template_in_service
from modelway.components.deploy.targets.annotations import RUN, annotation
from modelway.components.deploy.targets.base import RolloutChange
from modelway.components.deploy.workload import Workload

IMAGE, BEFORE = f"r.example/loans@sha256:{'1' * 64}", f"r.example/loans@sha256:{'0' * 64}"


@pytest.fixture
def promotion(release: Callable[..., str], packages: Any, api: ApiServer) -> Promotion:
    model = packages.handle("promoted")
    version = model.version(release("promoted"))
    policy = minimal_policy(deployment={"target": "deployment"})
    workload = Workload(api.cluster(), "promoted", policy, progress=str)
    claim = acquire(
        model.audit_log,
        model=model.name,
        version=version.number,
        environment="staging",
        actor="ada",
        run="run-1",
        lease=timedelta(hours=1),
    )
    return Promotion(version, workload, claim, "staging", IMAGE, time.monotonic())


def test_a_first_version_is_created_recorded_once_and_gets_the_environments_alias(
    promotion: Promotion, api: ApiServer
) -> None:
    model = promotion.version.model
    assert promotion.rehearse_rollback() == ()
    promotion.start(None, immediate=False)
    obj = api.objects["deployments", "promoted"]
    assert promotion.is_in_progress(obj)
    for _ in range(2):
        promotion.record_deployed(model.verified_entries())
    result = promotion.complete("promoted")
    assert (result.status, result.image, result.replaced_version) == ("promoted", IMAGE, "")
    assert result.reasons == (
        "its pods' readiness is the only evidence: a deployment is not analysed for errors, latency or drift",
    )
    entries = model.verified_entries()
    assert [entry.event for entry in entries] == ["registered", "promotion.begun", "deployed", "promoted"]
    assert deployed_entry(entries, promotion.claim) == entries[2]
    assert current_lock(entries, model.name, environment="staging") is None
    assert model.version_with_alias("staging") == promotion.version


def test_an_undone_first_version_is_scaled_down_and_gets_no_alias(promotion: Promotion, api: ApiServer) -> None:
    promotion.start(None, immediate=False)
    result = promotion.undo(("error-rate is 0.3",))
    assert (result.status, result.restored_image) == ("undone", "")
    assert result.reasons == ("error-rate is 0.3", "nothing served before, so nothing serves now")
    obj = api.objects["deployments", "promoted"]
    assert obj["spec"]["replicas"] == 0
    assert promotion.undo_reason(obj) == "error-rate is 0.3"
    assert not promotion.is_in_progress(obj)
    assert promotion.version.model.verified_entries()[-1].details["reason"] == "; ".join(result.reasons)


def test_a_task_that_dies_in_mid_undo_is_taken_up_where_it_stopped(promotion: Promotion, api: ApiServer) -> None:
    workload = promotion.workload
    first = RolloutChange("promoted", "1", BEFORE, "run-0", None, {}, 60)
    workload.apply(None, first)
    template = api.objects["deployments", "promoted"]["spec"]["template"]
    promotion = replace(promotion, previous_template=template)
    promotion.start(workload.get("promoted"), immediate=False)
    obj = api.objects["deployments", "promoted"]
    assert promotion.is_in_progress(obj)
    assert template_in_service(workload, obj, previous_claim=promotion.claim, entries=[]) == template
    # The pod template is put back, and no pod of it is ready yet, when the task dies.
    workload.cluster.patch(
        "deployments", "promoted", operations=workload.target.restore(obj, template, reason="error-rate is 0.3")
    )
    obj = api.objects["deployments", "promoted"]
    assert annotation(obj, RUN) == "run-0"
    assert not promotion.is_in_progress(obj)
    assert promotion.undo_reason(obj) == "error-rate is 0.3"
    obj["status"] = {"replicas": 1, "availableReplicas": 1, "updatedReplicas": 0}
    assert template_in_service(workload, obj, previous_claim=promotion.claim, entries=[]) == template
    other = replace(promotion, claim=promotion.claim.model_copy(update={"details": {"run": "run-2"}}))
    assert other.undo_reason(obj) == ""


def test_a_version_without_room_is_undone_without_a_verdict(promotion: Promotion) -> None:
    promotion.start(None, immediate=False)
    result = promotion.undo(("inconclusive: no room: 1 pod asked for cpu 4000m",), inconclusive=True)
    assert result.status == "inconclusive"
    last = promotion.version.model.verified_entries()[-1]
    assert (last.event, last.details["verdict"]) == ("undone", "inconclusive")
    assert is_inconclusive(undoing_entry(promotion.version.model.verified_entries(), promotion.claim))
    ended = promotion.ended_elsewhere()
    assert ended is not None
    assert (ended.status, ended.reasons) == ("inconclusive", ("; ".join(result.reasons),))


def test_a_refusal_ends_the_claim(promotion: Promotion) -> None:
    assert promotion.refuse(("it is not healthy",)).status == "refused"
    last = promotion.version.model.verified_entries()[-1]
    assert (last.event, last.details["reason"]) == ("refused", "it is not healthy")


def test_an_error_before_any_change_is_a_failure_but_an_outage_is_none() -> None:
    def step(error: ModelwayError) -> Callable[[], tuple[str, ...]]:
        def fail() -> tuple[str, ...]:
            raise error

        return fail

    assert failures_of(lambda: ()) == ()
    assert failures_of(step(ModelwayError("no such namespace", remedy="create it"))) == ("no such namespace",)
    with pytest.raises(UnavailableError):
        failures_of(step(UnavailableError("the cluster is away", remedy="wait")))


def test_a_promotion_that_was_taken_over_ends_as_undone_and_says_by_whom(promotion: Promotion) -> None:
    model, claim = promotion.version.model, promotion.claim
    assert promotion.ended_elsewhere() is None
    about: Any = {"model": model.name, "version": "9", "environment": "staging", "lease": timedelta(hours=1)}
    acquire(model.audit_log, **about, actor="eve", run="back", take_over="it is slow")
    with pytest.raises(LockLostError):
        promotion.complete("promoted")
    result = promotion.ended_elsewhere()
    assert result is not None
    assert (result.status, result.version) == ("undone", claim.version)
    (reason,) = result.reasons
    assert reason.startswith("it was taken over by the promotion of version 9 of promoted to staging by eve (run back")
    assert reason.endswith(": it is slow")


def test_a_promotion_that_another_task_of_its_run_ended_ended_so(promotion: Promotion) -> None:
    twin = replace(promotion)
    twin.complete("promoted")
    result = promotion.ended_elsewhere()
    assert result is not None
    assert (result.status, result.live) == ("promoted", True)


def test_an_undo_in_part_says_what_still_serves_and_gives_the_alias_back(
    promotion: Promotion, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workload_module, "SCALE_DOWN_SECONDS", 0)
    model, before = promotion.version.model, promotion.version
    policy = promotion.workload.policy
    deployment = policy.deployment.model_copy(update={"progress_deadline_seconds": 1})
    workload = replace(promotion.workload, policy=policy.model_copy(update={"deployment": deployment}))
    promotion.start(None, immediate=False)
    template = api.objects["deployments", "promoted"]["spec"]["template"]
    stable = {**template, "spec": {"containers": [{"name": "server", "image": "r.example/loans@sha256:0"}]}}
    ready = {"metadata": {"name": "a", "annotations": {"modelway.io/version": before.number}}, "spec": template["spec"]}
    api.objects["pods", "a"] = {**ready, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    result = replace(promotion, workload=workload, previous_template=stable).undo(("error-rate is 0.3",))
    assert (result.status, result.live) == ("undone-in-part", False)
    missing = "1 of 1 ready pods are still of the undone version; 0 of 1 pods of what served before are ready"
    assert result.reasons == ("error-rate is 0.3", missing)
    undoing, end = model.verified_entries()[-2:]
    assert (undoing.event, undoing.details["reason"]) == ("undoing", "error-rate is 0.3")
    assert (end.event, end.details["serving"]) == ("undone-in-part", f"version {before.number}: 1 pod")
    assert current_lock(model.verified_entries(), model.name, environment="staging") is None
    with pytest.raises(RejectedError, match="was undone in part in staging") as error:
        result.check()
    assert "make room" in error.value.remedy


def test_a_way_back_to_what_still_serves_undoes_what_is_in_progress(promotion: Promotion, api: ApiServer) -> None:
    model, target = promotion.version.model, "r.example/loans@sha256:9"
    promotion.start(None, immediate=False)
    obj = api.objects["deployments", "promoted"]
    template = obj["spec"]["template"]
    obj["spec"]["template"] = {**template, "spec": {"containers": [{"name": "server", "image": target}]}}
    obj["status"] = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
    result = replace(promotion, previous_template=template).return_to_previous(obj, reason="it is slow")
    assert (result.status, result.version, result.reasons) == ("rolled-back", promotion.version.number, ("it is slow",))
    assert api.objects["deployments", "promoted"]["spec"]["template"] == template
    assert [entry.event for entry in model.verified_entries()][-2:] == ["deployed", "rolled-back"]
    assert model.version_with_alias("staging") == promotion.version
