"""The name of a model's objects in a cluster."""

from __future__ import annotations

import re

from modelway.components.core.errors import ModelwayError

_LONGEST = 40  # with the suffixes, names of Services and values of labels are at most 63
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def kubernetes_name(model: str) -> str:
    """The name of a model's objects: the registered model's, with hyphens for characters that Kubernetes rejects.

    Raises:
        ModelwayError: the result is not a DNS label (RFC 1035).
    """
    name = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")
    if len(name) > _LONGEST or not _LABEL.fullmatch(name):
        raise ModelwayError(
            f"{model!r} cannot be the name of objects in Kubernetes",
            key="name",
            value=model,
            remedy=f"start the name with a letter, and use at most {_LONGEST} letters, digits and hyphens",
        )
    return name
