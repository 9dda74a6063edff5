"""The audit log and the claims of environments on a real S3 server: with and without versions and object lock."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import pytest
from minio import Minio
from minio.commonconfig import GOVERNANCE
from minio.deleteobjects import DeleteObject
from minio.error import S3Error
from minio.objectlockconfig import DAYS, ObjectLockConfig

from modelway.components.core.audit import witness
from modelway.components.core.audit.chain import Entry
from modelway.components.core.audit.log import AuditLog, BrokenLogError
from modelway.components.core.audit.witness import HEAD_TAG
from modelway.components.core.errors import CredentialsError, ModelwayError
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.core.storage.s3 import S3
from modelway.components.core.storage.uri import create_uri, list_names, read_all, read_uri

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("minio_alone")]


def _bucket(client: Minio, *, lock: bool) -> Iterator[str]:
    name = f"modelway-audit-{uuid.uuid4().hex[:12]}"
    client.make_bucket(bucket_name=name, object_lock=lock)
    yield name
    objects = client.list_objects(bucket_name=name, recursive=True, include_version=True)
    every = [DeleteObject(str(item.object_name), item.version_id) for item in objects]
    assert not list(client.remove_objects(bucket_name=name, delete_object_list=every, bypass_governance_mode=lock))
    client.remove_bucket(bucket_name=name)


@pytest.fixture(scope="module")
def plain(client: Minio) -> Iterator[str]:
    yield from _bucket(client, lock=False)


@pytest.fixture(scope="module")
def locked_bucket(client: Minio) -> Iterator[str]:
    yield from _bucket(client, lock=True)


@pytest.fixture
def ruled(client: Minio) -> Iterator[str]:
    """A bucket with a rule of its own for how long objects are kept."""
    for name in _bucket(client, lock=True):
        client.set_object_lock_config(bucket_name=name, config=ObjectLockConfig(GOVERNANCE, 3, DAYS))
        yield name


def _log(bucket: str) -> AuditLog:
    return AuditLog(f"s3://{bucket}/{uuid.uuid4().hex[:8]}/store")


def _write(log: AuditLog, count: int) -> list[Entry]:
    return [log.append("deployed", "ada", model="loans", version=str(number)) for number in range(1, count + 1)]


def _place(log: AuditLog, number: int) -> dict[str, str]:
    bucket, key = f"{log.folder}/{number:08}.json".removeprefix("s3://").split("/", 1)
    return {"bucket_name": bucket, "object_name": key}


def _overwrite(client: Minio, log: AuditLog, number: int, content: bytes) -> None:
    client.put_object(**_place(log, number), data=BytesIO(content), length=len(content))


@pytest.mark.parametrize("kind", ["plain", "locked_bucket"])
def test_entries_are_objects_in_a_chain(request: pytest.FixtureRequest, kind: str) -> None:
    log = _log(request.getfixturevalue(kind))
    assert (log.entries(), log.verify(), log.head().number) == ([], None, 0)
    written_entries = _write(log, 12)
    assert log.entries() == written_entries
    assert log.verify() is None
    assert list_names(log.folder) == [f"{number:08}.json" for number in range(1, 13)]
    assert list_names(log.folder, after="00000010.json") == ["00000011.json", "00000012.json"]
    assert read_all([f"{log.folder}/00000003.json"]) == [written_entries[2].content()]


@pytest.mark.parametrize("kind", ["plain", "locked_bucket"])
def test_what_is_there_is_not_created_again(request: pytest.FixtureRequest, kind: str) -> None:
    uri = f"s3://{request.getfixturevalue(kind)}/once/note.txt"
    assert create_uri(uri, b"one")
    assert not create_uri(uri, b"two")
    assert read_uri(uri) == b"one"


def test_an_answer_that_was_lost_does_not_lose_the_entry(plain: str) -> None:
    uri = f"s3://{plain}/lost/note.txt"
    assert create_uri(uri, b"mine")
    assert create_uri(uri, b"mine"), "the same content is what the first try has written"


@pytest.mark.parametrize(
    ("number", "content", "says"),
    [
        (3, b"{}", "cannot be read as an entry"),
        (2, None, "it is missing"),
    ],
)
def test_a_touched_entry_is_found(client: Minio, plain: str, number: int, content: bytes | None, says: str) -> None:
    log = _log(plain)
    _write(log, 4)
    if content is None:
        client.remove_object(**_place(log, number))
    else:
        _overwrite(client, log, number, content)
    broken = log.verify()
    assert broken is not None
    assert (broken.number, broken.file) == (number, f"{log.folder}/{number:08}.json")
    assert says in broken.reason
    with pytest.raises(BrokenLogError):
        log.verified_entries()


@pytest.mark.parametrize("kind", ["plain", "locked_bucket"])
def test_what_was_verified_is_not_read_again_unless_it_changed(
    request: pytest.FixtureRequest, client: Minio, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = _log(request.getfixturevalue(kind))
    written_entries = _write(log, 4)
    assert log.verified_entries()[0] == written_entries
    read: list[str] = []
    original = S3.read
    monkeypatch.setattr(S3, "read", lambda self, uri, *most: read.append(uri[-6]) or original(self, uri, *most))
    assert log.verified_entries()[0] == written_entries
    assert read == []
    new_entry = log.append("approved", "bob", model="loans", version="1")
    read.clear()
    assert log.verified_entries()[0] == [*written_entries, new_entry]
    assert read == ["5"]
    _overwrite(client, log, 2, written_entries[1].model_copy(update={"actor": "eve"}).content())
    with pytest.raises(BrokenLogError, match="broken at entry 2"):
        log.verified_entries()
    assert "2" in read


@pytest.mark.parametrize("kind", ["plain", "locked_bucket"])
@pytest.mark.parametrize("number", [1, 2, 4])
def test_what_is_deleted_after_it_was_verified_is_found(
    request: pytest.FixtureRequest, client: Minio, kind: str, number: int
) -> None:
    log = _log(request.getfixturevalue(kind))
    _write(log, 4)
    head = log.verified_entries()[1]
    client.remove_object(**_place(log, number))
    if (kind, number) == ("plain", 4):  # without versions only an anchor knows of an end that is cut off
        assert log.verified_entries()[1] != head
        return
    with pytest.raises(BrokenLogError, match=f"broken at entry {number}"):
        log.verified_entries()


def test_with_object_lock_an_entry_cannot_be_removed(client: Minio, locked_bucket: str) -> None:
    log = _log(locked_bucket)
    _write(log, 1)
    version = client.stat_object(**_place(log, 1)).version_id
    retention = client.get_object_retention(**_place(log, 1))
    assert retention is not None
    assert retention.mode == GOVERNANCE
    assert retention.retain_until_date > datetime.now(UTC) + timedelta(days=3600)
    with pytest.raises(S3Error, match="WORM protected"):
        client.remove_object(**_place(log, 1), version_id=version)


def test_a_buckets_own_rule_says_how_long_entries_are_kept(client: Minio, ruled: str) -> None:
    log = _log(ruled)
    _write(log, 1)
    retention = client.get_object_retention(**_place(log, 1))
    assert retention is not None
    assert timedelta(days=2) < retention.retain_until_date - datetime.now(UTC) < timedelta(days=4)


def test_with_versions_a_chain_that_was_written_anew_shows_without_a_witness(client: Minio, locked_bucket: str) -> None:
    log = _log(locked_bucket)
    entries = _write(log, 3)
    previous = entries[1].previous
    for entry in entries[1:]:
        forged = entry.model_copy(update={"previous": previous, "actor": "eve"})
        _overwrite(client, log, entry.number, forged.content())
        previous = forged.sha256()
    broken = log.verify()
    assert broken is not None
    assert (broken.number, broken.reason) == (2, "it was replaced: the bucket holds other versions of it")


def test_with_versions_an_end_that_was_cut_off_shows_without_a_witness(client: Minio, locked_bucket: str) -> None:
    log = _log(locked_bucket)
    _write(log, 3)
    client.remove_object(**_place(log, 3))
    broken = log.verify()
    assert broken is not None
    assert (broken.number, broken.reason) == (3, "it was deleted: the bucket holds other versions of it")
    _write(log, 2)
    broken = log.verify()
    assert broken is not None
    assert broken.number == 3


APPENDS = """
import sys

from modelway.components.core.audit.log import AuditLog

store, actor, count = sys.argv[1:]
for number in range(int(count)):
    AuditLog(store).append("approved", actor, model="loans", version=str(number))
"""
PROMOTES = """
import json, sys, time
from datetime import timedelta

from modelway.components.core.audit.log import AuditLog
from modelway.components.core.audit.lock import EnvironmentLockedError, acquire

store, run, start = sys.argv[1:]
log = AuditLog(store)
log.head()
time.sleep(max(0, float(start) - time.time()))
try:
    about = {"model": "loans", "version": run, "environment": "production"}
    acquire(log, **about, actor=run, run=run, lease=timedelta(hours=1))
    print(json.dumps({"won": True}))
except EnvironmentLockedError as error:
    print(json.dumps({"won": False, "says": error.message}))
"""


@pytest.mark.parametrize("kind", ["plain", "locked_bucket"])
def test_processes_that_write_at_once_lose_no_entry(request: pytest.FixtureRequest, kind: str) -> None:
    log = _log(request.getfixturevalue(kind))
    actors = ["ada", "bob", "cyd"]
    processes = [subprocess.Popen([sys.executable, "-c", APPENDS, log.store, actor, "15"]) for actor in actors]
    assert [process.wait(timeout=120) for process in processes] == [0, 0, 0]
    entries = log.entries()
    assert log.verify() is None
    for actor in actors:
        assert [entry.version for entry in entries if entry.actor == actor] == [str(number) for number in range(15)]


def test_of_promotions_at_once_exactly_one_wins(plain: str) -> None:
    log = _log(plain)
    start = str(datetime.now(UTC).timestamp() + 5)
    processes = [
        subprocess.Popen([sys.executable, "-c", PROMOTES, log.store, f"run-{number}", start], stdout=subprocess.PIPE)
        for number in range(4)
    ]
    answers: list[dict[str, Any]] = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    assert sorted(item["won"] for item in answers) == [False, False, False, True]
    (entry,) = log.entries()
    assert answers[int(entry.actor[-1])]["won"]
    assert all(f"by {entry.actor}" in item["says"] for item in answers if not item["won"])


def test_a_store_is_the_same_log_at_another_address(plain: str, client: Minio, tracking: Tracking) -> None:
    """The same objects under another prefix, as a bucket that was moved or has a second name shows them."""
    name = f"moved-{uuid.uuid4().hex[:8]}"
    tracking.client.create_registered_model(name)
    first, log = (AuditLog(f"s3://{plain}/{uuid.uuid4().hex[:8]}/store", tracking) for _ in range(2))
    for number in range(1, 4):
        first.append("deployed", "ada", model=name, version=str(number))
        _overwrite(client, log, number, read_uri(f"{first.folder}/{number:08}.json"))
    assert log.verified_log(name).anchors == {name: 3}
    AuditLog(log.store, tracking).append("deployed", "ada", model=name, version="4")
    tags = tracking.client.get_registered_model(name).tags
    assert [key for key in tags if key.startswith(HEAD_TAG)] == [f"{HEAD_TAG}.{log.entries()[0].sha256()[:16]}"]
    client.remove_object(**_place(log, 4))
    broken = log.verify(name)
    assert broken is not None
    assert (broken.number, "anchored in MLflow is entry 4" in broken.reason) == (4, True)


def test_a_forged_entry_is_not_witnessed_nor_what_comes_after_it(
    plain: str, tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who can write to the bucket, but not to MLflow, appends an entry that follows the last one."""
    monkeypatch.setattr(witness, "_POLLS", 2)
    name = f"forged-{uuid.uuid4().hex[:8]}"
    tracking.client.create_registered_model(name)
    log = AuditLog(_log(plain).store, tracking)
    log.append("deployed", "ada", model=name, version="1")
    AuditLog(log.store).append("approved", "eve", model=name, version="1")
    AuditLog(log.store, tracking).append("approved", "ada", model=name, version="1")
    assert [entry.number for entry in log.verified_log().unwitnessed] == [2, 3]
    log.accept_unwitnessed(log.head().sha256, model=name, actor="dan", reason="asked them")
    assert log.verified_log().unwitnessed == []


class _Forgetful(BaseHTTPRequestHandler):
    """An S3 endpoint that takes no notice of conditions, as some do."""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        body = b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name></ListBucketResult>'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_an_endpoint_without_conditional_writes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Forgetful)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("MINIO_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    try:
        with pytest.raises(ModelwayError, match="allows an object to be created twice") as error:
            _write(AuditLog("s3://bucket/store"), 1)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
    assert "If-None-Match" in error.value.remedy


def test_a_bucket_that_is_not_there_and_keys_that_are_wrong_are_named(
    plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelwayError, match=f"there is no bucket '{plain}-missing'"):
        _write(AuditLog(f"s3://{plain}-missing/store"), 1)
    monkeypatch.setenv("MINIO_SECRET_KEY", "wrong-secret")
    with pytest.raises(CredentialsError, match="does not accept the keys: SignatureDoesNotMatch"):
        _write(_log(plain), 1)
