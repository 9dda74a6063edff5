from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.audit.lock import (
    LockLostError,
    PromotionLock,
    EnvironmentLockedError,
    acquire,
    assert_held,
    current_lock,
    release,
)
from modelway.components.core.audit.log import AuditLog, BrokenLogError

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return AuditLog(str(tmp_path / "store"))


def _begin(log: AuditLog, run: str = "run-1", **more: Any) -> PromotionLock:
    about: dict[str, Any] = {"model": "loans", "version": "2", "environment": "production", "replaces": "1"}
    return acquire(log, **{**about, "actor": "ada", "run": run, "lease": HOUR, "now": NOW, **more})


def test_a_promotion_claims_its_environment(log: AuditLog) -> None:
    claim = _begin(log)
    (entry,) = log.entries()
    assert (entry.event, entry.actor, entry.version, entry.environment) == ("promotion.begun", "ada", "2", "production")
    assert claim.id == entry.sha256()
    assert (claim.replaces, claim.until) == ("1", (NOW + HOUR).replace(microsecond=0))
    assert current_lock(log.entries(), "loans", environment="production") == claim
    assert assert_held(log, claim) == log.head()


def test_another_is_refused_while_it_is_open(log: AuditLog) -> None:
    _begin(log)
    with pytest.raises(EnvironmentLockedError) as error:
        _begin(log, "run-2", version="3", actor="bob")
    assert "production is locked by the promotion of version 2 of loans" in error.value.message
    assert "by ada (run run-1" in error.value.message
    assert "take it over" in error.value.remedy
    assert len(log.entries()) == 1


def test_other_environments_and_models_are_free(log: AuditLog) -> None:
    _begin(log)
    assert _begin(log, "run-2", environment="staging").environment == "staging"
    assert _begin(log, "run-3", model="cars").model == "cars"


@pytest.mark.parametrize("event", ["promoted", "undone", "rolled-back", "refused"])
def test_an_end_gives_the_environment_free(log: AuditLog, event: Any) -> None:
    claim = _begin(log)
    ended = release(log, claim, event=event, actor="bot", details={"image": "sha256:1"})
    assert (ended.event, ended.version, ended.details) == (event, "2", {"image": "sha256:1", "promotion": claim.id})
    assert current_lock(log.entries(), "loans", environment="production") is None
    with pytest.raises(LockLostError, match="has ended"):
        assert_held(log, claim)
    assert _begin(log, "run-2").run == "run-2"


def test_the_same_run_takes_its_promotion_up_again(log: AuditLog) -> None:
    claim = _begin(log)
    log.append("deployed", "bot", model="loans", version="2", environment="production")
    assert _begin(log, replaces="2") == claim
    assert len(log.entries()) == 2
    with pytest.raises(EnvironmentLockedError):
        _begin(log, version="3")


def test_an_end_that_is_said_twice_is_written_once(log: AuditLog) -> None:
    claim = _begin(log)
    assert release(log, claim, event="promoted", actor="bot") == release(log, claim, event="promoted", actor="bot")
    assert len(log.entries()) == 2
    with pytest.raises(LockLostError):
        release(log, claim, event="undone", actor="bot")


def test_a_promotion_whose_time_is_up_is_taken_over(log: AuditLog) -> None:
    dead = _begin(log)
    with pytest.raises(EnvironmentLockedError):
        _begin(log, "run-2", now=NOW + timedelta(minutes=59))
    claim = _begin(log, "run-2", version="3", replaces="2", now=NOW + timedelta(minutes=61))
    assert claim.run == "run-2"
    assert claim.replaces == "1", "what was served before the promotion that died"
    assert log.entries()[1].details["took_over"] == dead.id
    assert "its lease expired" in log.entries()[1].details["reason"]
    with pytest.raises(LockLostError, match=r"was taken over by .* \(run run-2"):
        assert_held(log, dead)
    with pytest.raises(LockLostError):
        release(log, dead, event="promoted", actor="bot")
    assert current_lock(log.entries(), "loans", environment="production") == claim


def test_a_run_whose_own_time_is_up_claims_anew(log: AuditLog) -> None:
    first = _begin(log)
    again = _begin(log, now=NOW + 2 * HOUR)
    assert again.id != first.id
    assert again.until == first.until + 2 * HOUR
    assert release(log, again, event="promoted", actor="bot").details["promotion"] == again.id


def test_a_person_takes_over_with_a_reason(log: AuditLog) -> None:
    dead = _begin(log)
    claim = _begin(log, "run-2", actor="bob", take_over="its pod was evicted")
    entry = log.entries()[1]
    assert (entry.actor, entry.details["reason"], entry.details["took_over"]) == ("bob", "its pod was evicted", dead.id)
    assert current_lock(log.entries(), "loans", environment="production") == claim


def test_an_end_of_a_promotion_that_was_taken_over_does_not_end_the_other(log: AuditLog) -> None:
    dead = _begin(log)
    claim = _begin(log, "run-2", take_over="it hangs")
    about: Any = {"model": "loans", "version": "2", "environment": "production"}
    log.append("promoted", "bot", **about, details={"promotion": dead.id})
    assert current_lock(log.entries(), "loans", environment="production") == claim


def test_on_a_broken_log_nothing_begins(log: AuditLog) -> None:
    claim = _begin(log)
    file = Path(log.folder) / "00000001.json"
    file.unlink()
    file.write_bytes(b"{}")
    with pytest.raises(BrokenLogError):
        _begin(log, "run-2")
    with pytest.raises(BrokenLogError):
        release(log, claim, event="promoted", actor="bot")


PROMOTES = """
import json, sys, time
from datetime import timedelta

from modelway.components.core.audit.log import AuditLog
from modelway.components.core.audit.lock import EnvironmentLockedError, acquire, release

store, run, start, ends = sys.argv[1:]
log = AuditLog(store)
time.sleep(max(0, float(start) - time.time()))
try:
    about = {"model": "loans", "version": run, "environment": "production"}
    claim = acquire(log, **about, actor=run, run=run, lease=timedelta(hours=1))
    if ends == "ends":
        release(log, claim, "promoted", run)
    print(json.dumps({"won": True}))
except EnvironmentLockedError as error:
    print(json.dumps({"won": False, "says": error.message}))
"""


def _at_once(store: Path, count: int, ends: str) -> list[dict[str, Any]]:
    start = datetime.now(UTC).timestamp() + 4
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROMOTES, str(store), f"run-{number}", str(start), ends], stdout=subprocess.PIPE
        )
        for number in range(count)
    ]
    found = [process.communicate(timeout=60)[0] for process in started]
    assert [process.returncode for process in started] == [0] * count
    return [json.loads(answer) for answer in found]


def test_of_promotions_at_once_exactly_one_wins(tmp_path: Path) -> None:
    answers = _at_once(tmp_path, 4, "stays open")
    assert sorted(one["won"] for one in answers) == [False, False, False, True]
    (entry,) = AuditLog(str(tmp_path)).entries()
    winner = next(number for number, one in enumerate(answers) if one["won"])
    assert entry.actor == f"run-{winner}"
    for one in answers:
        assert one["won"] or f"by run-{winner} (run run-{winner}" in one["says"]


def test_promotions_that_end_let_the_next_begin_and_never_overlap(tmp_path: Path) -> None:
    answers = _at_once(tmp_path, 3, "ends")
    log = AuditLog(str(tmp_path))
    entries = log.entries()
    assert log.verify() is None
    assert [entry.event for entry in entries] == ["promotion.begun", "promoted"] * sum(one["won"] for one in answers)
    for begun, ended in zip(entries[::2], entries[1::2], strict=True):
        assert (begun.actor, begun.sha256()) == (ended.actor, ended.details["promotion"])
