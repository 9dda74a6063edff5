from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.audit.lock import (
    EnvironmentLockedError,
    LockLostError,
    PromotionLock,
    acquire,
    assert_held,
    current_lock,
    overtaken_locks,
    release,
)
from modelway.components.core.audit.log import AuditLog, BrokenLogError

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return AuditLog(str(tmp_path / "store"))


def _acquire(log: AuditLog, run: str = "run-1", **more: Any) -> PromotionLock:
    about: dict[str, Any] = {"model": "loans", "version": "2", "environment": "production", "replaces": "1"}
    return acquire(log, **{**about, "actor": "ada", "run": run, "lease": HOUR, "now": NOW, **more})


def test_a_promotion_claims_its_environment(log: AuditLog) -> None:
    lock = _acquire(log)
    (entry,) = log.entries()
    assert (entry.event, entry.actor, entry.version, entry.environment) == ("promotion.begun", "ada", "2", "production")
    assert lock.id == entry.sha256()
    assert (lock.replaces, lock.until) == ("1", (NOW + HOUR).replace(microsecond=0))
    assert current_lock(log.entries(), "loans", environment="production") == lock
    assert assert_held(log, lock) == log.head()


def test_another_is_refused_while_it_is_open(log: AuditLog) -> None:
    _acquire(log)
    with pytest.raises(EnvironmentLockedError) as error:
        _acquire(log, "run-2", version="3", actor="bob")
    assert "production is locked by the promotion of version 2 of loans" in error.value.message
    assert "by ada (run run-1" in error.value.message
    assert "take it over" in error.value.remedy
    assert len(log.entries()) == 1


def test_other_environments_and_models_are_free(log: AuditLog) -> None:
    _acquire(log)
    assert _acquire(log, "run-2", environment="staging").environment == "staging"
    assert _acquire(log, "run-3", model="cars").model == "cars"


@pytest.mark.parametrize("event", ["promoted", "undone", "rolled-back", "refused"])
def test_an_end_gives_the_environment_free(log: AuditLog, event: Any) -> None:
    lock = _acquire(log)
    entry = release(log, lock, event=event, actor="bot", details={"image": "sha256:1"})
    assert (entry.event, entry.version, entry.details) == (event, "2", {"image": "sha256:1", "promotion": lock.id})
    assert current_lock(log.entries(), "loans", environment="production") is None
    with pytest.raises(LockLostError, match="has ended"):
        assert_held(log, lock)
    assert _acquire(log, "run-2").run == "run-2"


def test_the_same_run_takes_its_promotion_up_again(log: AuditLog) -> None:
    lock = _acquire(log)
    log.append("deployed", "bot", model="loans", version="2", environment="production")
    assert _acquire(log, replaces="2") == lock
    assert len(log.entries()) == 2
    with pytest.raises(EnvironmentLockedError):
        _acquire(log, version="3")


def test_an_end_that_is_said_twice_is_written_once(log: AuditLog) -> None:
    lock = _acquire(log)
    assert release(log, lock, event="promoted", actor="bot") == release(log, lock, event="promoted", actor="bot")
    assert len(log.entries()) == 2
    with pytest.raises(LockLostError):
        release(log, lock, event="undone", actor="bot")


def test_a_promotion_whose_time_is_up_is_taken_over(log: AuditLog) -> None:
    dead = _acquire(log)
    with pytest.raises(EnvironmentLockedError):
        _acquire(log, "run-2", now=NOW + timedelta(minutes=59))
    lock = _acquire(log, "run-2", version="3", replaces="2", now=NOW + timedelta(minutes=61))
    assert lock.run == "run-2"
    assert lock.replaces == "1", "what was served before the promotion that died"
    assert log.entries()[1].details["took_over"] == dead.id
    assert "its lease expired" in log.entries()[1].details["reason"]
    with pytest.raises(LockLostError, match=r"was taken over by .* \(run run-2"):
        assert_held(log, dead)
    with pytest.raises(LockLostError):
        release(log, dead, event="promoted", actor="bot")
    assert current_lock(log.entries(), "loans", environment="production") == lock


def test_a_run_whose_own_time_is_up_claims_anew(log: AuditLog) -> None:
    first = _acquire(log)
    again = _acquire(log, now=NOW + 2 * HOUR)
    assert again.id != first.id
    assert again.until == first.until + 2 * HOUR
    assert release(log, again, event="promoted", actor="bot").details["promotion"] == again.id


def test_a_person_takes_over_with_a_reason(log: AuditLog) -> None:
    dead = _acquire(log)
    lock = _acquire(log, "run-2", actor="bob", take_over="its pod was evicted")
    entry = log.entries()[1]
    assert (entry.actor, entry.details["reason"], entry.details["took_over"]) == ("bob", "its pod was evicted", dead.id)
    assert current_lock(log.entries(), "loans", environment="production") == lock


def test_the_run_that_took_over_gets_its_own_promotion_again_and_does_not_take_itself_over(log: AuditLog) -> None:
    _acquire(log)
    lock = _acquire(log, "run-2", take_over="its pod was evicted")
    assert _acquire(log, "run-2", take_over="its pod was evicted") == lock
    assert len(log.entries()) == 2


def test_the_promotions_that_were_taken_over_and_have_no_end_are_told_the_latest_first(log: AuditLog) -> None:
    dead = _acquire(log)
    second = _acquire(log, "run-2", version="3", take_over="it died")
    again = _acquire(log, "run-2", version="3", now=NOW + 2 * HOUR)  # its own time was up
    last = _acquire(log, "run-3", take_over="so did that")
    assert overtaken_locks(log.entries(), dead) == []
    assert overtaken_locks(log.entries(), again) == [dead], "a run is not its own predecessor"
    assert overtaken_locks(log.entries(), last) == [again, second, dead]
    about: Any = {"model": "loans", "version": "2", "environment": "production"}
    log.append("undone", "bot", **about, details={"promotion": second.id})
    assert overtaken_locks(log.entries(), last) == [again, dead]


def test_an_end_of_a_promotion_that_was_taken_over_does_not_end_the_other(log: AuditLog) -> None:
    dead = _acquire(log)
    lock = _acquire(log, "run-2", take_over="it hangs")
    about: Any = {"model": "loans", "version": "2", "environment": "production"}
    log.append("promoted", "bot", **about, details={"promotion": dead.id})
    assert current_lock(log.entries(), "loans", environment="production") == lock


def test_on_a_broken_log_nothing_begins(log: AuditLog) -> None:
    lock = _acquire(log)
    file = Path(log.folder) / "00000001.json"
    file.unlink()
    file.write_bytes(b"{}")
    with pytest.raises(BrokenLogError):
        _acquire(log, "run-2")
    with pytest.raises(BrokenLogError):
        release(log, lock, event="promoted", actor="bot")


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
    lock = acquire(log, **about, actor=run, run=run, lease=timedelta(hours=1))
    if ends == "ends":
        release(log, lock, event="promoted", actor=run)
    print(json.dumps({"won": True}))
except EnvironmentLockedError as error:
    print(json.dumps({"won": False, "says": error.message}))
"""


def _at_once(store: Path, count: int, ends: str) -> list[dict[str, Any]]:
    start = datetime.now(UTC).timestamp() + 4
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROMOTES, str(store), f"run-{number}", str(start), ends], stdout=subprocess.PIPE
        )
        for number in range(count)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * count
    return [json.loads(answer) for answer in outputs]


def test_of_promotions_at_once_exactly_one_wins(tmp_path: Path) -> None:
    answers = _at_once(tmp_path, 4, "stays open")
    assert sorted(answer["won"] for answer in answers) == [False, False, False, True]
    (entry,) = AuditLog(str(tmp_path)).entries()
    winner = next(number for number, answer in enumerate(answers) if answer["won"])
    assert entry.actor == f"run-{winner}"
    for answer in answers:
        assert answer["won"] or f"by run-{winner} (run run-{winner}" in answer["says"]


def test_promotions_that_end_let_the_next_begin_and_never_overlap(tmp_path: Path) -> None:
    answers = _at_once(tmp_path, 3, "ends")
    log = AuditLog(str(tmp_path))
    entries = log.entries()
    assert log.verify() is None
    assert [entry.event for entry in entries] == ["promotion.begun", "promoted"] * sum(
        answer["won"] for answer in answers
    )
    for begun, final in zip(entries[::2], entries[1::2], strict=True):
        assert (begun.actor, begun.sha256()) == (final.actor, final.details["promotion"])
