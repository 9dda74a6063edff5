from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from modelway.components.core.audit.opened_version import open_version
from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.errors import ModelwayError, NotFoundError
from modelway.components.core.storage.mlflow import Tracking


@pytest.fixture
def model(release: Callable[..., str], tracking: Tracking, tmp_path: Path) -> RegisteredModel:
    """A registered model with two versions."""
    name = f"handled-{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]}"
    assert [release(name), release(name)] == ["1", "2"]
    return RegisteredModel(name, str(tmp_path / "store"), tracking)


def test_a_version_is_named_by_its_number_or_an_alias(model: RegisteredModel) -> None:
    model.version("2").set_alias("staging")
    assert model.version_named("1") == model.version("1")
    assert model.version_named("staging") == model.version("2") == model.version_with_alias("staging")
    assert model.version_with_alias("production") is None
    for text in ("9", "production", ""):
        with pytest.raises(ModelwayError, match="has no version"):
            model.version_named(text)


def test_a_version_has_its_own_evidence_and_one_log_with_all_others(model: RegisteredModel) -> None:
    first, second = model.version("1"), model.version("2")
    assert (str(first), first.store) == (f"version 1 of {model.name}", model.store)
    assert open_version(first).blessing_sha256 != open_version(second).blessing_sha256
    assert first.registered().version == 1
    with pytest.raises(NotFoundError, match="has no version 9"):
        model.version("9").registered()
    entry = second.log_event("promoted", "ada", environment="staging", details={"run": "r-1"})
    assert (entry.model, entry.version, entry.environment) == (model.name, "2", "staging")
    assert first.model.verified_entries()[-1] == entry
    assert first.model.audit_log is second.model.audit_log
