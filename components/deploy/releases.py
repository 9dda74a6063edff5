"""The released images that an environment's admission policy admits, where it has one: a list that deployments keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from modelway.components.core.audit.package_records import recorded_image
from modelway.components.core.audit.registered_models import ModelVersion
from modelway.components.core.errors import CredentialsError, ModelwayError, UnavailableError
from modelway.components.deploy.cluster import Cluster, MissingKindError, Object, Operation

_RESOURCE, _NAME = "releasedimages", "modelway"


def list_releases(
    cluster: Cluster, name: str, *, images: Mapping[ModelVersion, str], progress: Callable[[str], None]
) -> None:
    """Lists a model's versions as released in an environment, and takes its other versions off the list.

    A version is listed if its image is the one of its record, and a trusted key signed that. What is on the list
    already stays for an image whose record cannot be verified any more. Nothing happens in an environment that keeps
    no such list.

    Args:
        cluster: The environment's namespace.
        name: The name of the model's objects.
        images: The versions that serve, or are to, each with its image by digest.
        progress: Called with a line about what is listed anew, and what is not.

    Raises:
        UnavailableError: the store or the cluster cannot be reached.
    """
    try:
        obj = cluster.get(_RESOURCE, _NAME)
    except MissingKindError:
        return
    except CredentialsError:
        progress(f"the account may not read {_RESOURCE} in {cluster.namespace}: no image is listed there as released")
        return
    if obj is None:
        return
    digests = {}
    for version, image in images.items():
        if problem := _problem(version, image):
            progress(f"{image} is not listed as released in {cluster.namespace}: {problem}")
        else:
            digests[f"{name}.{version.number}"] = _digest(image)
    serving = {_digest(image) for image in images.values()}
    if operations := _changes(obj, name, digests=digests, serving=serving):
        cluster.patch(_RESOURCE, _NAME, operations=operations)
        listed = ", ".join(f"{key} ({digest})" for key, digest in digests.items())
        progress(f"listed as released in {cluster.namespace}: {listed or 'nothing new'}")


def _digest(image: str) -> str:
    return image.partition("@")[2]


def _problem(version: ModelVersion, image: str) -> str:
    """Why an image is not the recorded one of a version; empty if it is."""
    try:
        record = recorded_image(version)
    except UnavailableError:
        raise
    except ModelwayError as error:
        return error.message
    return "" if _digest(record) == _digest(image) else f"{version} is recorded with another image, {record}"


def _changes(obj: Object, name: str, *, digests: Mapping[str, str], serving: set[str]) -> list[Operation]:
    """The patch that leaves on a list the entries given, what serves, and other models' entries."""
    listed: dict[str, str] = (obj.get("spec") or {}).get("digests") or {}
    unlisted = serving - set(digests.values())
    added = {key: digest for key, digest in digests.items() if listed.get(key) != digest}
    stale = [
        key
        for key, digest in listed.items()
        if key.startswith(f"{name}.") and key not in digests and digest not in unlisted
    ]
    first: list[Operation] = [] if listed else [{"op": "add", "path": "/spec/digests", "value": {}}]
    operations: list[Operation] = [{"op": "add", "path": f"/spec/digests/{key}", "value": added[key]} for key in added]
    operations += [{"op": "remove", "path": f"/spec/digests/{key}"} for key in stale]
    return first + operations if operations else []
