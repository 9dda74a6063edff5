"""Attacks on the store by a task's own S3 keys: against training code, and against whoever took one task over."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import pytest
from s3_accounts import Accounts, separate_accounts

from modelway.components.core.audit.log import AuditLog
from modelway.components.core.errors import CredentialsError
from modelway.components.core.evidence.stop_record import StopRecord
from modelway.components.core.storage.s3 import S3
from modelway.components.core.storage.uri import read_uri, write_uri
from modelway.components.core.surroundings.findings import Status
from modelway.components.core.surroundings.storage import source_in_s3, store_in_s3

pytestmark = pytest.mark.cluster

ENTRY = "store/audit/00000001.json"
RECORDS = (
    "store/runs/another/decision.json",
    "store/runs/another/blessing.json",
    "store/runs/another/outcome.json",
    "store/runs/latest/outcome.json",
)


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accounts]:
    with separate_accounts(tmp_path_factory.mktemp("policies")) as separate:
        for bucket, keys in {
            "modelway": [*RECORDS, "store/packages/claims/1.json", "store/config/policy-0.json"],
            "data": ["claims.parquet"],
            "mlflow": ["1/models/m-1/artifacts/model.skops"],
            "mlpipeline": ["v2/artifacts/model"],
        }.items():
            for key in keys:
                content = BytesIO(b"old")
                separate.owner.put_object(bucket_name=separate.bucket(bucket), object_name=key, data=content, length=3)
        with pytest.MonkeyPatch.context() as patch:
            _become(patch, separate, "registrar")
            AuditLog(separate.store).append("registered", "ada", model="claims", version="1")
        yield separate


def _become(patch: pytest.MonkeyPatch, accounts: Accounts, concern: str) -> None:
    for variable, value in accounts.environment(concern).items():
        patch.setenv(variable, value)


@pytest.mark.parametrize("key", [*RECORDS, ENTRY, "store/packages/claims/1.json", "store/config/policy-0.json"])
@pytest.mark.parametrize("action", ["put", "delete", "delete version"])
def test_training_code_rewrites_nothing_in_the_store(accounts: Accounts, action: str, key: str) -> None:
    assert not accounts.may("runner", action, key)


@pytest.mark.parametrize("concern", ["runner", "registrar", "packager", "deployer", "server", "monitor"])
@pytest.mark.parametrize(
    ("bucket", "key"), [("mlflow", "1/models/m-1/artifacts/model.skops"), ("mlpipeline", "v2/artifacts/model")]
)
def test_no_task_reaches_what_mlflow_and_kubeflow_keep(accounts: Accounts, concern: str, bucket: str, key: str) -> None:
    """MLflow is reached through its server alone, and Kubeflow's launcher has keys of its own."""
    for action in ("get", "put", "delete"):
        assert not accounts.may(concern, action, key, bucket=bucket)


@pytest.mark.parametrize("concern", ["runner", "registrar", "packager", "deployer", "server", "monitor", "pipelines"])
@pytest.mark.parametrize("action", ["delete", "delete version"])
def test_nobody_removes_an_entry_of_the_audit_log(accounts: Accounts, concern: str, action: str) -> None:
    assert not accounts.may(concern, action, ENTRY)


@pytest.mark.parametrize("concern", ["runner", "packager", "server", "monitor", "mlflow", "artifacts"])
def test_only_who_decides_adds_to_the_audit_log(accounts: Accounts, concern: str) -> None:
    assert not accounts.may(concern, "put", "store/audit/00000002.json")
    assert not accounts.may(concern, "put", ENTRY)


@pytest.mark.parametrize(
    ("concern", "key"),
    [
        *(("packager", key) for key in (*RECORDS, ENTRY, "store/config/policy-0.json")),
        *(("deployer", key) for key in (*RECORDS, "store/packages/claims/1.json", "store/config/policy-0.json")),
        ("registrar", "store/packages/claims/1.json"),
        ("mlflow", "store/runs/another/decision.json"),
        ("artifacts", "store/runs/another/decision.json"),
    ],
)
def test_each_account_writes_its_own_alone(accounts: Accounts, concern: str, key: str) -> None:
    assert not accounts.may(concern, "put", key)


def test_an_entry_that_the_registrars_keys_write_over_stays_and_shows(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MinIO takes no condition on creating alone: what was there is retained below the new version, and is found."""
    _become(monkeypatch, accounts, "registrar")
    log = AuditLog(accounts.store)
    log.append("registered", "ada", model="claims", version="2")
    key = "store/audit/00000002.json"
    first = accounts.owner.stat_object(bucket_name=accounts.bucket("modelway"), object_name=key).version_id
    assert accounts.may("registrar", "put", key)
    bucket = accounts.bucket("modelway")
    assert accounts.owner.stat_object(bucket_name=bucket, object_name=key, version_id=first).size
    with pytest.raises(Exception, match="replaced"):
        AuditLog(accounts.store).verified_entries()
    version = accounts.owner.stat_object(bucket_name=bucket, object_name=key).version_id
    accounts.owner.remove_object(bucket_name=bucket, object_name=key, version_id=version)


@pytest.mark.parametrize("concern", ["runner", "registrar", "packager", "deployer"])
def test_each_account_does_its_work(accounts: Accounts, concern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _become(monkeypatch, accounts, concern)
    s3, source = S3.from_environment(), f"s3://{accounts.bucket('data')}/claims.parquet"
    entries, _ = AuditLog(accounts.store).verified_entries()
    assert entries[0].version == "1"
    StopRecord(stage="train_model").write(accounts.store, f"run-{concern}")
    match concern:
        case "runner":
            assert source_in_s3(s3, source).status is Status.OK
            assert read_uri(source) == b"old"
        case "registrar":
            assert store_in_s3(s3, accounts.store).status is Status.OK
            assert source_in_s3(s3, source).status is Status.OK
            write_uri(f"{accounts.store}/runs/mine/decision.json", b"{}")
            write_uri(f"{accounts.store}/config/policy-1.json", b"{}")
            AuditLog(accounts.store).append("registered", "ada", model="claims", version="3")
        case "packager":
            write_uri(f"{accounts.store}/packages/claims/3.json", b"{}")
            write_uri(f"{accounts.store}/runs/mine/package.json", b"{}")
        case "deployer":
            AuditLog(accounts.store).append("deployed", "ada", model="claims", version="3", environment="staging")
            write_uri(f"{accounts.store}/runs/mine/deployment.json", b"{}")


def test_the_log_is_retained_whoever_writes_it(accounts: Accounts) -> None:
    retention = accounts.owner.get_object_retention(bucket_name=accounts.bucket("modelway"), object_name=ENTRY)
    assert retention is not None
    assert retention.mode == "GOVERNANCE"


def test_a_refusal_names_the_right_that_lacks(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    _become(monkeypatch, accounts, "runner")
    with pytest.raises(CredentialsError, match="refuses access: AccessDenied"):
        write_uri(f"{accounts.store}/runs/mine/decision.json", b"{}")
