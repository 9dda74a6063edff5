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


@pytest.fixture
def found() -> dict[str, Any]:
    made = copy.deepcopy(dict(TARGET.manifests(minimal_policy(), "loans", image=IMAGE))["deployments"])
    made["spec"]["replicas"] = 2
    made["metadata"]["generation"] = 2
    counts = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    return {**made, "status": {"observedGeneration": 2, **counts}}


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
    found: dict[str, Any], status: dict[str, Any], phase: str
) -> None:
    found["status"] |= status
    assert TARGET.state(found, []).phase == phase


def test_what_served_before_is_remembered_while_it_is_changed(found: dict[str, Any]) -> None:
    served = copy.deepcopy(TARGET.serving_template(NOWHERE, found, changing=False))
    assert served is not None
    operations = TARGET.change(found, RolloutChange("loans", "2", NEXT, "run-2", served, {"type": "RollingUpdate"}, 60))
    set_to = {one["path"]: one["value"] for one in operations}
    assert set_to["/spec/template/spec/containers/0/image"] == NEXT
    found["metadata"]["annotations"] = {"modelway.io/previous": set_to["/metadata/annotations/modelway.io~1previous"]}
    found["spec"]["template"]["spec"]["containers"][0]["image"] = NEXT
    assert TARGET.serving_template(NOWHERE, found, changing=True) == served
    back = {one["path"]: one["value"] for one in TARGET.restore(found, served, reason="it was slow")}
    assert image_of(back["/spec/template"]) == IMAGE


def test_a_deployment_that_never_served_has_nothing_to_go_back_to(found: dict[str, Any]) -> None:
    found["status"] = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2}
    assert TARGET.serving_template(NOWHERE, found, changing=False) is None
    found["spec"]["replicas"] = 0
    assert TARGET.serving_template(NOWHERE, found, changing=False) is None
    assert TARGET.state(found, []).phase == "failed"


def test_a_deployment_that_something_else_is_changing_is_left_alone(found: dict[str, Any]) -> None:
    found["status"]["updatedReplicas"] = 1
    with pytest.raises(ModelwayError, match="is being changed by something else"):
        TARGET.serving_template(NOWHERE, found, changing=False)
