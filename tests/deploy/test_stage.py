"""What is refused is recorded and touches nothing: not even the cluster is asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pod_proxy import Untouchable, listening, status

from modelway.components.core.audit import log as audit
from modelway.components.core.audit.lock import acquire, current_lock
from modelway.components.core.audit.lock import release as release_lock
from modelway.components.core.audit.log import AuditLog
from modelway.components.core.config.project import Project
from modelway.components.core.errors import CredentialsError, ModelwayError, UnavailableError
from modelway.components.core.evidence.runs import DeploymentRecord
from modelway.components.core.storage import uri as storage
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.deploy.result import DeployResult
from modelway.components.deploy.stage import deploy, deploy_in_task


@pytest.fixture
def ask(packages: Any) -> Callable[..., DeployResult]:
    def arguments(model: str, version: str, **changes: Any) -> DeployResult:
        defaults = {"run": "run-1", "actor": "ada", "cluster": Untouchable(), "progress": str}
        return deploy(packages.handle(model).version(version), "staging", **{**defaults, **changes})

    return arguments


def test_a_refusal_says_all_reasons_is_recorded_and_touches_nothing(
    release: Callable[..., str], packages: Any, ask: Callable[..., DeployResult], tracking: Tracking
) -> None:
    version = release("refused", {"staging": {"approvals": {"quorum": 1}}})
    image = packages.altered("refused", version, lambda bundle: (bundle / "release.sig").unlink())
    lines: list[str] = []
    result = ask("refused", version, progress=lines.append)
    assert (result.status, result.image, result.live) == ("refused", "", False)
    unsigned, quorum = result.reasons
    assert "is not signed" in unsigned
    assert "staging requires 1 approval; 0 are valid" in quorum
    assert lines[-1] == result.sentence()
    _, entry = AuditLog(packages.store, tracking).verified_entries("refused")[0]
    assert (entry.event, entry.actor, entry.version, entry.environment) == ("refused", "ada", version, "staging")
    assert entry.details == {"image": "", "run": "run-1", "reason": "; ".join(result.reasons)}
    assert image
    assert tracking.version_with_alias("refused", "staging") is None


def test_a_promotion_reads_each_entry_of_the_log_once(
    release: Callable[..., str], packages: Any, ask: Callable[..., DeployResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    version = release("read-once", {"staging": {"approvals": {"quorum": 1}}})
    log = AuditLog(packages.store, packages.tracking)
    for number in range(5):
        log.append("approved", "ada", model="other", version=str(number))
    time.sleep(1.1)  # so that they are told from what is written meanwhile
    read: list[str] = []
    monkeypatch.setattr(audit, "read_all", lambda uris: storage.read_all(read.append(uri) or uri for uri in uris))
    assert ask("read-once", version).status == "refused"
    assert [Path(uri).stem for uri in read] == [f"{number:08}" for number in range(1, 7)]


def test_a_refusal_leaves_the_promotion_that_is_under_way_alone(
    release: Callable[..., str], packages: Any, ask: Callable[..., DeployResult], tracking: Tracking
) -> None:
    version = release("busy")
    log = AuditLog(packages.store, tracking)
    arguments = {"model": "busy", "environment": "staging", "lease": timedelta(hours=1)}
    claim = acquire(log, version="7", actor="eve", run="other", **arguments)  # type: ignore[arg-type]
    assert ask("busy", version).status == "refused"
    assert current_lock(log.entries(), "busy", environment="staging") == claim


def test_a_promotion_of_another_is_refused_with_who_holds_the_environment_and_how_it_is_taken_over(
    release: Callable[..., str], packages: Any, tracking: Tracking
) -> None:
    version = release("held", {"staging": {"traffic": "live"}})
    packages("held", version)
    about: Any = {"model": "held", "version": "7", "environment": "staging", "actor": "eve"}
    lock = acquire(AuditLog(packages.store, tracking), **about, run="other", lease=timedelta(hours=1))
    with listening() as api:
        handle = packages.handle("held").version(version)
        result = deploy(handle, "staging", run="run-1", actor="ada", cluster=api.cluster(), progress=str)
        assert api.objects == {}
    (reason,) = result.reasons
    assert reason.startswith(
        "staging is locked by the promotion of version 7 of held to staging by eve (run other, begun"
    )
    assert f"until {lock.until:%Y-%m-%d %H:%M} UTC" in reason
    assert "`modelway promote … --take-over REASON`" in reason


def test_a_run_that_was_taken_over_does_not_go_on_when_its_task_is_tried_again(
    packages: Any, shared_version: str, ask: Callable[..., DeployResult], tracking: Tracking
) -> None:
    log = AuditLog(packages.store, tracking)
    arguments = {"model": "shared", "environment": "staging", "lease": timedelta(hours=1)}
    acquire(log, version=shared_version, actor="ada", run="run-1", **arguments)  # type: ignore[arg-type]
    rescue = acquire(log, version="0", actor="eve", run="back", take_over="it is slow", **arguments)  # type: ignore[arg-type]
    for _ in range(2):  # while the other is under way, and when it has ended
        result = ask("shared", shared_version)
        assert result.status == "refused"
        assert result.reasons == (
            "run run-1 was taken over by eve (run back: it is slow), and cannot continue: start another run",
        )
        release_lock(log, rescue, event="rolled-back", actor="eve")


def test_a_broken_audit_log_refuses(
    packages: Any, shared_version: str, ask: Callable[..., DeployResult], tracking: Tracking
) -> None:
    log = AuditLog(packages.store, tracking)
    for number in range(2):
        log.append("approved", f"ada-{number}", model="shared", version=shared_version, environment="staging")
    second = Path(packages.store) / "audit" / "00000002.json"
    second.chmod(0o644)
    second.write_text(second.read_text().replace("ada-0", "eve-0"))
    assert any("the audit log is broken at entry 2" in reason for reason in ask("shared", shared_version).reasons)


def test_a_tracking_server_that_is_away_is_no_refusal(packages: Any, ask: Callable[..., DeployResult]) -> None:
    packages.tracking = Tracking("http://127.0.0.1:1")
    with pytest.raises(UnavailableError):
        ask("away", "1")
    assert not (Path(packages.store) / "audit").exists()


def test_a_task_takes_texts_and_refuses_an_environment_that_there_is_not(packages: Any) -> None:
    about = {"store": packages.store, "model": "loans", "version": "1", "run": "run-1"}
    with pytest.raises(ModelwayError, match="there is no environment 'prod'") as error:
        deploy_in_task(**about, environment="prod")
    assert "development, staging, production" in error.value.remedy
    with pytest.raises(ModelwayError, match="no such key"):
        deploy_in_task(**about, environment="staging", policy="{colour: red}")


def test_without_rows_to_send_an_environment_without_traffic_is_refused(
    packages: Any, shared_version: str, ask: Callable[..., DeployResult], tracking: Tracking
) -> None:
    with listening() as api:
        result = ask("shared", shared_version, cluster=api.cluster())
    assert result.status == "refused"
    assert "so no smoke requests can be made" in result.reasons[0]
    assert current_lock(AuditLog(packages.store, tracking).entries(), "shared", environment="staging") is None


def test_an_account_that_may_not_send_smoke_requests_changes_nothing(
    release: Callable[..., str], packages: Any, ask: Callable[..., DeployResult], tracking: Tracking
) -> None:
    project = {"name": "unbound", "task": "binary", "label": "late", "data": {"source": "a.csv"}}
    project |= {"features": {"numeric": ["age"]}, "model": {"estimator": "sklearn.svm.SVC"}}
    pl.DataFrame({"age": [21.0], "late": [0]}).write_parquet(sample := BytesIO())
    bound = {"project.json": Project.model_validate(project).canonical().encode(), "sample.parquet": sample.getvalue()}
    version = release("unbound", bound=bound)
    packages("unbound", version)
    with listening() as api:
        api.default = status(403, 'User "ada" cannot create resource "pods/proxy" in API group ""')
        with pytest.raises(CredentialsError, match="pods/proxy"):
            ask("unbound", version, cluster=api.cluster())
    assert [entry.event for entry in AuditLog(packages.store, tracking).entries()] == ["registered"]


def test_a_task_keeps_what_became_of_it_in_the_store(
    release: Callable[..., str], packages: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    version = release("kept")
    packages.altered("kept", version, lambda bundle: (bundle / "release.sig").unlink())
    about = {"store": packages.store, "model": "kept", "version": version, "environment": "staging"}
    result = deploy_in_task(**about, run="run-1")
    record = DeploymentRecord.read(packages.store, "run-1")
    assert record is not None
    assert (record.verdict, record.model, record.environment) == ("refused", "kept", "staging")
    assert (record.reasons, record.sentence) == (result.reasons, result.sentence())
    packages("kept", version)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ModelwayError, match="no cluster is configured"):
        deploy_in_task(**about, run="run-2")
    assert DeploymentRecord.read(packages.store, "run-2") is None
