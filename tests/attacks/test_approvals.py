"""Attacks by one person who may write approvals and wants to be two, or not to be the one who asked for the run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.audit.approvals import approve, promotion_blockers
from modelway.components.core.audit.opened_version import open_version
from modelway.components.core.audit.registered_models import ModelVersion, RegisteredModel
from modelway.components.core.errors import ModelwayError, RejectedError
from modelway.components.core.storage.mlflow import Tracking
from modelway.pipelines.cli.output import print_json, print_line

# The same address with something around or in it, and letters that look like its own.
DISGUISES = [
    "Eve <eve@example.org>",
    "eve@example.org",
    "eve+two@example.org",
    "EVE@EXAMPLE.ORG (Robert)",
    "Robert eve@example.org",
    "eve",
    "\u200beve@example.org",
    "eve\u034f@example.org",
    "\u0435ve@example.org",
    "\uff45ve@example.org",
    "eve@example.org\u2028",
]


@pytest.fixture
def version(
    tracking: Tracking, release: Callable[..., str], tmp_path: Path, request: Any
) -> Callable[..., ModelVersion]:
    def released(**approvals: Any) -> ModelVersion:
        name = f"attacked-{abs(hash(request.node.name)):x}"
        environments = {"production": {"approvals": approvals}}
        number = release(name, environments, requested_by="eve@example.org" if "self" in request.node.name else "ada")
        return RegisteredModel(name, str(tmp_path / "store"), tracking).version(number)

    return released


@pytest.mark.parametrize("disguise", DISGUISES)
def test_one_person_is_no_quorum_of_two(version: Callable[..., ModelVersion], disguise: str) -> None:
    target = version(quorum=2)
    approve(target, "production", by="Eve <eve@example.org>", reason="good")
    try:
        approve(target, "production", by=disguise, reason="good")
    except ModelwayError as error:
        assert error.key == "by"  # noqa: PT017 - some disguises are refused, the others are seen through
    (blocker,) = promotion_blockers(target, "production")
    assert "requires 2 approvals; 1 is valid" in blocker


@pytest.mark.parametrize("disguise", DISGUISES)
def test_self_approval_stays_forbidden_in_disguise(version: Callable[..., ModelVersion], disguise: str) -> None:
    target = version(quorum=1)
    with pytest.raises(ModelwayError) as error:
        approve(target, "production", by=disguise, reason="good")
    assert error.value.key == "by"
    # Written past `approve`, into the log itself, it does not count either.
    details = {
        "blessing_sha256": open_version(target).blessing_sha256,
        "reason": "good",
        "until": "2999-01-01T00:00:00+00:00",
    }
    target.log_event("approved", disguise, environment="production", details=details)
    (blocker,) = promotion_blockers(target, "production")
    assert "requires 1 approval; 0 are valid" in blocker


def test_only_named_approvers_count(version: Callable[..., ModelVersion]) -> None:
    target = version(quorum=1, approvers=["cyd@example.org", "dan@example.org"])
    with pytest.raises(RejectedError, match=r"eve@example\.org is not among the approvers that the policy names"):
        approve(target, "production", by="eve@example.org", reason="good")
    approve(target, "production", by="Cyd <cyd+work@example.org>", reason="good")
    assert promotion_blockers(target, "production") == []


def test_escapes_in_a_reason_reach_no_terminal(
    version: Callable[..., ModelVersion], capsys: pytest.CaptureFixture[str]
) -> None:
    reason = "good\x1b[2K\x1b[1Gapproved by the board \u202eddab"
    approval = approve(version(quorum=1), "production", by="bob@example.org", reason=reason)
    print_line(approval.reason)
    print_json(approval.model_dump())
    output = capsys.readouterr().out
    assert "\x1b" not in output
    assert "\u202e" not in output
    assert "good\\u001b[2K" in output
    assert json.loads(output[output.index("{") :])["reason"] == reason
