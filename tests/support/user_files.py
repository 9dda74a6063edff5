"""A user's files as short as they can be, with keys set at will."""

from __future__ import annotations

from typing import Any

import yaml

from modelway.components.core.config.policy import Policy
from modelway.components.core.config.project import Project

PROJECT: dict[str, Any] = {
    "name": "loans",
    "task": "binary",
    "data": {"source": "loans.parquet"},
    "label": "late",
    "features": {"numeric": ["income"]},
    "model": {"estimator": "sklearn.linear_model.LogisticRegression"},
}


def minimal_project_text(**keys: Any) -> str:
    """The text of a project file with the least that it must say, some of its keys set otherwise."""
    return yaml.safe_dump(PROJECT | keys)


def minimal_project(**keys: Any) -> Project:
    """A project file with the least that it must say, some of its keys set otherwise."""
    return Project.parse(minimal_project_text(**keys))


def minimal_policy(**sections: Any) -> Policy:
    """A policy with the least that it must say, with some sections more."""
    return Policy.model_validate({"model": {"metrics": {"roc_auc": {"min": 0.6}}}} | sections)
