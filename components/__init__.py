"""Typed KFP v2 components, one for each stage of the road from data to a registered model.

Each is imported when it is first asked for, so that using one does not load what the others need.
"""

import os
from importlib import import_module
from typing import Any

__all__ = [
    "deploy_model",
    "enforce_gate",
    "evaluate_model",
    "ingest_data",
    "package_model",
    "prepare_features",
    "probe_model",
    "record_outcome",
    "register_model",
    "resolve_inputs",
    "train_model",
    "validate_data",
]


if os.environ.get("_KFP_RUNTIME") == "true":  # inside a component's container
    from modelway.components.core import task

    task.begin()


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{name.partition('_')[0]}.component"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
