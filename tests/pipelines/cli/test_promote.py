"""`modelway promote`."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from audited_model import AuditedModel
from office import Office

from modelway.components.core.audit.lock import begin, finish
from modelway.pipelines.cli.promote import check_promotion


def test_a_check_says_all_that_is_missing_and_then_that_nothing_is(audited: AuditedModel) -> None:
    found = check_promotion(audited.handle.version("1"), "production")
    assert not found["allowed"]
    assert ["staging" in found["refusals"][0], "1 person" in found["refusals"][1]] == [True, True]
    audited.say("promoted", "1", "staging")
    audited.approve()
    found = check_promotion(audited.handle.version("1"), "production")
    assert (found["allowed"], found["refusals"], found["quorum"], found["open"]) == (True, [], 1, None)
    assert [one["by"] for one in found["approvals"]] == ["bob"]
    assert found["blessing"] == found["approvals"][0]["blessing_sha256"]
    assert json.loads(json.dumps(found)) == found


def test_a_check_names_the_promotion_that_has_the_environment(audited: AuditedModel) -> None:
    audited.say("promoted", "1", "staging")
    audited.approve()
    about: Any = {"model": audited.model, "version": "2", "environment": "production"}
    claim = begin(audited.log, **about, actor="cyd", run="promote-7", lease=timedelta(hours=1))
    found = check_promotion(audited.handle.version("1"), "production")
    assert not found["allowed"]
    assert "production is being changed" in found["refusals"][0]
    assert (found["open"]["run"], found["open"]["by"]) == ("promote-7", "cyd")
    finish(audited.log, claim, event="undone", actor="bot")
    assert check_promotion(audited.handle.version("1"), "production")["allowed"]


def test_promotion_is_checked_against_the_policy_and_changes_nothing(released: Office) -> None:
    found = released.read_json("promote", "1", "--to", "production", "--check", code=1)
    assert not found["allowed"]
    assert any("staging" in refusal for refusal in found["refusals"])
    assert any("approv" in refusal for refusal in found["refusals"])
    assert len(released.read_json("audit", "log")) == 1
    assert released.read_json("promote", "1", "--to", "staging", "--check")["allowed"]
