"""MinIO holds each concern to its policy, and takes the lifecycle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from minio.commonconfig import ENABLED, Filter
from minio.lifecycleconfig import Expiration, LifecycleConfig, NoncurrentVersionExpiration, Rule
from s3_accounts import STORAGE, Accounts, separate_accounts

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accounts]:
    with separate_accounts(tmp_path_factory.mktemp("policies")) as accounts:
        yield accounts


@pytest.fixture(autouse=True)
def _contents(bucket: Accounts) -> None:
    for key in ("predictions/m/1.parquet", "store/audit/00000001.json", "store/runs/1/decision.json"):
        bucket.owner.put_object(bucket_name=bucket.bucket("modelway"), object_name=key, data=BytesIO(b"old"), length=3)


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
        ("runner", "get", "store/audit/00000001.json", True),
        ("runner", "put", "store/runs/1/stopped.json", True),
        ("runner", "put", "store/runs/1/decision.json", False),
        ("registrar", "put", "store/runs/1/decision.json", True),
        ("registrar", "put", "store/audit/00000002.json", True),
        ("registrar", "get", "predictions/m/1.parquet", False),
        ("packager", "put", "store/packages/m/1.json", True),
        ("deployer", "put", "store/runs/1/deployment.json", True),
        ("deployer", "put", "predictions/m/2.parquet", False),
        ("monitor", "get", "predictions/m/1.parquet", True),
        ("monitor", "put", "store/runs/2/monitor.json", True),
        ("monitor", "put", "store/audit/00000002.json", False),
        ("monitor", "delete", "predictions/m/1.parquet", False),
    ],
)
def test_each_concern_may_do_its_own(bucket: Accounts, concern: str, action: str, key: str, may: bool) -> None:
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


def test_the_lifecycle_is_taken(bucket: Accounts) -> None:
    rules = json.loads((STORAGE / "lifecycle.json").read_text(encoding="utf-8"))["Rules"]
    config = LifecycleConfig([_rule(entry) for entry in rules])
    bucket.owner.set_bucket_lifecycle(bucket_name=bucket.bucket("modelway"), config=config)
    stored_config = bucket.owner.get_bucket_lifecycle(bucket_name=bucket.bucket("modelway"))
    assert stored_config is not None
    assert {rule.rule_id for rule in stored_config.rules} == {entry["ID"] for entry in rules}
    bucket.owner.delete_bucket_lifecycle(bucket_name=bucket.bucket("modelway"))
