"""A plain Deployment is read as `kubectl rollout status` does, and remembers what served before it was changed."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from user_files import minimal_policy

from modelway.components.core.errors import ModelwayError
from modelway.components.deploy.targets.base import RolloutChange, image_of
from modelway.components.deploy.targets.deployment import DeploymentTarget

IMAGE, NEXT = f"r.example/loans@sha256:{'1' * 64}", f"r.example/loans@sha256:{'2' * 64}"
TARGET = DeploymentTarget()
NOWHERE: Any = None


def values_by_path(operations: list[dict[str, Any]]) -> dict[str, Any]:
    return {operation["path"]: operation["value"] for operation in operations}


@pytest.fixture
def deployment() -> dict[str, Any]:
    body = copy.deepcopy(dict(TARGET.manifests(minimal_policy(), "loans", image=IMAGE))["deployments"])
    body["spec"]["replicas"] = 2
    body["metadata"]["generation"] = 2
    counts = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    return {**body, "status": {"observedGeneration": 2, **counts}}


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        ({}, "healthy"),
        ({"observedGeneration": 1}, "progressing"),
        ({"updatedReplicas": 1}, "progressing"),
        ({"replicas": 3}, "progressing"),
        ({"availableReplicas": 1}, "progressing"),
        (
            {"availableReplicas": 1, "conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]},
            "failed",
        ),
        (
            {
                "observedGeneration": 1,
                "conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}],
            },
            "progressing",
        ),
    ],
)
def test_a_deployment_is_whole_when_all_its_pods_are_new_and_there(
    deployment: dict[str, Any], status: dict[str, Any], phase: str
) -> None:
    deployment["status"] |= status
    assert TARGET.state(deployment, []).phase == phase


def test_what_served_before_is_remembered_while_it_is_changed(deployment: dict[str, Any]) -> None:
    template = copy.deepcopy(TARGET.serving_template(NOWHERE, deployment, changing=False))
    assert template is not None
    change = RolloutChange("loans", "2", NEXT, "run-2", template, {"type": "RollingUpdate"}, 60)
    values = values_by_path(TARGET.change(deployment, change))
    assert values["/spec/template/spec/containers/0/image"] == NEXT
    previous = values["/metadata/annotations/modelway.io~1previous"]
    deployment["metadata"]["annotations"] = {"modelway.io/previous": previous}
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = NEXT
    assert TARGET.serving_template(NOWHERE, deployment, changing=True) == template
    back = {
        operation["path"]: operation["value"]
        for operation in TARGET.restore(deployment, template, reason="it was slow")
    }
    assert image_of(back["/spec/template"]) == IMAGE


def test_a_deployment_that_never_served_has_nothing_to_go_back_to(deployment: dict[str, Any]) -> None:
    deployment["status"] = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2}
    assert TARGET.serving_template(NOWHERE, deployment, changing=False) is None
    deployment["spec"]["replicas"] = 0
    assert TARGET.serving_template(NOWHERE, deployment, changing=False) is None
    assert TARGET.state(deployment, []).phase == "failed"


def test_a_deployment_that_something_else_is_changing_is_left_alone(deployment: dict[str, Any]) -> None:
    deployment["status"]["updatedReplicas"] = 1
    with pytest.raises(ModelwayError, match="is being changed by something else"):
        TARGET.serving_template(NOWHERE, deployment, changing=False)


@pytest.mark.parametrize("replicas", [1, 4])
def test_a_deployment_that_is_scaled_serves_what_all_its_pods_are_of(deployment: dict[str, Any], replicas: int) -> None:
    deployment["spec"]["replicas"] = replicas
    assert TARGET.serving_template(NOWHERE, deployment, changing=False) == deployment["spec"]["template"]
    deployment["status"] |= {"replicas": 4, "updatedReplicas": 4}
    assert TARGET.serving_template(NOWHERE, deployment, changing=False) == deployment["spec"]["template"]
