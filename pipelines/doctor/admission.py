"""Whether an environment admits only released images, and would admit the project's."""

from __future__ import annotations

from modelway.components.core.surroundings.findings import Finding, Status
from modelway.pipelines.doctor.cluster_reader import ClusterReader, DeniedError

_GROUP, _NAME = "modelway.io/v1", "modelway"
_LABEL = "modelway.io/images"
_SUBJECT = "admission in {}"


def inspect_admission(reader: ClusterReader, namespace: str, *, repository: str = "") -> Finding:
    """What an environment's namespace admits.

    Args:
        reader: Reads the cluster.
        namespace: The environment's namespace, which exists.
        repository: Where the project's image goes, ``host/repository``; empty: nowhere yet.
    """
    subject = _SUBJECT.format(namespace)
    try:
        level = reader.labels(namespace).get(_LABEL, "")
        if not reader.has_resource(_GROUP, "releasedimages") or level != "releases":
            message = f"{namespace} admits images that deploy_model has not verified, and pods that mount any Secret"
            remedy = "apply components/admission and components/releases, as manifests/README.md says"
            return Finding(subject, Status.UNSET, message, remedy)
        admission = reader.get_custom(_GROUP, "admissions", name=_NAME, namespace=namespace)
        releases = reader.get_custom(_GROUP, "releasedimages", name=_NAME, namespace=namespace)
    except DeniedError as error:
        return Finding(subject, Status.UNKNOWN, error.message)
    for kind, obj in (("Admission", admission), ("ReleasedImages", releases)):
        if obj is None:
            message = f"{namespace} has no {kind} {_NAME}, so that it admits no pods at all"
            return Finding(subject, Status.MISSING, message, "apply the environment's overlay with components/releases")
    registries = [str(name) for name in ((admission or {}).get("spec") or {}).get("registries", ())]
    if repository and not any(_is_in(repository, registry) for registry in registries):
        message = f"{namespace} admits images of {', '.join(registries) or 'no registry'}, and none of {repository}"
        remedy = f"add it to `registries`: kubectl -n {namespace} edit admission {_NAME}"
        return Finding(subject, Status.MISSING, message, remedy, key="registries")
    return Finding(subject, Status.OK, f"{namespace} admits only released images of {', '.join(registries)}")


def _is_in(repository: str, registry: str) -> bool:
    """Whether a repository is of a registry, or below a path in it, by whole segments."""
    return f"{repository}/".startswith(f"{registry.rstrip('/')}/")
