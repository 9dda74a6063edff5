"""`modelway promote`."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from audited_model import AuditedModel
from office import Office

from modelway.components.core.audit.lock import acquire, release
from modelway.pipelines.cli.promote import check_promotion


def test_a_check_says_all_that_is_missing_and_then_that_nothing_is(audited: AuditedModel) -> None:
    answer = check_promotion(audited.handle.version("1"), "production")
    assert not answer["allowed"]
    assert ["staging" in answer["refusals"][0], "1 approval" in answer["refusals"][1]] == [True, True]
    audited.say("promoted", "1", "staging")
    audited.approve()
    answer = check_promotion(audited.handle.version("1"), "production")
    assert (answer["allowed"], answer["refusals"], answer["quorum"], answer["open"]) == (True, [], 1, None)
    assert [approval["by"] for approval in answer["approvals"]] == ["bob"]
    assert answer["blessing"] == answer["approvals"][0]["blessing_sha256"]
    assert json.loads(json.dumps(answer)) == answer


def test_a_check_names_the_promotion_that_has_the_environment(audited: AuditedModel) -> None:
    audited.say("promoted", "1", "staging")
    audited.approve()
    about: Any = {"model": audited.model, "version": "2", "environment": "production"}
    claim = acquire(audited.log, **about, actor="cyd", run="promote-7", lease=timedelta(hours=1))
    answer = check_promotion(audited.handle.version("1"), "production")
    assert not answer["allowed"]
    assert "production is being changed" in answer["refusals"][0]
    assert (answer["open"]["run"], answer["open"]["by"]) == ("promote-7", "cyd")
    release(audited.log, claim, event="undone", actor="bot")
    assert check_promotion(audited.handle.version("1"), "production")["allowed"]


def test_promotion_is_checked_against_the_policy_and_changes_nothing(released: Office) -> None:
    answer = released.read_json("promote", "1", "--to", "production", "--check", code=1)
    assert not answer["allowed"]
    assert any("staging" in refusal for refusal in answer["refusals"])
    assert any("approv" in refusal for refusal in answer["refusals"])
    assert len(released.read_json("audit", "log")) == 1
    assert released.read_json("promote", "1", "--to", "staging", "--check")["allowed"]
