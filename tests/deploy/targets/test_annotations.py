"""What is written on the cluster's objects."""

from __future__ import annotations

from typing import Any

import pytest
from pod_proxy import patched

from modelway.components.deploy.targets.annotations import annotate, annotation, changing_run, undo_reason
from modelway.components.deploy.targets.base import RolloutChange
from modelway.components.deploy.targets.deployment import DeploymentTarget

TARGET = DeploymentTarget()


@pytest.mark.parametrize("annotations", [None, {}, {"modelway.io/run": "a", "b": "c"}])
def test_annotations_are_added_to_those_that_there_are(annotations: dict[str, str] | None) -> None:
    obj = {"metadata": {"annotations": annotations} if annotations is not None else {}}
    result = patched(obj, annotate(obj, {"modelway.io/run": "b", "a~b": "d"}))
    assert result["metadata"]["annotations"] == {**(annotations or {}), "modelway.io/run": "b", "a~b": "d"}
    assert annotation(result, "modelway.io/run") == "b"
    assert annotation(result, "modelway.io/undone") == ""


def test_after_an_undo_the_annotations_name_what_serves_and_what_was_undone() -> None:
    def changed(obj: dict[str, Any], version: str, template: dict[str, Any] | None) -> dict[str, Any]:
        change = RolloutChange("loans", version, f"image-{version}", f"run-{version}", template, {}, 60)
        return patched(obj, TARGET.change(obj, change))

    def about(obj: dict[str, Any]) -> tuple[str, ...]:
        names = ("version", "run", "previous-run", "undone-version", "undone-run")
        return tuple(annotation(obj, f"modelway.io/{name}") for name in names)

    template = {"metadata": {}, "spec": {"containers": [{"name": "server", "image": "a"}]}}
    first = changed({"metadata": {}, "spec": {"replicas": 1, "template": template}}, "1", None)
    assert about(first) == ("1", "run-1", "", "", "")
    second = changed(first, "2", first["spec"]["template"])
    assert about(second) == ("2", "run-2", "run-1", "", "")
    assert changing_run(second) == "run-2"
    assert undo_reason(second) == ""
    undone = patched(second, TARGET.restore(second, first["spec"]["template"], reason="it was slow"))
    assert about(undone) == ("1", "run-1", "", "2", "run-2")
    assert annotation(undone, "modelway.io/undone") == "version 2 was undone: it was slow"
    assert (changing_run(undone), undo_reason(undone)) == ("run-2", "it was slow")
    third = changed(undone, "3", undone["spec"]["template"])
    assert about(third) == ("3", "run-3", "run-1", "", "")
    # What a run that died has left is not what serves: it stays known who deployed that.
    fourth = changed(third, "4", undone["spec"]["template"])
    assert about(fourth) == ("4", "run-4", "run-1", "", "")
    stopped = patched(first, TARGET.restore(first, None, reason="it crashed"))
    assert about(stopped) == ("", "", "", "1", "run-1")


def test_an_undo_that_an_earlier_modelway_had_begun_is_taken_up() -> None:
    obj = {"metadata": {"annotations": {"modelway.io/run": "run-2", "modelway.io/undone": "it was slow"}}}
    assert (changing_run(obj), undo_reason(obj)) == ("run-2", "it was slow")
