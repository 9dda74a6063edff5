"""Typed KFP v2 components, one for each stage of the road from data to a registered model.

Each is imported when it is first asked for, so that using one does not load what the others need.
"""

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

_STAGES = {
    "deploy_model": "deploy",
    "enforce_gate": "enforce",
    "evaluate_model": "evaluate",
    "ingest_data": "ingest",
    "package_model": "package",
    "prepare_features": "features",
    "probe_model": "probe",
    "record_outcome": "record",
    "register_model": "register",
    "resolve_inputs": "resolve",
    "train_model": "train",
    "validate_data": "validate",
}


def __getattr__(name: str) -> Any:
    if name not in _STAGES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_STAGES[name]}.component"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
