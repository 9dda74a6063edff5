"""Texts of small, valid documents for the tests of `core` to change one thing of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import user_files
import yaml

PROJECT = user_files.PROJECT | {
    "features": {"numeric": ["income", "age"], "categorical": ["region"], "datetime": ["opened"]},
}
CONTRACT: dict[str, Any] = {
    "columns": {
        "income": {"type": "number", "minimum": 0},
        "age": {"type": "integer", "minimum": 18, "maximum": 120},
        "region": {"type": "string", "categories": ["north", "south"]},
        "opened": {"type": "date"},
        "late": {"type": "integer", "categories": [0, 1]},
    },
}
POLICY: dict[str, Any] = {"model": {"metrics": {"roc_auc": {"min": 0.7}}}}


def changed_text(document: dict[str, Any], changes: dict[str, Any]) -> str:
    """The document as YAML, with dotted keys set, or removed where the value is Ellipsis."""
    copy = yaml.safe_load(yaml.safe_dump(document))
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = copy
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is ...:
            del place[last]
        else:
            place[last] = value
    return yaml.safe_dump(copy, sort_keys=False)


@pytest.fixture
def project_text() -> Callable[..., str]:
    return lambda changes=None: changed_text(PROJECT, changes or {})


@pytest.fixture
def contract_text() -> Callable[..., str]:
    return lambda changes=None: changed_text(CONTRACT, changes or {})


@pytest.fixture
def policy_text() -> Callable[..., str]:
    return lambda changes=None: changed_text(POLICY, changes or {})
