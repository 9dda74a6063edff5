"""An InferenceService is whole when it is ready and runs no other image any more."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from pod_proxy import patched
from user_files import minimal_policy

from modelway.components.deploy.targets.base import RolloutChange, image_of
from modelway.components.deploy.targets.kserve import InferenceServiceTarget

IMAGE, NEXT = f"r.example/loans@sha256:{'1' * 64}", f"r.example/loans@sha256:{'2' * 64}"
TARGET = InferenceServiceTarget()
NOWHERE: Any = None


def values_by_path(operations: list[dict[str, Any]]) -> dict[str, Any]:
    return {operation["path"]: operation["value"] for operation in operations}


@pytest.fixture
def service() -> dict[str, Any]:
    ((_, body),) = TARGET.manifests(minimal_policy(), "loans", image=IMAGE)
    status = {"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True"}]}
    return {**body, "metadata": {**body["metadata"], "generation": 2}, "status": status}


def pod(image: str, *, ready: bool = True) -> dict[str, Any]:
    spec = {"containers": [{"name": "kserve-container", "image": image}, {"name": "queue-proxy", "image": "q"}]}
    return {
        "metadata": {"name": "p"},
        "spec": spec,
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
    }


@pytest.mark.parametrize(
    ("pods", "phase"),
    [
        ([pod(IMAGE), pod(IMAGE)], "healthy"),
        ([pod(IMAGE), pod(NEXT)], "progressing"),
        ([pod(IMAGE), pod(IMAGE, ready=False)], "progressing"),
        ([], "progressing"),
    ],
)
def test_it_is_whole_when_only_the_new_image_runs(service: dict[str, Any], pods: list[Any], phase: str) -> None:
    assert TARGET.state(service, pods).phase == phase


def test_it_is_not_whole_before_it_is_ready_or_seen(service: dict[str, Any]) -> None:
    service["metadata"]["generation"] = 3
    assert TARGET.state(service, [pod(IMAGE)]).phase == "progressing"
    service["status"] = {"observedGeneration": 3, "conditions": [{"type": "Ready", "status": "False"}]}
    assert TARGET.state(service, [pod(IMAGE)]).phase == "progressing"


def test_a_model_that_cannot_be_loaded_has_failed(service: dict[str, Any]) -> None:
    failure = {"transitionStatus": "BlockedByFailedLoad", "lastFailureInfo": {"message": "exit status 3"}}
    service["status"] |= {"conditions": [{"type": "Ready", "status": "False"}], "modelStatus": failure}
    state = TARGET.state(service, [pod(IMAGE, ready=False)])
    assert (state.phase, state.reason) == ("failed", "BlockedByFailedLoad exit status 3")


def test_a_change_remembers_what_served_and_is_undone_to_it(service: dict[str, Any]) -> None:
    template = TARGET.serving_template(NOWHERE, copy.deepcopy(service), changing=False)
    assert template is not None
    assert image_of(template) == IMAGE
    assert "minReplicas" not in template["spec"]
    operations = TARGET.change(service, RolloutChange("loans", "2", NEXT, "run-2", template, {}, 60))
    values = values_by_path(operations)
    assert values["/spec/predictor/containers/0/image"] == NEXT
    service["metadata"]["annotations"]["modelway.io/previous"] = values["/metadata/annotations/modelway.io~1previous"]
    service["spec"]["predictor"]["containers"][0]["image"] = NEXT
    assert TARGET.serving_template(NOWHERE, service, changing=True) == template
    back = {
        operation["path"]: operation["value"] for operation in TARGET.restore(service, template, reason="it was slow")
    }
    assert back["/spec/predictor"]["containers"][0]["image"] == IMAGE
    assert back["/spec/predictor"]["minReplicas"] == service["spec"]["predictor"]["minReplicas"]
    stopped = TARGET.restore(service, None, reason="x")
    assert {operation["path"].startswith("/metadata/annotations/") for operation in stopped} == {True}


def test_a_template_does_not_hold_the_ones_before_it(service: dict[str, Any]) -> None:
    sizes = []
    for version in range(2, 6):
        template = TARGET.template(service)
        change = RolloutChange("loans", str(version), NEXT, f"run-{version}", template, {}, 60)
        service = patched(service, TARGET.change(service, change))
        sizes.append(len(service["metadata"]["annotations"]["modelway.io/previous"]))
    assert max(sizes[1:]) - min(sizes[1:]) < 10
    back = patched(service, TARGET.restore(service, template, reason="it was slow"))
    annotations = back["metadata"]["annotations"]
    assert (annotations["modelway.io/version"], annotations["modelway.io/run"]) == ("4", "run-4")
    assert annotations["modelway.io/undone"] == "version 5 was undone: it was slow"


def test_its_services_are_kserves_own(service: dict[str, Any]) -> None:
    assert TARGET.client_services(service) == ()
