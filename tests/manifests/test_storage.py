"""What MinIO is told: who may do what in the bucket, and what is removed when."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.instructions import S3_CONCERNS

STORAGE = Path(__file__).resolve().parents[2] / "manifests" / "base" / "storage"
TASKS = ("runner", "registrar", "packager", "deployer")
WHO = ("server", "pipelines", "monitor", *TASKS)
NEIGHBOURS = ("mlflow", "artifacts")  # MLflow's own account, and the one of Kubeflow's launcher


def _statements(concern: str) -> list[dict[str, Any]]:
    content: dict[str, Any] = json.loads((STORAGE / f"{concern}.json").read_text(encoding="utf-8"))
    return list(content["Statement"])


def _may(concern: str, action: str, key: str) -> bool:
    effects = {
        one["Effect"]
        for one in _statements(concern)
        if any(fnmatchcase(action, pattern) for pattern in one["Action"])
        if any(fnmatchcase(f"arn:aws:s3:::modelway/{key}", resource) for resource in one["Resource"])
    }
    return effects == {"Allow"}


@pytest.mark.parametrize("concern", WHO)
def test_nobody_may_do_anything_anywhere(concern: str) -> None:
    for statement in _statements(concern):
        assert statement["Sid"]
        if statement["Effect"] == "Allow":
            assert not any("*" in action for action in statement["Action"])
        buckets = {resource.removeprefix("arn:aws:s3:::").partition("/")[0] for resource in statement["Resource"]}
        assert buckets <= {"modelway", "data"}
        if statement["Effect"] == "Allow" and "data" in buckets:
            assert set(statement["Action"]) == {"s3:GetObject", "s3:GetBucketLocation", "s3:ListBucket"}


@pytest.mark.parametrize(("neighbour", "bucket"), [("mlflow", "mlflow"), ("artifacts", "mlpipeline")])
def test_what_is_not_the_stores_is_kept_apart(neighbour: str, bucket: str) -> None:
    assert all(
        resource.split("/")[0] == f"arn:aws:s3:::{bucket}"
        for statement in _statements(neighbour)
        for resource in statement["Resource"]
    )


def test_every_policy_is_tried_here() -> None:
    files = {path.stem for path in STORAGE.glob("*.json")} - {"lifecycle", "encryption"}
    assert files == {*WHO, *NEIGHBOURS}


@pytest.mark.parametrize("concern", ["runner", "packager", "deployer"])
@pytest.mark.parametrize("key", ["runs/1/decision.json", "runs/1/blessing.json", "config/policy.json"])
def test_only_the_registrar_decides(concern: str, key: str) -> None:
    assert _may("registrar", "s3:PutObject", f"store/{key}")
    assert not _may(concern, "s3:PutObject", f"store/{key}")


def test_every_task_has_an_account_with_a_policy() -> None:
    assert TASKS == S3_CONCERNS


@pytest.mark.parametrize("concern", WHO)
@pytest.mark.parametrize("action", ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"])
def test_nobody_removes_an_entry_of_the_audit_log(concern: str, action: str) -> None:
    assert not _may(concern, action, "store/audit/00000001.json")


@pytest.mark.parametrize(
    ("concern", "action", "key", "may"),
    [
        ("server", "s3:PutObject", "predictions/model/part.parquet", True),
        ("server", "s3:GetObject", "predictions/model/part.parquet", False),
        ("server", "s3:PutObject", "store/runs/1/decision.json", False),
        ("pipelines", "s3:PutObject", "store/audit/00000001.json", True),
        ("pipelines", "s3:GetObject", "predictions/model/part.parquet", False),
        ("monitor", "s3:GetObject", "predictions/model/part.parquet", True),
        ("monitor", "s3:PutObject", "store/audit/00000001.json", False),
    ],
)
def test_each_may_do_its_own(concern: str, action: str, key: str, may: bool) -> None:
    assert _may(concern, action, key) is may


def test_only_the_prediction_log_is_removed_by_age() -> None:
    rules = json.loads((STORAGE / "lifecycle.json").read_text(encoding="utf-8"))["Rules"]
    assert {rule["Filter"]["Prefix"] for rule in rules} == {"predictions/"}
    assert all(rule["Status"] == "Enabled" for rule in rules)
