"""`modelway history`."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from audited_model import AuditedModel, RolledBack
from office import ADA, Office

from modelway.pipelines.cli.history import serving_periods


def test_what_was_released_is_in_development_and_the_history_says_by_whom(released: Office) -> None:
    (one,) = released.read_json("history")
    assert (one["environment"], one["version"], one["event"], one["by"]) == ("development", "1", "registered", ADA)
    assert one["until"] is None
    assert released.read_json("history", "--at", "2020-01-01") == []
    shown = released("history").stdout
    assert "development" in shown
    assert f"{ADA} released it." in shown


def test_the_history_says_what_served_when_and_why_and_who_let_it(
    rolled_back: RolledBack,
) -> None:
    audited, times = rolled_back
    found = [one for one in serving_periods(audited.handle) if one["environment"] == "production"]
    assert [(one["version"], one["event"]) for one in found] == [
        ("1", "rolled-back"),
        ("2", "promoted"),
        ("1", "promoted"),
    ]
    back, two, one = found
    assert (back["since"], back["until"]) == (times["back"].isoformat(), None)
    assert (two["since"], two["until"]) == (times["two"].isoformat(), times["back"].isoformat())
    assert (one["since"], one["until"]) == (times["one"].isoformat(), times["two"].isoformat())
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
    rolled_back: RolledBack, moment_of: str, production: str | None
) -> None:
    audited, times = rolled_back
    found = serving_periods(audited.handle, at=times.get(moment_of, datetime.now(UTC)))
    served = {one["environment"]: one["version"] for one in found}
    assert served.get("production") == production
    assert set(served) == (set() if moment_of == "before" else {"staging", "production"})


def test_what_was_undone_is_in_the_history_and_the_version_before_took_its_place(audited: AuditedModel) -> None:
    audited.register("1")
    audited.approve("1", "bob")
    audited.say("promoted", "1", "production")
    audited.say("deployed", "2", "production")
    audited.say("undone", "2", "production", reason="error rate 12 %")
    back, two, one = serving_periods(audited.handle)
    assert [entry["version"] for entry in (back, two, one)] == ["1", "2", "1"]
    assert two["why"][-1] == "It was undone."
    assert back["why"][-1] == "It was restored when version 2 was undone: error rate 12 %."
    assert [approval["by"] for approval in back["approvals"]] == ["bob"]


def test_an_approval_that_came_too_late_let_nobody_through(audited: AuditedModel) -> None:
    audited.register("1")
    audited.say("promoted", "1", "production")
    audited.approve("1", "bob")
    (found,) = serving_periods(audited.handle)
    assert found["approvals"] == []
