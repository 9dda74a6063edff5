"""A rollback goes to a version that served before, and only there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pod_proxy import Untouchable

from modelway.components.core.audit.lock import acquire
from modelway.components.core.audit.lock import release as release_lock
from modelway.components.core.audit.log import AuditLog
from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.deploy.result import DeployResult
from modelway.components.deploy.rollback import rollback


def test_there_is_a_way_back_only_to_what_served_before(
    release: Callable[..., str], packages: Any, tracking: Tracking
) -> None:
    versions = [release("back") for _ in range(3)]
    log = AuditLog(packages.store, tracking)

    def back(**changes: Any) -> DeployResult:
        defaults = {"actor": "ada", "reason": "odd", "cluster": Untouchable()}
        return rollback(packages.handle("back"), "staging", **{**defaults, **changes})

    with pytest.raises(ModelwayError, match="staging has served no version of back before any"):
        back()
    for version in versions[:2]:
        about = {"model": "back", "version": version, "environment": "staging", "actor": "ada"}
        claim = acquire(log, **about, run=f"run-{version}", lease=timedelta(hours=1))  # type: ignore[arg-type]
        release_lock(log, claim, event="promoted", actor="ada")
    with pytest.raises(ModelwayError, match="staging has not served version 3 of back"):
        back(to="3")
    with pytest.raises(ModelwayError, match="a rollback needs a reason"):
        back(reason=" ")
    with pytest.raises(ModelwayError, match="version 1 of back has not been packaged"):
        back()
    packages.altered("back", "1", lambda bundle: (bundle / "model.tar.age").write_text("else"))
    result = back()
    assert (result.status, result.version) == ("refused", "1")
    assert "model.tar.age is not as it was signed" in result.reasons[0]
    assert log.entries()[-1].event == "refused"
