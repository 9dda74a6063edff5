"""What the deploy targets share."""

from __future__ import annotations

import pytest
from pod_proxy import patched

from modelway.components.core.errors import ModelwayError
from modelway.components.deploy.targets.base import (
    annotate_object,
    annotation,
    is_ready,
    is_stopped,
    scale_down,
    scale_up,
    server_index,
)


def test_the_server_is_known_by_its_name_or_by_being_alone() -> None:
    proxy, server, main = ({"name": name} for name in ("proxy", "server", "main"))
    assert server_index([proxy, server]) == 1
    assert server_index([main]) == 0
    with pytest.raises(ModelwayError, match="which of the containers proxy, main is the server"):
        server_index([proxy, main])


@pytest.mark.parametrize("annotations", [None, {}, {"modelway.io/run": "a", "b": "c"}])
def test_annotations_are_added_to_those_that_there_are(annotations: dict[str, str] | None) -> None:
    obj = {"metadata": {"annotations": annotations} if annotations is not None else {}}
    result = patched(obj, annotate_object(obj, {"modelway.io/run": "b", "a~b": "d"}))
    assert result["metadata"]["annotations"] == {**(annotations or {}), "modelway.io/run": "b", "a~b": "d"}
    assert annotation(result, "modelway.io/run") == "b"
    assert annotation(result, "modelway.io/undone") == ""


def test_an_object_that_is_scaled_down_is_scaled_up_to_as_many_replicas() -> None:
    obj = {"metadata": {}, "spec": {"replicas": 3}}
    stopped_obj = patched(obj, scale_down(obj))
    assert is_stopped(stopped_obj)
    assert scale_down(stopped_obj) == []
    assert patched(stopped_obj, scale_up(stopped_obj))["spec"]["replicas"] == 3
    assert scale_up(obj) == []


def test_a_pod_that_is_being_deleted_is_not_ready() -> None:
    conditions = [{"type": "Ready", "status": "True"}]
    assert is_ready({"metadata": {}, "status": {"conditions": conditions}})
    assert not is_ready({"metadata": {"deletionTimestamp": "now"}, "status": {"conditions": conditions}})
    assert not is_ready({"metadata": {}})
