"""The image that every component runs in, and the decorator that pins it."""

import os
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from kfp import dsl

IMAGE = os.environ.get("MODELWAY_IMAGE") or f"modelway/components:{version('modelway')}"


def component(function: Callable[..., Any]) -> Any:
    """`dsl.component` with our pinned image, and nothing installed when the pod starts.

    The image is `MODELWAY_IMAGE` when the component is imported, by digest in earnest use
    (``registry/modelway@sha256:…``), else this version's tag.
    """
    return dsl.component(function, base_image=IMAGE, install_kfp_package=False)
