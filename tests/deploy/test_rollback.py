"""A rollback goes to a version that served before, and only there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pod_proxy import ApiServer, Untouchable
from user_files import minimal_policy

from modelway.components.core.audit.chain import Event
from modelway.components.core.audit.lock import acquire
from modelway.components.core.audit.lock import release as release_lock
from modelway.components.core.audit.log import AuditLog
from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.deploy.result import DeployResult
from modelway.components.deploy.rollback import rollback
from modelway.components.deploy.targets.base import RolloutChange
from modelway.components.deploy.workload import Workload


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


PROMOTED, UNDONE, ROLLED_BACK, BACK = "promoted", "undone", "rolled-back", "begun to roll back"
DEPLOYED: Event = "deployed"
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
        # As rollbacks write it: what they change, and then that they have ended.
        ([("1", PROMOTED), ("2", PROMOTED), ("3", PROMOTED), ("2", BACK), ("2", ROLLED_BACK)], "1"),
        ([("1", PROMOTED), ("2", PROMOTED), ("3", DEPLOYED), ("2", BACK), ("2", ROLLED_BACK)], "1"),
        # One that died midway is taken up, not turned round.
        ([("1", PROMOTED), ("2", PROMOTED), ("3", PROMOTED), ("2", BACK)], "2"),
    ],
    ids=lambda value: None if isinstance(value, list) else str(value),
)
def test_a_rollback_goes_to_the_last_version_that_served_well(
    packages: Any,
    release: Callable[..., str],
    tracking: Tracking,
    events: list[tuple[str, Any]],
    expected: str | None,
) -> None:
    name = f"well-{abs(hash(str(events))):x}"
    for _ in range(3):
        release(name)
    log = AuditLog(packages.store, tracking)
    for version, event in events:
        details = {"restored": "1", "run": "rollback-1" if event in {BACK, ROLLED_BACK} else "promote-1"}
        about = {"model": name, "version": version, "environment": "staging"}
        log.append(DEPLOYED if event == BACK else event, "ada", **about, details=details)
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


HEALTHY = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}


def test_a_rollback_says_from_what_to_what_and_how_that_was_chosen(
    release: Callable[..., str], packages: Any, api: ApiServer
) -> None:
    model = packages.handle("way")
    images = {version: packages("way", version) for version in (release("way") for _ in range(4))}
    policy = minimal_policy(deployment={"target": "deployment"})
    workload = Workload(api.cluster(), "way", policy, progress=str)
    for version in ("1", "2", "4"):
        about: Any = {"model": "way", "version": version, "environment": "staging", "actor": "ada"}
        claim = acquire(model.audit_log, **about, run=f"promote-{version}", lease=timedelta(hours=1))
        release_lock(model.audit_log, claim, event="promoted", actor="ada")
    workload.apply(None, RolloutChange("way", "4", images["4"], "promote-4", None, {}, 60))
    api.objects["deployments", "way"]["status"] = HEALTHY

    def back(reason: str, **changes: Any) -> tuple[DeployResult, list[str]]:
        lines: list[str] = []
        about: Any = {"actor": "bob", "policy": policy, "cluster": api.cluster(), "progress": lines.append}
        return rollback(model, "staging", reason=reason, **about, **changes), lines

    result, lines = back("complaints")
    assert lines[0] == "rolling back staging from version 4 to version 2, the last version that served well"
    assert (result.status, result.version, result.json()["replaced"]) == ("rolled-back", "2", "4")
    assert result.sentence() == "rolled back staging of way from version 4 to version 2: complaints"
    assert model.verified_entries()[-1].details["replaced"] == "4"
    result, lines = back("more complaints")
    chosen = "the last version that served well; version 4 was rolled back from"
    assert lines[0] == f"rolling back staging from version 2 to version 1, {chosen}"
    assert (result.version, result.replaced_version) == ("1", "2")
    # What is promoted right now is what is gone back from, even before it has changed the cluster.
    about = {"model": "way", "version": "3", "environment": "staging", "actor": "ada"}
    acquire(model.audit_log, **about, run="promote-3", lease=timedelta(hours=1), replaces="1")
    result, lines = back("stop")
    assert lines[0].startswith("rolling back staging from version 3 to version 1, the last version that served well")
    assert (result.version, result.replaced_version) == ("1", "3")
    result, lines = back("a try", to="4")
    assert lines[0] == "rolling back staging from version 1 to version 4"
