"""What MinIO is told: who may do what in the bucket, and what is removed when."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

STORAGE = Path(__file__).resolve().parents[2] / "manifests" / "base" / "storage"
WHO = ("server", "pipelines", "monitor")


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
        assert all(resource.startswith("arn:aws:s3:::modelway") for resource in statement["Resource"])


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
