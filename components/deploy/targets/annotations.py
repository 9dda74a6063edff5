"""Annotations of the cluster's objects: the version and run that they have, what served before, what was undone."""

from __future__ import annotations

from collections.abc import Mapping

from modelway.components.core.errors import DamagedError
from modelway.components.core.parsing import parse_json
from modelway.components.deploy.cluster import Object, Operation

MODEL, VERSION, RUN = "modelway.io/model", "modelway.io/version", "modelway.io/run"
PREVIOUS, PREVIOUS_IMAGE = "modelway.io/previous", "modelway.io/previous-image"
PREVIOUS_RUN, REPLICAS = "modelway.io/previous-run", "modelway.io/replicas"
UNDONE, UNDONE_VERSION, UNDONE_RUN = "modelway.io/undone", "modelway.io/undone-version", "modelway.io/undone-run"


def annotate(obj: Object, annotations: Mapping[str, str], *, path: str = "") -> list[Operation]:
    """The patch that adds annotations one by one, which keeps those that others write meanwhile.

    Args:
        obj: The object, or a pod template in it.
        annotations: The annotations to add.
        path: The template's JSON pointer.
    """
    path = f"{path}/metadata/annotations"
    first = [] if obj["metadata"].get("annotations") else [{"op": "add", "path": path, "value": {}}]
    keys = {key: key.replace("~", "~0").replace("/", "~1") for key in annotations}
    return first + [{"op": "add", "path": f"{path}/{keys[key]}", "value": annotations[key]} for key in annotations]


def annotation(obj: Object, key: str) -> str:
    """An object's annotation; empty if it has none."""
    return str((obj["metadata"].get("annotations") or {}).get(key, ""))


def changing_run(obj: Object) -> str:
    """The run whose change an object has, or whose change of it was undone last."""
    return annotation(obj, UNDONE_RUN) or annotation(obj, RUN)


def run_in_service(obj: Object, template: Object | None) -> str:
    """The run that deployed what serves; empty where that is not known, or nothing serves.

    Args:
        obj: The object.
        template: The pod template that serves; None: none does.
    """
    if template is None:
        return ""
    is_own = annotation(obj, VERSION) == annotation(template, VERSION)
    return annotation(obj, RUN if is_own else PREVIOUS_RUN)


def undone_annotations(obj: Object, template: Object | None, *, reason: str) -> dict[str, str]:
    """An object's annotations once its change is undone: what serves, and which version of which run was undone, why.

    Args:
        obj: The object, as changed or as undone before.
        template: The pod template that serves; None: none does.
        reason: Why it is undone.
    """
    if annotation(obj, UNDONE_RUN):
        return {UNDONE: _undone_text(annotation(obj, UNDONE_VERSION), reason)}
    version = annotation(obj, VERSION)
    return {
        VERSION: "" if template is None else annotation(template, VERSION),
        RUN: "" if template is None else annotation(obj, PREVIOUS_RUN),
        PREVIOUS_IMAGE: "",
        PREVIOUS_RUN: "",
        UNDONE: _undone_text(version, reason),
        UNDONE_VERSION: version,
        UNDONE_RUN: annotation(obj, RUN),
    }


def undo_reason(obj: Object) -> str:
    """Why an object's last change was undone; empty if it was not."""
    return annotation(obj, UNDONE).removeprefix(_undone_text(annotation(obj, UNDONE_VERSION), ""))


def _undone_text(version: str, reason: str) -> str:
    return f"version {version} was undone: {reason}"


def previous_template(obj: Object) -> Object | None:
    """The pod template that served before an object's last change, as its annotation says.

    Raises:
        DamagedError: the annotation is none of ours.
    """
    try:
        template = parse_json(annotation(obj, PREVIOUS) or "null")
    except ValueError:
        template = ""
    if template is not None and not isinstance(template, dict):
        raise DamagedError(
            f"the annotation {PREVIOUS} of {obj['metadata'].get('name')} is no pod template",
            key=PREVIOUS,
            remedy="find out who changed it, and take it off; what served before is in `modelway history`",
        )
    return template
