"""What a model's objects are called in a cluster."""

from __future__ import annotations

import re

from modelway.components.core.errors import ModelwayError

_LONGEST = 40  # with what is put after it, names of Services and values of labels are at most 63
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def kubernetes_name(model: str) -> str:
    """The name of a model's objects: the registered model's, with hyphens for what Kubernetes does not take.

    Raises:
        ModelwayError: the name cannot be made one, a DNS label (RFC 1035).
    """
    name = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")
    if len(name) > _LONGEST or not _LABEL.fullmatch(name):
        raise ModelwayError(
            f"{model!r} cannot be the name of objects in Kubernetes",
            key="name",
            value=model,
            remedy=f"name the model with a letter first, and at most {_LONGEST} letters, digits and hyphens in all",
        )
    return name
