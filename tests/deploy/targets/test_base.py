"""What the deploy targets share."""

from __future__ import annotations

from typing import Any

import pytest
from pod_proxy import patched

from modelway.components.core.errors import ModelwayError
from modelway.components.deploy.targets.annotations import annotation
from modelway.components.deploy.targets.base import DeployTarget, RolloutChange, is_ready, is_stopped, server_index
from modelway.components.deploy.targets.deployment import DeploymentTarget
from modelway.components.deploy.targets.kserve import InferenceServiceTarget
from modelway.components.deploy.targets.rollout import RolloutTarget

TARGET = DeploymentTarget()


def test_the_server_is_known_by_its_name_or_by_being_alone() -> None:
    proxy, server, main = ({"name": name} for name in ("proxy", "server", "main"))
    assert server_index([proxy, server]) == 1
    assert server_index([main]) == 0
    with pytest.raises(ModelwayError, match="which of the containers proxy, main is the server"):
        server_index([proxy, main])


def test_an_object_that_is_scaled_down_is_scaled_up_to_as_many_replicas() -> None:
    template = {"metadata": {}, "spec": {"containers": [{"name": "server", "image": "a"}]}}
    obj = {"metadata": {}, "spec": {"replicas": 3, "template": template}}
    change = RolloutChange("loans", "2", "b", "run-2", None, {}, 60)
    stopped_obj = patched(obj, TARGET.restore(obj, None, reason="it crashed"))
    assert is_stopped(stopped_obj)
    again = TARGET.restore(stopped_obj, None, reason="it crashed again")
    assert all(operation["path"].startswith("/metadata/annotations/") for operation in again)
    assert annotation(patched(stopped_obj, again), "modelway.io/replicas") == "3"
    assert patched(stopped_obj, TARGET.change(stopped_obj, change))["spec"]["replicas"] == 3
    assert not any(operation["path"] == "/spec/replicas" for operation in TARGET.change(obj, change))


@pytest.mark.parametrize(
    ("target", "spec", "path"),
    [
        (DeploymentTarget(), {"strategy": {"rollingUpdate": {"maxUnavailable": 0}}}, ("strategy", "rollingUpdate")),
        (RolloutTarget(), {"strategy": {"canary": {"maxUnavailable": 0, "steps": [1]}}}, ("strategy", "canary")),
        (InferenceServiceTarget(), {"predictor": {}}, ("predictor", "deploymentStrategy", "rollingUpdate")),
    ],
)
def test_pods_may_be_missing_while_others_wait_for_room_and_none_afterwards(
    target: DeployTarget, spec: dict[str, Any], path: tuple[str, ...]
) -> None:
    def tolerated(obj: dict[str, Any]) -> int:
        section = obj["spec"]
        for key in path:
            section = section.get(key, {})
        return int(section.get("maxUnavailable", 0))

    obj = {"metadata": {}, "spec": spec}
    assert target.tolerance(obj, 0) == []
    tolerant = patched(obj, target.tolerance(obj, 2))
    assert (tolerated(tolerant), target.tolerance(tolerant, 2)) == (2, [])
    assert tolerated(patched(tolerant, target.tolerance(tolerant, 0))) == 0


def test_blue_green_misses_no_pod_and_its_undo_is_not_aborted_for_waiting() -> None:
    obj = {"metadata": {}, "spec": {"strategy": {"blueGreen": {}}, "template": {}, "progressDeadlineAbort": True}}
    assert RolloutTarget().tolerance(obj, 1) == []
    undone = patched(obj, RolloutTarget().restore(obj, {"metadata": {}}, reason="it is slow"))
    assert undone["spec"]["progressDeadlineAbort"] is False
    assert patched(undone, RolloutTarget().tolerance(undone, 0))["spec"]["progressDeadlineAbort"] is True


def test_a_pod_that_is_being_deleted_is_not_ready() -> None:
    conditions = [{"type": "Ready", "status": "True"}]
    assert is_ready({"metadata": {}, "status": {"conditions": conditions}})
    assert not is_ready({"metadata": {"deletionTimestamp": "now"}, "status": {"conditions": conditions}})
    assert not is_ready({"metadata": {}})
