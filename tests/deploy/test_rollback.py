"""A rollback goes to a version that served before, and only there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pod_proxy import Untouchable

from modelway.components.core.audit.chain import Event
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

    with pytest.raises(ModelwayError, match="staging has served no other version of back well before any"):
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


PROMOTED, DEPLOYED, UNDONE, ROLLED_BACK = "promoted", "deployed", "undone", "rolled-back"
IN_PART: Event = "undone-in-part"


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([("1", PROMOTED), ("2", PROMOTED)], "1"),
        ([("1", PROMOTED), ("2", PROMOTED), ("1", ROLLED_BACK)], "version 2 was rolled back from"),
        ([("1", PROMOTED), ("2", PROMOTED), ("3", PROMOTED), ("2", ROLLED_BACK)], "1"),
        ([("1", PROMOTED), ("2", PROMOTED), ("3", PROMOTED), ("1", ROLLED_BACK)], "2"),
        ([("1", PROMOTED), ("2", DEPLOYED), ("2", UNDONE), ("3", PROMOTED)], "1"),
        ([("1", PROMOTED), ("2", DEPLOYED), ("2", UNDONE)], "version 2 was undone"),
        ([("1", PROMOTED), ("2", DEPLOYED), ("2", IN_PART)], "1"),
        ([("1", PROMOTED), ("2", PROMOTED), ("1", ROLLED_BACK), ("2", PROMOTED), ("3", PROMOTED)], "2"),
        ([("1", PROMOTED), ("2", PROMOTED), ("3", DEPLOYED), ("2", ROLLED_BACK), ("1", ROLLED_BACK)], None),
    ],
    ids=lambda value: None if isinstance(value, list) else str(value),
)
def test_a_rollback_goes_to_the_last_version_that_served_well(
    packages: Any,
    release: Callable[..., str],
    tracking: Tracking,
    events: list[tuple[str, Event]],
    expected: str | None,
) -> None:
    name = f"well-{abs(hash(str(events))):x}"
    for _ in range(3):
        release(name)
    log = AuditLog(packages.store, tracking)
    for version, event in events:
        log.append(event, "ada", model=name, version=version, environment="staging", details={"restored": "1"})
    with pytest.raises(ModelwayError) as error:
        rollback(packages.handle(name), "staging", actor="ada", reason="odd", cluster=Untouchable())
    if expected is None:
        assert "version 3 was rolled back from; version 2 was rolled back from" in error.value.message
    elif expected.isdecimal():
        assert f"version {expected} of {name} has not been packaged" in error.value.message
    else:
        assert f"staging has served no other version of {name} well before" in error.value.message
        assert error.value.message.endswith(expected)
        assert "--to" in error.value.remedy
