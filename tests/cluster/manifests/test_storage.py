"""MinIO holds each concern to its policy, and takes the lifecycle."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from minio import Minio
from minio.commonconfig import ENABLED, Filter
from minio.credentials import StaticProvider
from minio.error import S3Error
from minio.lifecycleconfig import Expiration, LifecycleConfig, NoncurrentVersionExpiration, Rule
from minio.minioadmin import MinioAdmin

pytestmark = pytest.mark.cluster

STORAGE = Path(__file__).resolve().parents[3] / "manifests" / "base" / "storage"
WHO = ("server", "pipelines", "monitor")


@dataclass(frozen=True)
class Bucket:
    """A bucket, its owner, and a client for each concern."""

    name: str
    owner: Minio
    clients: dict[str, Minio]

    def may(self, concern: str, action: str, key: str) -> bool:
        """Whether it is done rather than refused."""
        client = self.clients[concern]
        try:
            match action:
                case "put":
                    client.put_object(bucket_name=self.name, object_name=key, data=BytesIO(b"new"), length=3)
                case "get":
                    client.get_object(bucket_name=self.name, object_name=key).close()
                case "delete":
                    client.remove_object(bucket_name=self.name, object_name=key)
                case "list":
                    list(client.list_objects(bucket_name=self.name, prefix=key))
        except S3Error as error:
            if error.code == "AccessDenied":
                return False
            raise
        return True


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    endpoint, access, secret = (os.environ[name] for name in ("MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"))
    prefix, folder = f"mw{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("policies")
    owner = Minio(endpoint=endpoint, access_key=access, secret_key=secret, secure=False)
    admin = MinioAdmin(endpoint=endpoint, credentials=StaticProvider(access, secret), secure=False)
    owner.make_bucket(bucket_name=prefix)
    keys = {concern: (f"{prefix}-{concern}", uuid.uuid4().hex) for concern in WHO}
    try:
        for concern, (key, password) in keys.items():
            text = (STORAGE / f"{concern}.json").read_text(encoding="utf-8")
            (folder / concern).write_text(text.replace("s3:::modelway", f"s3:::{prefix}"), encoding="utf-8")
            admin.policy_add(key, str(folder / concern))
            admin.user_add(key, password)
            admin.attach_policy([key], user=key)
        clients = {
            concern: Minio(endpoint=endpoint, access_key=key, secret_key=password, secure=False, region="us-east-1")
            for concern, (key, password) in keys.items()
        }
        yield Bucket(prefix, owner, clients)
    finally:
        for key, _ in keys.values():
            admin.user_remove(key)
            admin.policy_remove(key)
        for item in owner.list_objects(bucket_name=prefix, recursive=True):
            owner.remove_object(bucket_name=prefix, object_name=str(item.object_name))
        owner.remove_bucket(bucket_name=prefix)


@pytest.fixture(autouse=True)
def _contents(bucket: Bucket) -> None:
    for key in ("predictions/m/1.parquet", "store/audit/00000001.json", "store/runs/1/decision.json"):
        bucket.owner.put_object(bucket_name=bucket.name, object_name=key, data=BytesIO(b"old"), length=3)


@pytest.mark.parametrize(
    ("concern", "action", "key", "may"),
    [
        ("server", "put", "predictions/m/2.parquet", True),
        ("server", "get", "predictions/m/1.parquet", False),
        ("server", "delete", "predictions/m/1.parquet", False),
        ("server", "put", "store/runs/1/decision.json", False),
        ("server", "get", "store/runs/1/decision.json", False),
        ("server", "list", "predictions/", False),
        ("pipelines", "put", "store/audit/00000002.json", True),
        ("pipelines", "get", "store/audit/00000001.json", True),
        ("pipelines", "list", "store/audit/", True),
        ("pipelines", "delete", "store/audit/00000001.json", False),
        ("pipelines", "delete", "store/runs/1/decision.json", False),
        ("pipelines", "get", "predictions/m/1.parquet", False),
        ("monitor", "get", "predictions/m/1.parquet", True),
        ("monitor", "put", "store/runs/2/monitor.json", True),
        ("monitor", "put", "store/audit/00000002.json", False),
        ("monitor", "delete", "predictions/m/1.parquet", False),
    ],
)
def test_each_concern_may_do_its_own(bucket: Bucket, concern: str, action: str, key: str, may: bool) -> None:
    assert bucket.may(concern, action, key) is may


def _rule(rules: dict[str, Any]) -> Rule:
    expiration, noncurrent = rules.get("Expiration"), rules.get("NoncurrentVersionExpiration")
    return Rule(
        status=ENABLED,
        rule_filter=Filter(prefix=rules["Filter"]["Prefix"]),
        rule_id=rules["ID"],
        expiration=Expiration(days=expiration["Days"]) if expiration else None,
        noncurrent_version_expiration=(
            NoncurrentVersionExpiration(noncurrent_days=noncurrent["NoncurrentDays"]) if noncurrent else None
        ),
    )


def test_the_lifecycle_is_taken(bucket: Bucket) -> None:
    rules = json.loads((STORAGE / "lifecycle.json").read_text(encoding="utf-8"))["Rules"]
    config = LifecycleConfig([_rule(entry) for entry in rules])
    bucket.owner.set_bucket_lifecycle(bucket_name=bucket.name, config=config)
    stored_config = bucket.owner.get_bucket_lifecycle(bucket_name=bucket.name)
    assert stored_config is not None
    assert {rule.rule_id for rule in stored_config.rules} == {entry["ID"] for entry in rules}
    bucket.owner.delete_bucket_lifecycle(bucket_name=bucket.name)
