"""`modelway audit`."""

from __future__ import annotations

import json
import sqlite3
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
        "unwitnessed": [],
        "broken": None,
    }
    last = Path(audited.log.folder) / f"{count:08}.json"
    last.unlink()
    assert AuditLog(audited.log.store).verify() is None  # without a witness
    result = verify_log(audited.handle)
    assert (result["whole"], result["entries"], result["head"]) == (False, count - 1, None)
    assert (result["witnessed"], result["unwitnessed"]) == ({audited.model: count}, [])
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


def test_without_mlflow_an_approval_is_written_and_said_not_to_count(office: Office) -> None:
    database = office.folder / ".modelway" / "mlflow.db"
    with sqlite3.connect(database) as connection:  # MLflow can be read, and does not take the head
        for deed in ("INSERT", "UPDATE"):
            connection.execute(
                f"CREATE TRIGGER refuse_{deed} BEFORE {deed} ON registered_model_tags "
                "BEGIN SELECT RAISE(ABORT, 'read only'); END"
            )
    approved = office("approve", "1", "--to", "production", "-m", "fewer alarms")
    assert approved.returncode == 0
    assert (
        "warning: the approval does not count yet: entry 2 of the audit log is not witnessed by MLflow"
        in approved.stderr
    )
    answer = office.read_json("approve", "1", "--to", "production", "-m", "again")
    assert (answer["witnessed"], answer["approval"]["entry"]) == (False, 3)
    result = office.read_json("audit", "verify")
    assert (result["whole"], result["unwitnessed"], set(result["witnessed"].values())) == (True, [2, 3], {1})
    verified = office("audit", "verify")
    assert "whole" in verified.stdout
    assert "do not count: 2, 3" in verified.stderr
    assert [entry["witnessed"] for entry in office.read_json("audit", "log")] == [True, False, False]
    assert office("audit", "log").stdout.count("not witnessed") == 2
    listed = office("audit", "witness", "-m", "MLflow was read only")
    assert listed.returncode == 1
    assert listed.stdout.count("approved") == 2
    head = office.read_json("audit", "witness", "-m", "MLflow was read only", code=1)["head"][:16]
    assert f"--head {head}" in listed.stdout
    refused = office("audit", "witness", "-m", "MLflow was read only", "--head", head)
    assert refused.returncode == 2
    assert "MLflow did not take entry 4" in refused.stderr
    with sqlite3.connect(database) as connection:
        for deed in ("INSERT", "UPDATE"):
            connection.execute(f"DROP TRIGGER refuse_{deed}")
    head = office.read_json("audit", "witness", "-m", "MLflow was read only", code=1)["head"]
    assert office("audit", "witness", "-m", "MLflow was read only", "--head", head).returncode == 0
    assert office.read_json("audit", "verify")["unwitnessed"] == []
    assert office.read_json("audit", "log")[-1]["event"] == "witnessed"
