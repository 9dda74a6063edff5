"""Packaging with the store on a real S3 server: as it comes, and where the bucket encrypts what it keeps."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.sseconfig import Rule, SSEConfig

from modelway.components.core.bundle.bundle import verify_bundle
from modelway.components.core.errors import ModelwayError, UnavailableError
from modelway.components.core.storage.models import folder_sha256
from modelway.components.core.storage.s3 import S3
from modelway.components.package.stage import Packaged, package

pytestmark = pytest.mark.cluster

CREDENTIALS = ("MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY")
RULE = Path(__file__).resolve().parents[2] / "manifests" / "base" / "storage" / "encryption.json"


@dataclass(frozen=True)
class Store:
    """A store in a bucket of its own.

    Attributes:
        client: The bucket's owner.
        bucket: Its name.
        credentials: What S3 is reached by: endpoint, access key, secret key.
        disk: Where the S3 server keeps its files, if it is this test's own.
    """

    client: Minio
    bucket: str
    credentials: tuple[str, str, str]
    disk: Path | None = None

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/store"

    def names(self, end: str = "") -> list[str]:
        objects = self.client.list_objects(bucket_name=self.bucket, recursive=True)
        return [str(entry.object_name) for entry in objects if str(entry.object_name).endswith(end)]

    def read(self, key: str) -> bytes:
        return self.client.get_object(bucket_name=self.bucket, object_name=key).data

    def write(self, key: str, content: bytes) -> None:
        self.client.put_object(bucket_name=self.bucket, object_name=key, data=BytesIO(content), length=len(content))


@pytest.fixture(scope="module")
def encrypting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[tuple[str, str, str], Path]]:
    """A MinIO of our own, with a master key, which buckets need to encrypt by; credentials and its disk."""
    command = shutil.which("minio")
    if command is None:
        if os.environ.get("CI"):
            pytest.fail("CI must test server-side encryption, but there is no minio command")
        pytest.skip("needs the minio command, to start one with a master key")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    work, secret = tmp_path_factory.mktemp("minio"), uuid.uuid4().hex
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MINIO_")} | {
        "MINIO_ROOT_USER": "owner",
        "MINIO_ROOT_PASSWORD": secret,
        "MINIO_KMS_SECRET_KEY": "test:IyqsU3kMFloCNup4BsZtf/rmfHVcTgznO2F25CkEH1g=",
    }
    with (work / "log").open("wb") as log:
        process = subprocess.Popen(
            [command, "server", str(work / "disk"), "--address", address], env=environment, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                Minio(endpoint=address, access_key="owner", secret_key=secret, secure=False).list_buckets()
                break
            except Exception:
                assert process.poll() is None and time.monotonic() < deadline, (work / "log").read_text()  # noqa: PT018
                time.sleep(0.2)
        yield (address, "owner", secret), work / "disk"
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(params=["plain", "encrypted"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    endpoint, access_key, secret_key = (os.environ[name] for name in CREDENTIALS)
    credentials, disk = (endpoint, access_key, secret_key), None
    if request.param == "encrypted":
        credentials, disk = request.getfixturevalue("encrypting")
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in zip(CREDENTIALS, credentials, strict=True):
        monkeypatch.setenv(name, value)
    store = Store(
        S3(credentials[0], credentials[1], secret_key=credentials[2]).client,
        f"modelway-package-{uuid.uuid4().hex[:12]}",
        credentials,
        disk,
    )
    store.client.make_bucket(bucket_name=store.bucket)
    try:
        if disk is not None:
            (rule,) = json.loads(RULE.read_text(encoding="utf-8"))["Rules"]
            algorithm = rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]
            store.client.set_bucket_encryption(bucket_name=store.bucket, config=SSEConfig(Rule(algorithm)))
        yield store
    finally:
        objects = [DeleteObject(key) for key in store.names()]
        assert not list(store.client.remove_objects(bucket_name=store.bucket, delete_object_list=objects))
        store.client.remove_bucket(bucket_name=store.bucket)


@pytest.fixture
def run(base: Path, tmp_path: Path, store: Store, registered: Any) -> Callable[[str], Packaged]:
    def packaged(name: str) -> Packaged:
        to, bundle = str(tmp_path / f"image-{name}"), str(tmp_path / name)
        return package(registered.in_store(store.uri), base=str(base), target=to, bundle_path=bundle)

    return packaged


def digest(package_result: Packaged) -> str:
    return package_result.image.partition("@")[2]


def test_signature_and_record_are_kept_in_the_bucket(
    run: Callable[[str], Packaged], store: Store, registered: Any, tmp_path: Path, keys: Path
) -> None:
    first = run("one")
    (name,) = store.names(".sig")
    assert store.read(name) == (tmp_path / "one" / "release.sig").read_bytes()
    record = json.loads(store.read(f"store/packages/{registered.name}/{registered.version}.json"))
    assert (record["image"], record["model_hash"]) == (first.image, folder_sha256(registered.model))
    again = run("again")
    assert digest(again) == digest(first) != ""
    assert store.names(".sig") == [name]
    verify_bundle(tmp_path / "again", keys / "key.pub")


def test_a_bucket_that_encrypts_keeps_nothing_in_plain(
    run: Callable[[str], Packaged], store: Store, registered: Any
) -> None:
    run("one")
    metadata = [store.client.stat_object(bucket_name=store.bucket, object_name=name).metadata for name in store.names()]
    algorithms = [(entry or {}).get("x-amz-server-side-encryption") for entry in metadata]
    if store.disk is None:
        assert set(algorithms) == {None}
        return
    assert set(algorithms) == {"AES256"}
    disk_content = b"".join(path.read_bytes() for path in (store.disk / store.bucket).rglob("*") if path.is_file())
    assert len(disk_content) > 1000
    assert folder_sha256(registered.model).encode() not in disk_content  # as the record has it


def test_a_kept_signature_that_was_tampered_with_is_not_taken(
    run: Callable[[str], Packaged], store: Store, tmp_path: Path, keys: Path
) -> None:
    first = run("one")
    (name,) = store.names(".sig")
    document = json.loads(store.read(name))
    signature = document["dsseEnvelope"]["signatures"][0]["sig"]
    document["dsseEnvelope"]["signatures"][0]["sig"] = (
        signature[:20] + ("A" if signature[20] != "A" else "B") + signature[21:]
    )
    tampered = json.dumps(document).encode()
    store.write(name, tampered)
    again = run("again")
    assert store.read(name) == (tmp_path / "again" / "release.sig").read_bytes() != tampered
    assert digest(again) != digest(first)
    verify_bundle(tmp_path / "again", keys / "key.pub")
    (tmp_path / "one" / "release.sig").write_bytes(tampered)
    with pytest.raises(ModelwayError, match=r"release\.sig"):
        verify_bundle(tmp_path / "one", keys / "key.pub")


def test_a_kept_ciphertext_that_was_tampered_with_is_not_taken(
    run: Callable[[str], Packaged], store: Store, tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELWAY_ENCRYPTION_RECIPIENT", (keys / "recipient").read_text())
    monkeypatch.setenv("MODELWAY_ENCRYPTION_KEY", str(keys / "encryption"))
    first = run("one")
    assert digest(run("again")) == digest(first)
    (name,) = store.names(".age")
    ciphertext = store.read(name)
    store.write(name, ciphertext[:-1] + bytes([ciphertext[-1] ^ 1]))
    third = run("third")
    assert digest(third) != digest(first)
    assert digest(run("fourth")) == digest(third)
    verify_bundle(tmp_path / "third", keys / "key.pub", work=tmp_path / "memory")


def test_nothing_is_packaged_where_the_store_cannot_be_reached(
    run: Callable[[str], Packaged], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIO_ENDPOINT", "127.0.0.1:1")
    with pytest.raises(UnavailableError, match="cannot be reached"):
        run("one")
    assert not (tmp_path / "image-one").exists()
    assert store.names() == []
