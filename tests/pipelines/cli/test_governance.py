from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.audit.lock import acquire, release
from modelway.components.core.audit.log import AuditLog, BrokenLogError
from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.mlflow import Tracking
from modelway.pipelines.cli.governance import (
    approve,
    audit_log,
    audit_verify,
    history,
    moment,
    promote_check,
    withdraw,
)

Release = Callable[..., str]
ENVIRONMENTS: dict[str, Any] = {"staging": {}, "production": {"after": "staging", "approvals": {"quorum": 1}}}


class Office:
    """A store and a registry with two versions of a model."""

    def __init__(self, tracking: Tracking, store: str, model: str) -> None:
        self.handle, self.model = RegisteredModel(model, store, tracking), model
        self.log = self.handle.audit_log

    def say(self, event: Any, version: str, environment: str = "", **details: str) -> datetime:
        about = {"model": self.model, "version": version, "environment": environment}
        return self.log.append(event, "bot", **about, details=details).time

    def register(self, version: str) -> str:
        content = self.handle.version(version).evidence("blessing.json")
        assert content is not None
        blessing = hashlib.sha256(content).hexdigest()
        self.say("registered", version, blessing_sha256=blessing, run=f"release-{version}")
        return blessing

    def approve(self, version: str = "1", by: str = "bob", **more: str) -> dict[str, Any]:
        return approve(self.handle.version(version), "production", by=by, reason="fewer alarms", **more)

    def check(self) -> dict[str, Any]:
        return promote_check(self.handle.version("1"), "production")


@pytest.fixture
def office(tracking: Tracking, release: Release, tmp_path: Path) -> Office:
    model = f"governed-{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]}"
    assert [release(model, ENVIRONMENTS), release(model, ENVIRONMENTS)] == ["1", "2"]
    return Office(tracking, str(tmp_path / "store"), model)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-01", datetime(2026, 11, 1, 23, 59, 59, 999999, tzinfo=UTC)),
        ("2026-11-01T14:30", datetime(2026, 11, 1, 14, 30, tzinfo=UTC)),
        ("2026-11-01T14:30:05+02:00", datetime(2026, 11, 1, 12, 30, 5, tzinfo=UTC)),
        ("2026-11-01 14:30Z", datetime(2026, 11, 1, 14, 30, tzinfo=UTC)),
    ],
)
def test_times_as_people_write_them(text: str, expected: datetime) -> None:
    assert moment(text) == expected


@pytest.mark.parametrize("text", ["yesterday", "", "2026-13-01", "1/11/2026"])
def test_what_is_no_time_is_named(text: str) -> None:
    with pytest.raises(ModelwayError, match="is no time"):
        moment(text)


def test_a_check_says_all_that_is_missing_and_then_that_nothing_is(office: Office) -> None:
    found = office.check()
    assert not found["allowed"]
    assert ["staging" in found["refusals"][0], "1 approval" in found["refusals"][1]] == [True, True]
    office.say("promoted", "1", "staging")
    office.approve()
    found = office.check()
    assert (found["allowed"], found["refusals"], found["quorum"], found["open"]) == (True, [], 1, None)
    assert [one["by"] for one in found["approvals"]] == ["bob"]
    assert found["blessing"] == found["approvals"][0]["blessing_sha256"]
    assert json.loads(json.dumps(found)) == found


def test_a_check_names_the_promotion_that_has_the_environment(office: Office) -> None:
    office.say("promoted", "1", "staging")
    office.approve()
    about: Any = {"model": office.model, "version": "2", "environment": "production"}
    claim = acquire(office.log, **about, actor="cyd", run="promote-7", lease=timedelta(hours=1))
    found = office.check()
    assert not found["allowed"]
    assert "production is being changed" in found["refusals"][0]
    assert (found["open"]["run"], found["open"]["by"]) == ("promote-7", "cyd")
    release(office.log, claim, event="undone", actor="bot")
    assert office.check()["allowed"]


def test_an_approval_says_what_is_still_missing(office: Office) -> None:
    found = office.approve(until=(datetime.now(UTC) + timedelta(days=2)).isoformat())
    assert (found["approval"]["by"], found["approval"]["version"]) == ("bob", "1")
    assert len(found["refusals"]) == 1
    assert "staging" in found["refusals"][0]
    office.say("promoted", "1", "staging")
    withdrawn = withdraw(office.handle.version("1"), "production", by="bob", reason="not yet")
    assert (withdrawn["event"], withdrawn["details"]) == ("withdrawn", {"reason": "not yet"})
    assert "1 approval" in office.check()["refusals"][0]


@pytest.fixture
def lived(office: Office) -> tuple[Office, dict[str, datetime]]:
    """A model's life: 1 is promoted, 2 replaces it, 2 is rolled back."""
    when = {"before": datetime.now(UTC)}
    for version in ("1", "2"):
        office.register(version)
        office.say("promoted", version, "staging")
    office.approve("1", "bob")
    when["one"] = office.say("promoted", "1", "production", image="r@sha256:1")
    office.approve("2", "cyd")
    when["two"] = office.say("deployed", "2", "production")
    office.say("promoted", "2", "production", image="r@sha256:2")
    when["back"] = office.say("rolled-back", "1", "production", reason="complaints of the north branch")
    return office, when


def test_the_history_says_what_served_when_and_why_and_who_let_it(lived: tuple[Office, dict[str, datetime]]) -> None:
    office, when = lived
    found = [one for one in history(office.handle) if one["environment"] == "production"]
    assert [(one["version"], one["event"]) for one in found] == [
        ("1", "rolled-back"),
        ("2", "promoted"),
        ("1", "promoted"),
    ]
    back, two, one = found
    assert (back["since"], back["until"]) == (when["back"].isoformat(), None)
    assert (two["since"], two["until"]) == (when["two"].isoformat(), when["back"].isoformat())
    assert (one["since"], one["until"]) == (when["one"].isoformat(), when["two"].isoformat())
    assert [approval["by"] for approval in two["approvals"]] == ["cyd"]
    assert [approval["by"] for approval in back["approvals"]] == ["bob"]
    assert (two["run"], two["image"]) == ("release-2", "r@sha256:2")
    assert two["blessing"] != one["blessing"] == back["blessing"]
    assert two["why"] == [
        f"Version 2 was blessed in release-2 (blessing {two['blessing'][:12]}).",
        "cyd approved it: fewer alarms.",
        "bot promoted it.",
    ]
    assert back["why"][-1] == "bot rolled back to it: complaints of the north branch."
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("moment_of", "production"), [("before", None), ("one", "1"), ("two", "2"), ("back", "1"), ("now", "1")]
)
def test_the_history_at_a_time_is_what_was_served_then(
    lived: tuple[Office, dict[str, datetime]], moment_of: str, production: str | None
) -> None:
    office, when = lived
    found = history(office.handle, at=when.get(moment_of, datetime.now(UTC)))
    served = {one["environment"]: one["version"] for one in found}
    assert served.get("production") == production
    assert set(served) == (set() if moment_of == "before" else {"staging", "production"})


def test_what_was_undone_is_in_the_history_and_the_version_before_took_its_place(office: Office) -> None:
    office.register("1")
    office.approve("1", "bob")
    office.say("promoted", "1", "production")
    office.say("deployed", "2", "production")
    office.say("undone", "2", "production", reason="error rate 12 %")
    back, two, one = history(office.handle)
    assert [entry["version"] for entry in (back, two, one)] == ["1", "2", "1"]
    assert two["why"][-1] == "It was not kept."
    assert back["why"][-1] == "It took its place again when version 2 was undone: error rate 12 %."
    assert [approval["by"] for approval in back["approvals"]] == ["bob"]


def test_an_approval_that_came_too_late_let_nobody_through(office: Office) -> None:
    office.register("1")
    office.say("promoted", "1", "production")
    office.approve("1", "bob")
    (found,) = history(office.handle)
    assert found["approvals"] == []


def test_the_log_is_listed_flat(lived: tuple[Office, dict[str, datetime]]) -> None:
    office, _ = lived
    found = audit_log(office.handle)
    assert [one["number"] for one in found] == list(range(1, len(found) + 1))
    assert found[1]["previous"] == found[0]["sha256"]
    assert audit_log(office.handle, environment="staging", last=1) == [found[3]]
    assert audit_log(replace(office.handle, name="another")) == []
    assert json.loads(json.dumps(found)) == found


def test_verify_says_what_was_checked_and_where_it_breaks(lived: tuple[Office, dict[str, datetime]]) -> None:
    office, _ = lived
    found = audit_verify(office.handle)
    count = found["entries"]
    assert found == {
        "whole": True,
        "entries": count,
        "head": office.log.head().sha256,
        "witnessed": {office.model: count},
        "broken": None,
    }
    last = Path(office.log.folder) / f"{count:08}.json"
    last.unlink()
    assert AuditLog(office.log.store).verify() is None  # without an anchor
    found = audit_verify(office.handle)
    assert (found["whole"], found["entries"], found["head"]) == (False, count - 1, None)
    assert found["broken"]["number"] == count
    assert found["broken"]["file"] == str(last)
    with pytest.raises(BrokenLogError):
        history(office.handle)
    assert "audit log is broken" in office.check()["refusals"][0]
