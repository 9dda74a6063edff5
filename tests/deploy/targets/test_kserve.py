"""An InferenceService is whole when it is ready and runs no other image any more."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from user_files import minimal_policy

from modelway.components.deploy.targets.base import RolloutChange, image_of
from modelway.components.deploy.targets.kserve import InferenceServiceTarget

IMAGE, NEXT = f"r.example/loans@sha256:{'1' * 64}", f"r.example/loans@sha256:{'2' * 64}"
TARGET = InferenceServiceTarget()
NOWHERE: Any = None


@pytest.fixture
def found() -> dict[str, Any]:
    ((_, made),) = TARGET.manifests(minimal_policy(), "loans", image=IMAGE)
    status = {"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True"}]}
    return {**made, "metadata": {**made["metadata"], "generation": 2}, "status": status}


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
def test_it_is_whole_when_only_the_new_image_runs(found: dict[str, Any], pods: list[Any], phase: str) -> None:
    assert TARGET.state(found, pods).phase == phase


def test_it_is_not_whole_before_it_is_ready_or_seen(found: dict[str, Any]) -> None:
    found["metadata"]["generation"] = 3
    assert TARGET.state(found, [pod(IMAGE)]).phase == "progressing"
    found["status"] = {"observedGeneration": 3, "conditions": [{"type": "Ready", "status": "False"}]}
    assert TARGET.state(found, [pod(IMAGE)]).phase == "progressing"


def test_a_model_that_cannot_be_loaded_has_failed(found: dict[str, Any]) -> None:
    failure = {"transitionStatus": "BlockedByFailedLoad", "lastFailureInfo": {"message": "exit status 3"}}
    found["status"] |= {"conditions": [{"type": "Ready", "status": "False"}], "modelStatus": failure}
    state = TARGET.state(found, [pod(IMAGE, ready=False)])
    assert (state.phase, state.reason) == ("failed", "BlockedByFailedLoad exit status 3")


def test_a_change_remembers_what_served_and_is_undone_to_it(found: dict[str, Any]) -> None:
    served = TARGET.serving_template(NOWHERE, copy.deepcopy(found), changing=False)
    assert served is not None
    assert image_of(served) == IMAGE
    assert "minReplicas" not in served["spec"]
    operations = TARGET.change(found, RolloutChange("loans", "2", NEXT, "run-2", served, {}, 60))
    set_to = {one["path"]: one["value"] for one in operations}
    assert set_to["/spec/predictor/containers/0/image"] == NEXT
    found["metadata"]["annotations"]["modelway.io/previous"] = set_to["/metadata/annotations/modelway.io~1previous"]
    found["spec"]["predictor"]["containers"][0]["image"] = NEXT
    assert TARGET.serving_template(NOWHERE, found, changing=True) == served
    back = {one["path"]: one["value"] for one in TARGET.restore(found, served, reason="it was slow")}
    assert back["/spec/predictor"]["containers"][0]["image"] == IMAGE
    assert back["/spec/predictor"]["minReplicas"] == found["spec"]["predictor"]["minReplicas"]
    assert [one["path"] for one in TARGET.restore(found, None, reason="x")] == [
        "/metadata/annotations/modelway.io~1undone"
    ]
