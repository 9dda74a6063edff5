"""`modelway promote`."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from audited_model import AuditedModel
from office import ADA, BOB, Office
from pod_proxy import Untouchable

from modelway.components.core.audit.lock import acquire, release
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.deploy.stage import deploy
from modelway.pipelines.cli.options import Context
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


@pytest.fixture
def undone(office: Office) -> Office:
    """A project whose version 1 was undone in staging, and is served in production."""
    model = Context.load(office.folder, None, store=None, by=BOB).model
    for event, environment, details in (
        ("deployed", "staging", {}),
        ("undone", "staging", {"reason": "p95 is 300 ms, and may be at most 250", "restored": ""}),
        ("promoted", "production", {}),
    ):
        model.version("1").log_event(event, ADA, environment=environment, details=details)  # type: ignore[arg-type]
    return office


def test_a_version_that_was_undone_is_promoted_only_with_yes(undone: Office) -> None:
    entries = undone.read_json("audit", "log")
    error = undone.read_json("promote", "1", "--to", "staging", code=2)["error"]
    assert "version 1 of visits: staging serves nothing: this one was undone there at" in error["message"]
    assert "p95 is 300 ms, and may be at most 250. It is promoted only by --yes" in error["message"]
    assert (error["key"], error["value"]) == ("--yes", "1")
    assert "add --yes" in error["remedy"]
    assert undone.read_json("audit", "log") == entries
    answer = undone.read_json("promote", "1", "--to", "staging", "--yes", code=1)
    assert (answer["verdict"], NOT_PACKAGED in answer["reasons"][0]) == ("refused", True)
    # Where it serves, nothing speaks against it.
    assert undone.read_json("promote", "1", "--to", "production", code=1)["verdict"] == "refused"


def test_a_check_notes_what_needs_yes_and_refuses_nothing_for_it(undone: Office) -> None:
    answer = undone.read_json("promote", "1", "--to", "staging", "--check", code=1)
    (note,) = answer["notes"]
    assert "this one was undone there at" in note
    assert not any("undone" in refusal for refusal in answer["refusals"])
    assert f"! promoted only with --yes: {note}" in undone("promote", "1", "--to", "staging", "--check").stdout
    assert undone.read_json("promote", "1", "--to", "production", "--check", code=1)["notes"] == []


@pytest.mark.parametrize(("answer", "says", "code"), [("n", "you said no", 1), ("y", NOT_PACKAGED, 1)])
def test_on_a_terminal_it_is_asked_for(undone: Office, answer: str, says: str, code: int) -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "modelway.pipelines.cli", "promote", "1", "--to", "staging"]
    variables = {"MODELWAY_USER": BOB, "MODELWAY_VERIFYING_KEY": str(undone.keys / "verifying.pem"), "COLUMNS": "240"}
    process = subprocess.Popen(
        command, cwd=undone.folder, env={**os.environ, **variables}, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    text = b""
    with suppress(OSError):  # the end of a terminal
        while chunk := os.read(master, 4096):
            text += chunk
            if text.endswith(b"[y/N]: "):
                os.write(master, f"{answer}\n".encode())
    os.close(master)
    assert process.wait(timeout=60) == code
    assert b"Promote version 1 of visits to staging all the same?" in text
    assert says in text.decode()


@pytest.mark.usefixtures("keys")
def test_a_version_is_opened_once_for_each_decision(audited: AuditedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    audited.register("1")
    openings: list[str] = []
    evidence = Tracking.evidence

    def counted(tracking: Tracking, name: str, version: str) -> dict[str, bytes]:
        openings.append(version)
        return evidence(tracking, name, version)

    monkeypatch.setattr(Tracking, "evidence", counted)
    version = audited.handle.version("1")
    check_promotion(version, "production")
    assert openings == ["1"]
    deploy(version, "staging", run="run-1", actor="ada", cluster=Untouchable(), progress=str)
    assert openings == ["1"] * 2
    monkeypatch.setattr(Tracking, "evidence", lambda *_: openings.append("none") or {})
    assert "has no blessing.json" in check_promotion(version, "production")["refusals"][0]
    assert openings == ["1", "1", "none"]


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
