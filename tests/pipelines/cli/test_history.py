"""`modelway history`."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from audited_model import AuditedModel, RolledBack
from office import ADA, Office

from modelway.pipelines.cli.history import serving_periods


def test_what_was_released_is_in_development_and_the_history_says_by_whom(released: Office) -> None:
    (row,) = released.read_json("history")
    assert (row["environment"], row["version"], row["event"], row["by"]) == ("development", "1", "registered", ADA)
    assert row["until"] is None
    assert released.read_json("history", "--at", "2020-01-01") == []
    output = released("history").stdout
    assert "development" in output
    assert f"{ADA} released it." in output


def test_the_history_says_what_served_when_and_why_and_who_let_it(
    rolled_back: RolledBack,
) -> None:
    audited, times = rolled_back
    rows = [row for row in serving_periods(audited.handle) if row["environment"] == "production"]
    assert [(row["version"], row["event"], row["state"]) for row in rows] == [
        ("1", "rolled-back", "serving"),
        ("2", "promoted", "rolled-back-from"),
        ("1", "promoted", "served"),
    ]
    third, second, first = rows
    assert (third["since"], third["until"]) == (times["back"].isoformat(), None)
    assert (second["since"], second["until"]) == (times["two"].isoformat(), times["back"].isoformat())
    assert (first["since"], first["until"]) == (times["one"].isoformat(), times["two"].isoformat())
    assert [approval["by"] for approval in second["approvals"]] == ["cyd"]
    assert [approval["by"] for approval in third["approvals"]] == ["bob"]
    assert (second["run"], second["image"]) == ("release-2", "r@sha256:2")
    assert second["blessing"] != first["blessing"] == third["blessing"]
    assert second["why"] == [
        f"Version 2 was blessed in release-2 (blessing {second['blessing'][:12]}).",
        "cyd approved it: fewer alarms (identity: as given, not verified).",
        "bot promoted it.",
        "bot rolled back from it to version 1: complaints of the north branch.",
    ]
    assert third["why"][-1] == "bot rolled back to it: complaints of the north branch."
    assert json.loads(json.dumps(rows)) == rows


@pytest.mark.parametrize(
    ("moment_of", "production"), [("before", None), ("one", "1"), ("two", "2"), ("back", "1"), ("now", "1")]
)
def test_the_history_at_a_time_is_what_was_served_then(
    rolled_back: RolledBack, moment_of: str, production: str | None
) -> None:
    audited, times = rolled_back
    rows = serving_periods(audited.handle, at=times.get(moment_of, datetime.now(UTC)))
    versions = {row["environment"]: row["version"] for row in rows}
    assert versions.get("production") == production
    assert set(versions) == (set() if moment_of == "before" else {"staging", "production"})


def test_what_was_undone_is_in_the_history_and_the_version_before_took_its_place(audited: AuditedModel) -> None:
    audited.register("1")
    audited.approve("1", "bob")
    audited.say("promoted", "1", "production")
    audited.say("deployed", "2", "production")
    audited.say("undone", "2", "production", reason="error rate 12 %")
    third, second, first = serving_periods(audited.handle)
    assert [entry["version"] for entry in (third, second, first)] == ["1", "2", "1"]
    assert second["why"][-1] == "It was undone: error rate 12 %."
    assert [row["state"] for row in (third, second, first)] == ["serving", "undone", "served"]
    assert third["why"][-1] == "It was restored when version 2 was undone: error rate 12 %."
    assert [approval["by"] for approval in third["approvals"]] == ["bob"]


@pytest.mark.parametrize(
    ("events", "state", "says"),
    [
        ([("deployed", {})], "rolling-out", "bot deployed it."),
        ([("deployed", {}), ("undoing", {"reason": "it is slow"})], "undoing", "It is being undone: it is slow."),
        (
            [("deployed", {}), ("undoing", {}), ("undone-in-part", {"reason": "1 pod serves", "restored": "1"})],
            "undone-in-part",
            "It was undone in part: some of its pods still serve: 1 pod serves.",
        ),
        (
            [("deployed", {}), ("undone", {"reason": "no room", "restored": "1", "verdict": "inconclusive"})],
            "undone",
            "It was undone without a verdict: no room.",
        ),
        ([("deployed", {}), ("promoted", {})], "serving", "bot promoted it."),
    ],
)
def test_the_history_tells_what_serves_from_what_was_undone(
    audited: AuditedModel, events: list[tuple[str, dict[str, str]]], state: str, says: str
) -> None:
    audited.say("promoted", "1", "production")
    for event, details in events:
        audited.say(event, "2", "production", **details)
    (row,) = [row for row in serving_periods(audited.handle) if row["version"] == "2"]
    assert (row["state"], row["why"][-1]) == (state, says)


def test_an_approval_that_came_too_late_let_nobody_through(audited: AuditedModel) -> None:
    audited.register("1")
    audited.say("promoted", "1", "production")
    audited.approve("1", "bob")
    (row,) = serving_periods(audited.handle)
    assert row["approvals"] == []
