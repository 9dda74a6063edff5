"""`modelway audit`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from audited_model import RolledBack
from office import ADA, Office

from modelway.components.core.audit.log import AuditLog, BrokenLogError
from modelway.pipelines.cli.audit import log_entries, verify_log
from modelway.pipelines.cli.history import serving_periods
from modelway.pipelines.cli.promote import check_promotion


def test_the_log_is_listed_flat(rolled_back: RolledBack) -> None:
    audited, _ = rolled_back
    entries = log_entries(audited.handle)
    assert [entry["number"] for entry in entries] == list(range(1, len(entries) + 1))
    assert entries[1]["previous"] == entries[0]["sha256"]
    assert log_entries(audited.handle, environment="staging", last=1) == [entries[3]]
    assert log_entries(replace(audited.handle, name="another")) == []
    assert json.loads(json.dumps(entries)) == entries


@pytest.mark.usefixtures("keys")
def test_verify_says_what_was_checked_and_where_it_breaks(
    rolled_back: RolledBack,
) -> None:
    audited, _ = rolled_back
    result = verify_log(audited.handle)
    count = result["entries"]
    assert result == {
        "whole": True,
        "entries": count,
        "head": audited.log.head().sha256,
        "witnessed": {audited.model: count},
        "broken": None,
    }
    last = Path(audited.log.folder) / f"{count:08}.json"
    last.unlink()
    assert AuditLog(audited.log.store).verify() is None  # without a witness
    result = verify_log(audited.handle)
    assert (result["whole"], result["entries"], result["head"]) == (False, count - 1, None)
    assert result["broken"]["number"] == count
    assert result["broken"]["file"] == str(last)
    with pytest.raises(BrokenLogError):
        serving_periods(audited.handle)
    refusals = check_promotion(audited.handle.version("1"), "production")["refusals"]
    assert any("audit log is broken" in refusal for refusal in refusals)


def test_the_first_broken_link_of_the_audit_log_is_named(office: Office) -> None:
    assert office("approve", "1", "--to", "production", "-m", "fewer alarms").returncode == 0
    assert office.read_json("audit", "verify")["whole"]
    entry = office.folder / ".modelway" / "audit" / "00000001.json"
    entry.chmod(0o644)
    entry.write_text(entry.read_text().replace(ADA, "eve@example.org"))
    result = office.read_json("audit", "verify", code=1)
    assert not result["whole"]
    assert result["broken"]["number"] == 1
    assert "broken" in office("audit", "verify").stdout
    assert office("approve", "1", "--to", "production", "-m", "again").returncode == 2
