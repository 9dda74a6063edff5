from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from modelway.components.core.audit import log as audit
from modelway.components.core.audit.chain import Entry
from modelway.components.core.audit.log import AuditLog, BrokenLogError, HeadMovedError
from modelway.components.core.audit.witness import HEAD_TAG
from modelway.components.core.errors import UnavailableError
from modelway.components.core.storage import uri as storage
from modelway.components.core.storage.mlflow import Tracking


def _write(log: AuditLog, count: int, model: str = "loans") -> list[Entry]:
    return [log.append("deployed", "ada", model=model, version=str(number)) for number in range(1, count + 1)]


def _file(log: AuditLog, number: int) -> Path:
    return Path(log.folder) / f"{number:08}.json"


def _replace(file: Path, content: bytes) -> None:
    """What somebody with the right to write to the folder can do to a file that is read-only."""
    file.unlink()
    file.write_bytes(content)


def _rewritten(log: AuditLog, first: int, **changes: str) -> None:
    """Changes an entry and chains all that come after it anew."""
    entries = log.entries()
    previous = entries[first - 1].previous
    for entry in entries[first - 1 :]:
        update = {"previous": previous, **(changes if entry.number == first else {})}
        forged = entry.model_copy(update=update)
        _replace(_file(log, entry.number), forged.content())
        previous = forged.sha256()


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return AuditLog(str(tmp_path / "store"))


@pytest.fixture
def registered(tracking: Tracking, tmp_path: Path) -> str:
    """The name of a registered model of this test's own."""
    name = f"audited-{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]}"
    tracking.client.create_registered_model(name)
    return name


def test_an_empty_log_is_whole(log: AuditLog) -> None:
    assert log.entries() == []
    assert log.verify() is None
    assert log.head().number == 0


def test_entries_come_back_in_order_with_all_that_was_said(log: AuditLog) -> None:
    log.append("approved", "Zoë", model="loans", version="3", environment="production", details={"reason": "good"})
    log.append("refused", "ada", model="loans", version="")
    first, second = log.entries()
    assert (first.event, first.actor, first.version, first.environment) == ("approved", "Zoë", "3", "production")
    assert first.details == {"reason": "good"}
    assert (first.number, second.number) == (1, 2)
    assert first.at < second.at
    assert log.verify() is None


def test_each_file_has_the_hash_that_the_next_one_holds(log: AuditLog) -> None:
    _write(log, 3)
    names = sorted(file.name for file in Path(log.folder).iterdir())
    assert names == ["00000001.json", "00000002.json", "00000003.json"]
    hashes = [hashlib.sha256(_file(log, number).read_bytes()).hexdigest() for number in (1, 2, 3)]
    previous_hashes = [json.loads(_file(log, number).read_bytes())["previous"] for number in (1, 2, 3)]
    assert previous_hashes == ["0" * 64, *hashes[:2]]
    assert (log.head().number, log.head().sha256) == (3, hashes[2])


def test_a_file_is_canonical_and_read_only(log: AuditLog) -> None:
    _write(log, 1)
    content = _file(log, 1).read_bytes()
    assert content == json.dumps(json.loads(content), sort_keys=True, separators=(",", ":")).encode()
    assert stat.S_IMODE(_file(log, 1).stat().st_mode) == 0o444


def test_other_files_in_the_folder_are_left_alone(log: AuditLog) -> None:
    _write(log, 1)
    (Path(log.folder) / "README.md").write_text("what this is", encoding="utf-8")
    (Path(log.folder) / ".00000002.json.draft").write_text("{", encoding="utf-8")
    _write(log, 1)
    assert [entry.number for entry in log.entries()] == [1, 2]
    assert log.verify() is None


def test_two_stores_have_their_own_logs(tmp_path: Path) -> None:
    first, second = AuditLog(str(tmp_path / "one")), AuditLog(str(tmp_path / "other/"))
    _write(first, 2)
    assert second.entries() == []


def _flip(log: AuditLog) -> None:
    content = _file(log, 3).read_bytes()
    _replace(_file(log, 3), content.replace(b'"actor":"ada"', b'"actor":"eve"'))


def _reformat(log: AuditLog) -> None:
    _replace(_file(log, 3), json.dumps(json.loads(_file(log, 3).read_bytes()), indent=2).encode())


def _swap(log: AuditLog) -> None:
    third, fourth = _file(log, 3).read_bytes(), _file(log, 4).read_bytes()
    _replace(_file(log, 3), fourth)
    _replace(_file(log, 4), third)


def _swap_with_numbers(log: AuditLog) -> None:
    third, fourth = log.entries()[2:4]
    _replace(_file(log, 3), fourth.model_copy(update={"number": 3, "previous": third.previous}).content())
    _replace(_file(log, 4), third.model_copy(update={"number": 4, "previous": fourth.previous}).content())


def _from_another(log: AuditLog) -> None:
    second = AuditLog(log.store + "-other")
    _write(second, 3)
    _replace(_file(log, 3), _file(second, 3).read_bytes())


def _add_a_field(log: AuditLog) -> None:
    content = json.loads(_file(log, 3).read_bytes()) | {"note": "all is well"}
    _replace(_file(log, 3), json.dumps(content, sort_keys=True, separators=(",", ":")).encode())


TOUCHES: dict[str, tuple[Callable[[AuditLog], object], int, str]] = {
    "changed": (_flip, 3, "one of the two was changed"),
    "removed": (lambda log: _file(log, 3).unlink(), 3, "missing"),
    "first removed": (lambda log: _file(log, 1).unlink(), 1, "missing"),
    "emptied": (lambda log: _replace(_file(log, 3), b""), 3, "cannot be read as an entry"),
    "not text": (lambda log: _replace(_file(log, 3), b"\xff{}"), 3, "cannot be read as an entry"),
    "last emptied": (lambda log: _replace(_file(log, 5), b"{}"), 5, "cannot be read as an entry"),
    "written otherwise": (_reformat, 3, "not in the log"),
    "swapped": (_swap, 3, "the entries were moved"),
    "swapped with their numbers": (_swap_with_numbers, 3, "one of the two was changed"),
    "another log's": (_from_another, 2, "one of the two was changed"),
    "a field added": (_add_a_field, 3, "cannot be read as an entry"),
    "a beginning cut off": (lambda log: _rewritten(log, 1, previous="1" * 64), 1, "not the first of a chain"),
}


@pytest.mark.parametrize(("touch", "number", "says"), TOUCHES.values(), ids=TOUCHES)
def test_the_first_broken_link_is_found(
    log: AuditLog, touch: Callable[[AuditLog], object], number: int, says: str
) -> None:
    _write(log, 5)
    touch(log)
    broken = log.verify()
    assert broken is not None
    assert broken.number == number
    assert says in broken.reason
    assert broken.file == str(_file(log, number))
    with pytest.raises(BrokenLogError, match=f"broken at entry {number}"):
        log.verified_entries()


def _replace_keeping_times(log: AuditLog) -> None:
    file = _file(log, 3)
    content, times = file.read_bytes(), file.stat()
    file.chmod(0o644)
    with file.open("r+b") as handle:  # the same file, of the same size
        handle.write(content.replace(b'"actor":"ada"', b'"actor":"eve"'))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


LATER_TOUCHES = {**TOUCHES, "its times restored": (_replace_keeping_times, 3, "one of the two was changed")}


@pytest.fixture(scope="module")
def verified_logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, AuditLog]:
    """A log of five verified entries for each touch, written long enough ago to be told from what is written now."""
    logs = {name: AuditLog(str(tmp_path_factory.mktemp("verified") / "store")) for name in [*LATER_TOUCHES, ""]}
    for log in logs.values():
        _write(log, 5)
    time.sleep(1.1)
    for log in logs.values():
        assert len(log.verified_entries()[0]) == 5
    return logs


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the entries that are read from now on."""
    names: list[str] = []

    def read_all(uris: Iterable[str]) -> list[bytes]:
        sources = list(uris)
        names.extend(Path(source).stem.lstrip("0") for source in sources)
        return storage.read_all(sources)

    monkeypatch.setattr(audit, "read_all", read_all)
    return names


def test_what_was_verified_is_not_read_again(verified_logs: dict[str, AuditLog], reads: list[str]) -> None:
    log = verified_logs[""]
    entries, head = log.verified_entries()
    assert reads == []
    assert head == log.head()
    new_entry = AuditLog(log.store).append("approved", "bob", model="loans", version="1")
    assert log.verified_entries()[0] == [*entries, new_entry]
    assert reads == ["6"]
    _file(log, 3).touch()
    assert log.verified_entries()[0] == [*entries, new_entry]
    assert reads == ["6", "3", "4", "5", "6"]
    assert log.verify() is None
    assert reads[5:] == ["1", "2", "3", "4", "5", "6"]


@pytest.mark.parametrize("name", LATER_TOUCHES)
def test_what_is_touched_after_it_was_verified_is_found(
    verified_logs: dict[str, AuditLog], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, (touch, number, says) = verified_logs[name], LATER_TOUCHES[name]
    touch(log)
    for settled in (0, storage._SETTLED_NS):  # by its state alone, and for being new
        monkeypatch.setattr(storage, "_SETTLED_NS", settled)
        with pytest.raises(BrokenLogError, match=f"broken at entry {number}: .*{says}"):
            log.verified_entries()


def test_what_was_just_written_is_read_again(log: AuditLog, reads: list[str]) -> None:
    _write(log, 2)
    assert len(log.verified_entries()[0]) == len(log.verified_entries()[0]) == 2
    assert reads == ["1", "2"] * 2, "what changes within one tick of the file system's clock does not show"


def test_of_two_broken_links_the_first_is_found(log: AuditLog) -> None:
    _write(log, 6)
    _file(log, 5).unlink()
    _replace(_file(log, 2), b"{}")
    broken = log.verify()
    assert broken is not None
    assert broken.number == 2


def test_nothing_is_written_on_top_of_an_end_that_was_touched(log: AuditLog) -> None:
    _write(log, 3)
    _replace(_file(log, 3), b"{}")
    with pytest.raises(BrokenLogError, match="cannot be read as an entry"):
        _write(log, 1)
    _replace(_file(log, 3), _file(log, 2).read_bytes())
    with pytest.raises(BrokenLogError, match="it holds entry 2"):
        _write(log, 1)


@pytest.mark.parametrize(
    ("touch", "number", "says"),
    [
        (lambda log: _file(log, 4).unlink(), 4, "anchored in MLflow is entry 4"),
        (lambda log: _rewritten(log, 4, actor="eve"), 4, "rewritten"),
        (lambda log: _rewritten(log, 2, actor="eve"), 4, "rewritten"),
        (lambda log: shutil.rmtree(log.folder), 1, "anchored in MLflow is entry 4"),
    ],
    ids=["the end cut off", "the last changed", "all chained anew", "all removed"],
)
def test_what_the_chain_cannot_show_the_witness_does(
    tmp_path: Path, tracking: Tracking, registered: str, touch: object, number: int, says: str
) -> None:
    log, alone = (AuditLog(str(tmp_path), first) for first in (tracking, None))
    _write(log, 4, registered)
    assert log.verify(registered) is None
    assert len(log.verified_entries(registered)[0]) == 4
    touch(log)  # type: ignore[operator]
    with pytest.raises(BrokenLogError, match=says):
        log.verified_entries(registered)
    assert alone.verify(registered) is None
    broken = log.verify(registered)
    assert broken is not None
    assert broken.number == number
    assert says in broken.reason
    with pytest.raises(BrokenLogError):
        log.verified_entries(registered)


def test_a_witness_that_is_behind_is_true_of_what_it_saw(tmp_path: Path, tracking: Tracking, registered: str) -> None:
    log = AuditLog(str(tmp_path), tracking)
    _write(log, 2, registered)
    later = _write(AuditLog(str(tmp_path)), 2, registered)
    assert log.verify() is None
    verified = log.verified_log()
    assert (verified.witnessed, verified.unwitnessed, verified.anchors) == (2, later, {registered: 2})


def test_a_log_without_mlflow_has_no_entry_that_is_not_witnessed(log: AuditLog) -> None:
    entries = _write(log, 2)
    verified = log.verified_log("loans")
    assert (verified.trusted, verified.unwitnessed, verified.anchors) == (entries, [], {})


def test_a_witness_of_another_store_says_nothing_of_this_one(
    tmp_path: Path, tracking: Tracking, registered: str
) -> None:
    other, log = AuditLog(str(tmp_path / "other"), tracking), AuditLog(str(tmp_path / "here"), tracking)
    _write(other, 5, registered)
    assert (log.anchors(registered), log.verify(registered)) == ({}, None)
    _write(log, 3, registered)
    for store, count in ((other, 5), (log, 3)):
        assert store.verified_log(registered).anchors == {registered: count}
    assert len(_tags(tracking, registered)) == 2


def test_an_entry_about_a_model_that_is_not_registered_is_witnessed_by_another_that_the_log_names(
    tmp_path: Path, tracking: Tracking, registered: str
) -> None:
    log = AuditLog(str(tmp_path), tracking)
    _write(log, 1, "not-registered")
    assert (log.anchors("not-registered"), log.verify("not-registered")) == ({}, None)
    assert log.verified_log("not-registered").witnessed == 0
    _write(log, 1, registered)  # by the same writer, who wrote the one before too
    assert log.verified_log().witnessed == 2
    _write(AuditLog(str(tmp_path), tracking), 1, "not-registered")
    assert log.verified_log().anchors == {registered: 3}


def test_of_two_models_neither_needs_the_log_to_be_read_again(
    tmp_path: Path, tracking: Tracking, registered: str, reads: list[str]
) -> None:
    second = f"{registered}-second"
    tracking.client.create_registered_model(second)
    for model in (registered, second, registered):
        _write(AuditLog(str(tmp_path), tracking), 1, model)
    assert reads == ["1"], "the first entry alone has none before it"
    assert AuditLog(str(tmp_path), tracking).verified_log().anchors == {registered: 3, second: 2}
    _file(AuditLog(str(tmp_path)), 3).unlink()
    _write(AuditLog(str(tmp_path), tracking), 2, registered)
    assert AuditLog(str(tmp_path), tracking).verify() is not None


def _tags(tracking: Tracking, model: str) -> dict[str, str]:
    (registration,) = tracking.client.search_registered_models(filter_string=f"name = '{model}'")
    return {key: value for key, value in registration.tags.items() if key.startswith(HEAD_TAG)}


def test_the_tag_of_before_is_read_and_another_is_written(tmp_path: Path, tracking: Tracking, registered: str) -> None:
    entries = _write(AuditLog(str(tmp_path)), 2, registered)
    value = f"2 {entries[1].sha256()} /as/it/was/mounted/then"
    tracking.client.set_registered_model_tag(registered, HEAD_TAG, value)
    log = AuditLog(str(tmp_path), tracking)
    assert log.verified_log().anchors == {registered: 2}
    (third,) = _write(log, 1, registered)
    assert _tags(tracking, registered) == {
        HEAD_TAG: value,
        f"{HEAD_TAG}.{entries[0].sha256()[:16]}": f"3 {third.sha256()} {log.store}",
    }


def test_where_the_tag_of_before_ends_nothing_can_be_cut_off(
    tmp_path: Path, tracking: Tracking, registered: str
) -> None:
    """Who may write to the store alone cuts it back to the last entry that an old tag names, which stays for ever."""
    entries = _write(AuditLog(str(tmp_path)), 2, registered)
    tracking.client.set_registered_model_tag(registered, HEAD_TAG, f"2 {entries[1].sha256()} {tmp_path}")
    _write(AuditLog(str(tmp_path), tracking), 2, registered)
    log = AuditLog(str(tmp_path), tracking)
    for number in (3, 4):
        _file(log, number).unlink()
    _write(log, 3, registered)
    broken = log.verify()
    assert broken is not None
    assert (broken.number, "rewritten" in broken.reason) == (4, True)


def test_the_witness_does_not_forget_what_was_cut_off_when_the_log_grows_again(
    tmp_path: Path, tracking: Tracking, registered: str
) -> None:
    log = AuditLog(str(tmp_path), tracking)
    _write(log, 4, registered)
    for number in (3, 4):
        _file(log, number).unlink()
    _write(log, 4, registered)
    broken = log.verify()
    assert broken is not None
    assert (broken.number, "rewritten" in broken.reason) == (4, True)


def test_the_log_is_written_while_mlflow_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    log = AuditLog(str(tmp_path), Tracking("http://127.0.0.1:9"))  # nothing listens there
    assert _write(log, 2)[-1].number == 2
    assert len(AuditLog(str(tmp_path)).verified_entries()[0]) == 2
    with pytest.raises(UnavailableError, match="cannot be reached"):
        log.verify()


def test_an_entry_that_expects_an_end_is_written_right_after_it_or_not_at_all(log: AuditLog) -> None:
    _write(log, 1)
    head = log.head()
    log.append("approved", "ada", model="loans", version="1", expected=head)
    with pytest.raises(HeadMovedError, match="2 entries now, not 1"):
        log.append("approved", "bob", model="loans", version="1", expected=head)
    assert [entry.actor for entry in log.entries()] == ["ada", "ada"]


@pytest.mark.parametrize("field", ["actor", "model"])
def test_an_entry_says_who_and_what(log: AuditLog, field: str) -> None:
    fields = {"actor": "ada", "model": "loans", field: ""}
    with pytest.raises(ValueError, match=field):
        log.append("deployed", fields["actor"], model=fields["model"], version="1")
    assert log.entries() == []


APPENDS = """
import sys, time
from pathlib import Path

from modelway.components.core.audit.log import AuditLog

store, actor, count = sys.argv[1:]
Path(store, actor).touch()
while not Path(store, "go").exists():
    time.sleep(0.001)
for number in range(int(count)):
    AuditLog(store).append("approved", actor, model="loans", version=str(number))
"""


def test_processes_that_write_at_once_lose_no_entry(tmp_path: Path) -> None:
    actors = ["ada", "bob", "cyd"]
    processes = [subprocess.Popen([sys.executable, "-c", APPENDS, str(tmp_path), actor, "40"]) for actor in actors]
    while {first.name for first in tmp_path.iterdir()} != set(actors):
        assert all(process.poll() is None for process in processes)
        time.sleep(0.05)
    (tmp_path / "go").touch()
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    log = AuditLog(str(tmp_path))
    entries = log.entries()
    assert log.verify() is None
    assert [entry.number for entry in entries] == list(range(1, 121))
    for actor in actors:
        assert [entry.version for entry in entries if entry.actor == actor] == [str(number) for number in range(40)]
    assert len(list(Path(log.folder).iterdir())) == 120
    switches = sum(first.actor != second.actor for first, second in itertools.pairwise(entries))
    assert switches > 2, "the processes did not write at the same time"
