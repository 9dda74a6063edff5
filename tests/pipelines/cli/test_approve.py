"""`modelway approve`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from office import ADA, BOB, Office


def test_nobody_approves_their_own_run(office: Office) -> None:
    arguments = ("approve", "1", "--to", "production", "-m", "fewer alarms")
    assert "ada@example.org asked for the run" in office(*arguments, by=ADA).stderr
    answer = office.read_json(*arguments)
    assert (answer["approval"]["by"], answer["approval"]["reason"]) == (BOB, "fewer alarms")
    assert all("approv" not in refusal for refusal in answer["refusals"])
    assert "does not approve version 1" in office(*arguments, "--withdraw").stdout
    checked = office.read_json("promote", "1", "--to", "production", "--check", code=1)
    assert any("approv" in refusal for refusal in checked["refusals"])
    assert [entry["event"] for entry in office.read_json("audit", "log")] == ["registered", "approved", "withdrawn"]


def test_an_approval_says_what_is_still_missing(office: Office) -> None:
    arguments = ("approve", "1", "--to", "production", "-m", "fewer alarms")
    until = (datetime.now(UTC) + timedelta(days=2)).isoformat(timespec="seconds")
    answer = office.read_json(*arguments, "--until", until)
    assert (answer["approval"]["version"], answer["approval"]["until"]) == ("1", until)
    assert len(answer["refusals"]) == 1
    assert "staging" in answer["refusals"][0]
    withdrawal = office.read_json(*arguments, "--withdraw")
    assert (withdrawal["event"], withdrawal["details"]) == ("withdrawn", {"reason": "fewer alarms"})
