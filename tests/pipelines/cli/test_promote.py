"""`modelway promote`."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from audited_model import AuditedModel
from office import Office

from modelway.components.core.audit.lock import acquire, release
from modelway.pipelines.cli.promote import check_promotion, promotion_run

NOT_PACKAGED = "has not been packaged: no image of it is recorded"


@pytest.mark.usefixtures("keys")
def test_a_check_says_all_that_is_missing(audited: AuditedModel) -> None:
    audited.register("1")
    answer = check_promotion(audited.handle.version("1"), "production")
    assert not answer["allowed"]
    packaged, before, approved = answer["refusals"]
    assert (NOT_PACKAGED in packaged, "staging" in before, "1 approval" in approved) == (True, True, True)
    audited.say("promoted", "1", "staging")
    audited.approve()
    answer = check_promotion(audited.handle.version("1"), "production")
    assert (answer["allowed"], answer["refusals"], answer["quorum"], answer["open"]) == (False, [packaged], 1, None)
    assert [approval["by"] for approval in answer["approvals"]] == ["bob"]
    assert answer["blessing"] == answer["approvals"][0]["blessing_sha256"]
    assert json.loads(json.dumps(answer)) == answer


@pytest.mark.usefixtures("keys")
def test_a_check_names_the_promotion_that_has_the_environment(audited: AuditedModel) -> None:
    audited.say("promoted", "1", "staging")
    audited.approve()
    about: Any = {"model": audited.model, "version": "2", "environment": "production"}
    claim = acquire(audited.log, **about, actor="cyd", run="promote-7", lease=timedelta(hours=1))
    answer = check_promotion(audited.handle.version("1"), "production")
    assert "production is being changed" in answer["refusals"][-1]
    assert (answer["open"]["run"], answer["open"]["by"]) == ("promote-7", "cyd")
    assert f"holds the lock until {claim.until:%Y-%m-%d %H:%M} UTC" in answer["refusals"][-1]
    assert "--take-over REASON" in answer["refusals"][-1]
    over = check_promotion(audited.handle.version("1"), "production", take_over=True)
    assert (len(over["refusals"]), over["open"]["run"]) == (1, "promote-7")
    release(audited.log, claim, event="undone", actor="bot")
    assert len(check_promotion(audited.handle.version("1"), "production")["refusals"]) == 1


def test_promotion_is_checked_by_all_that_it_requires_and_changes_nothing(
    office: Office, base: Path, registry: Any
) -> None:
    answer = office.read_json("promote", "1", "--to", "production", "--check", code=1)
    assert any(NOT_PACKAGED in refusal for refusal in answer["refusals"])
    assert any("staging" in refusal for refusal in answer["refusals"])
    assert any("approv" in refusal for refusal in answer["refusals"])
    assert len(office.read_json("audit", "log")) == 1
    assert not office.read_json("promote", "1", "--to", "staging", "--check", code=1)["allowed"]
    target = f"{registry.host}/checked"
    assert office("package", "1", "--base", str(base), "--target", target).returncode == 0
    answer = office.read_json("promote", "1", "--to", "staging", "--check")
    assert (answer["allowed"], answer["refusals"]) == (True, [])


@pytest.mark.parametrize("command", [("--check",), ()], ids=["check", "promote"])
def test_a_key_that_is_missing_is_an_error_and_nothing_is_recorded_of_the_version(
    command: tuple[str, ...], office: Office
) -> None:
    entries = office.read_json("audit", "log")
    for key in ("", str(office.folder / "nowhere.pem")):
        answer = office.read_json("promote", "1", "--to", "staging", *command, code=2, MODELWAY_VERIFYING_KEY=key)
        assert answer["error"]["key"] == "MODELWAY_VERIFYING_KEY"
        assert len(answer["error"]["remedy"]) > 10
    assert office.read_json("audit", "log") == entries


def test_a_new_call_is_a_new_run_unless_the_persons_own_is_open(audited: AuditedModel) -> None:
    version = audited.handle.version("1")
    first, second = (promotion_run(version, "staging", by="ada") for _ in range(2))
    assert first != second
    about: Any = {"model": audited.model, "version": "1", "environment": "staging", "lease": timedelta(hours=1)}
    claim = acquire(audited.log, **about, actor="ada", run=first)
    assert promotion_run(version, "staging", by="ada") == first
    for other in (promotion_run(version, "staging", by="bob"), promotion_run(version, "production", by="ada")):
        assert other != first
    acquire(audited.log, **about, actor="ada", run="a-task-of-kubeflow", take_over="it died")
    assert promotion_run(version, "staging", by="ada") not in {first, "a-task-of-kubeflow"}
    assert claim.run == first


def test_who_takes_over_begins_a_new_run_even_where_it_is_the_own_one_that_died(audited: AuditedModel) -> None:
    version = audited.handle.version("1")
    about: Any = {"model": audited.model, "version": "1", "environment": "staging", "lease": timedelta(hours=1)}
    claim = acquire(audited.log, **about, actor="ada", run=promotion_run(version, "staging", by="ada"))
    assert promotion_run(version, "staging", by="ada", take_over=True) != claim.run


@pytest.mark.usefixtures("keys")
def test_a_promotion_whose_time_is_up_is_no_obstacle_to_a_check(audited: AuditedModel) -> None:
    about: Any = {"model": audited.model, "version": "2", "environment": "staging", "actor": "cyd"}
    acquire(audited.log, **about, run="promote-7", lease=timedelta(seconds=-1))
    answer = check_promotion(audited.handle.version("1"), "staging")
    assert not any("is being changed" in refusal for refusal in answer["refusals"])


def test_taking_over_needs_a_reason(office: Office) -> None:
    answer = office.read_json("promote", "1", "--to", "staging", "--take-over", " ", code=2)
    assert (answer["error"]["key"], answer["error"]["message"]) == ("--take-over", "taking over needs a reason")
