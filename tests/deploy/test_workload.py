"""A model's workload is created, changed, waited for and undone."""

from __future__ import annotations

import pytest
from pod_proxy import ApiServer
from serving_objects import add_aborted_rollout
from user_files import minimal_policy
from workloads import HEALTHY, IMAGE, NEXT, change, pod_without_room, workload_of

from modelway.components.core.errors import ModelwayError
from modelway.components.deploy import workload as workload_module
from modelway.components.deploy.cluster import Cluster
from modelway.components.deploy.room import NoRoomError
from modelway.components.deploy.targets.base import image_of
from modelway.components.deploy.workload import Workload


@pytest.fixture(autouse=True)
def _polling_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workload_module, "_POLL_SECONDS", 0.01)


def test_the_objects_are_created_with_the_annotations_of_the_change(api: ApiServer) -> None:
    workload = workload_of(api)
    assert workload.get("loans") is None
    workload.apply(None, change(IMAGE))
    assert set(api.objects) == {("services", "loans"), ("services", "loans-preview"), ("deployments", "loans")}
    obj = workload.get("loans")
    assert obj is not None
    assert workload.image(obj) == IMAGE
    assert obj["metadata"]["annotations"]["modelway.io/run"] == "run-2"
    assert obj["spec"]["template"]["metadata"]["annotations"]["modelway.io/version"] == "2"


def test_only_a_rollout_gets_analysis_templates(api: ApiServer) -> None:
    workload = workload_of(api, target="rollout")
    for _ in range(2):  # the second time in place of the first ones
        workload.apply(workload.get("loans"), change(IMAGE))
    assert {name for resource, name in api.objects if resource == "analysistemplates"} == {
        "loans-analysis",
        "loans-watch",
    }


def test_an_object_of_another_model_is_left_alone(api: ApiServer) -> None:
    workload_of(api).apply(None, change(IMAGE))
    with pytest.raises(ModelwayError, match="loans in models serves another model, loans"):
        workload_of(api).get("Loans")


def test_an_undo_restores_the_previous_template(api: ApiServer) -> None:
    workload = workload_of(api)
    workload.apply(None, change(IMAGE))
    obj = api.objects["deployments", "loans"]
    obj["status"] = HEALTHY
    template = obj["spec"]["template"]
    workload.apply(workload.get("loans"), change(NEXT, template))
    assert workload.image(api.objects["deployments", "loans"]) == NEXT
    assert workload.undo(NEXT, template, reason="it was slow").healthy
    obj = api.objects["deployments", "loans"]
    assert image_of(obj["spec"]["template"]) == IMAGE
    assert obj["metadata"]["annotations"]["modelway.io/undone"] == "version 2 was undone: it was slow"


def test_what_serves_has_all_its_pods_before_a_change_or_lacks_room(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload = workload_of(api)
    workload.apply(None, change(IMAGE))
    obj = api.objects["deployments", "loans"]
    monkeypatch.setattr(Workload, "wait_healthy", lambda *_: False)
    workload.wait_for_pods(obj)
    api.objects["pods", "loans-2"] = pod_without_room(IMAGE)
    with pytest.raises(NoRoomError, match="inconclusive: no room: 1 pod asked for nothing; 0/1: full"):
        workload.wait_for_pods(obj)
    obj["status"] = HEALTHY
    workload.wait_for_pods(obj)


def test_health_is_waited_for_only_so_long(api: ApiServer) -> None:
    workload = workload_of(api)
    workload.apply(None, change(IMAGE))
    assert not workload.wait_healthy(0.05)
    del api.objects["deployments", "loans"]
    with pytest.raises(ModelwayError, match="models/deployments/loans was deleted"):
        workload.wait_healthy(0.05)


def test_who_follows_the_rollout_of_another_run_is_noted_once(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    add_aborted_rollout(api)
    workload = Workload(api.cluster(), "loans", minimal_policy(), progress=str)
    workload.take_up(api.objects["rollouts", "loans"], "run-6")
    assert api.objects["rollouts", "loans"]["metadata"]["annotations"]["modelway.io/run"] == "run-6"
    monkeypatch.setattr(Cluster, "patch", None)
    workload.take_up(api.objects["rollouts", "loans"], "run-6")
