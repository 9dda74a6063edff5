"""Which Kubeflow Pipelines servers take the compiled pipelines, and what is left out for older ones.

A server refuses a pipeline with a field that it does not know. What each version knows is in the messages of
``kfp-pipeline-spec`` and ``kfp-kubernetes`` of that version, which the tests parse with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

from modelway.components.core.errors import ModelwayError


@dataclass(frozen=True, order=True)
class Backend:
    """A version of the server; its patch versions take the same fields."""

    major: int
    minor: int

    @classmethod
    def parse(cls, version: str) -> Backend:
        """Reads a version such as ``2.16`` or ``2.16.1``.

        Raises:
            ModelwayError: it is not a version, or one that these pipelines cannot be compiled for.
        """
        numbers = re.fullmatch(r"(\d{1,4})\.(\d{1,4})(\.\d{1,4})?", version)
        error = partial(ModelwayError, key="--backend", value=version)
        if numbers is None:
            raise error(
                f"{version!r} is not a version of Kubeflow Pipelines",
                remedy=f"give the server's version as major.minor, such as {DEFAULT}",
            )
        backend = cls(int(numbers[1]), int(numbers[2]))
        if backend < OLDEST:
            raise error(
                f"Kubeflow Pipelines {version} is too old for these pipelines, which need {OLDEST} or later",
                remedy=f"upgrade the server to {OLDEST} or later",
            )
        if backend.major > OLDEST.major:
            raise error(
                f"Kubeflow Pipelines {version} is not supported: pipelines are compiled for versions of 2",
                remedy=f"give a version from {OLDEST} on, such as {DEFAULT}",
            )
        return backend

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


OLDEST = Backend(2, 14)
DEFAULT = Backend(2, 16)  # the oldest that takes everything
_SECURITY_CONTEXT = Backend(2, 16)
_OPTIONAL_VARIABLES = Backend(2, 15)  # from a Secret or a ConfigMap; optional volumes are older than OLDEST


@dataclass(frozen=True)
class Loss:
    """A field that is left out because a server does not know it, and what follows.

    Attributes:
        pipeline: The pipeline.
        task: The task that had it.
        field: The field, as the compiled YAML names it.
        consequence: What is different on that server.
    """

    pipeline: str
    task: str
    field: str
    consequence: str


def fit(platform: Mapping[str, Any], backend: Backend, *, pipeline: str) -> tuple[dict[str, Any], list[Loss]]:
    """A compiled pipeline's settings for Kubernetes without what a server does not know, and what was left out."""
    compatible = deepcopy(dict(platform))
    losses: list[Loss] = []
    executors = compatible["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for label, settings in executors.items():
        task = label.removeprefix("exec-")
        if backend < _SECURITY_CONTEXT and settings.pop("securityContext", None) is not None:
            losses.append(Loss(pipeline, task, "securityContext", _AS_ITS_IMAGE_SAYS))
        if backend < _OPTIONAL_VARIABLES:
            losses += [Loss(pipeline, task, field, needs) for field, needs in _made_mandatory(settings)]
    return compatible, losses


_AS_ITS_IMAGE_SAYS = (
    "the container runs as the user that its image names (10001 in Modelway's own), "
    "and a namespace that enforces Pod Security 'restricted' refuses the pod"
)


def _made_mandatory(settings: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Makes references of variables mandatory; yields each one's field and what must exist from now on."""
    for field, kind, name, key in (
        ("configMapAsEnv", "ConfigMap", "configMapName", "configMapKey"),
        ("secretAsEnv", "Secret", "secretName", "secretKey"),
    ):
        for reference in settings.get(field, ()):
            if reference.pop("optional", False):
                keys = ", ".join(repr(entry[key]) for entry in reference["keyToEnv"])
                needs = f"the {kind} {reference[name]!r} must exist with {keys}, or the pod does not start"
                yield f"{field}.optional", needs
