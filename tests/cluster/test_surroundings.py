"""The store and the sources in a real MinIO, over plain HTTP and over TLS; a real MLflow server behind TLS."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
from minio import Minio
from minio.credentials import StaticProvider
from minio.minioadmin import MinioAdmin
from mlflow_server import mlflow_server
from private_tls import Authority, behind_tls, new_authority

from modelway.components.core.storage.mlflow import Tracking
from modelway.components.core.storage.s3 import S3
from modelway.components.core.surroundings.findings import Finding, Status
from modelway.components.core.surroundings.services import inspect_surroundings
from modelway.components.core.surroundings.storage import PROBE

pytestmark = pytest.mark.cluster

POLICY = Path(__file__).resolve().parents[2] / "manifests" / "base" / "storage" / "pipelines.json"
READ_ONLY = """{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"],
  "Resource": ["arn:aws:s3:::modelway", "arn:aws:s3:::modelway/*"]}]}"""
OBJECT_ONLY = """{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"],
  "Resource": ["arn:aws:s3:::modelway/data/*"]}]}"""


@dataclass(frozen=True)
class Bucket:
    """A bucket with versions and object lock, as the audit log has it, and the keys of those who use it.

    Attributes:
        name: The bucket.
        owner: A client that may do anything.
        keys: Access key and secret key by who has them.
    """

    name: str
    owner: Minio
    keys: Mapping[str, tuple[str, str]]

    def versions(self, key: str) -> int:
        return len(list(self.owner.list_objects(bucket_name=self.name, prefix=key, include_version=True)))


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    endpoint, access, secret = (os.environ[f"MINIO_{name}"] for name in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY"))
    name, folder = f"mw{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("policies")
    owner = S3(endpoint, access, secret_key=secret).client
    admin = MinioAdmin(endpoint=endpoint, credentials=StaticProvider(access, secret), secure=False)
    owner.make_bucket(bucket_name=name, object_lock=True)
    policies = {"pipelines": POLICY.read_text(encoding="utf-8"), "reader": READ_ONLY, "object": OBJECT_ONLY}
    keys = {user: (f"{name}-{user}", uuid.uuid4().hex) for user in policies}
    for key in ("data/claims.csv", "data/parts/1.csv"):
        owner.put_object(bucket_name=name, object_name=key, data=BytesIO(b"a\n1\n"), length=4)
    try:
        for user, text in policies.items():
            (folder / user).write_text(text.replace("s3:::modelway", f"s3:::{name}"), encoding="utf-8")
            admin.policy_add(keys[user][0], str(folder / user))
            admin.user_add(*keys[user])
            admin.attach_policy([keys[user][0]], user=keys[user][0])
        yield Bucket(name, owner, keys | {"owner": (access, secret)})
    finally:
        for user in policies:
            admin.user_remove(keys[user][0])
            admin.policy_remove(keys[user][0])
        for entry in owner.list_objects(bucket_name=name, recursive=True, include_version=True):
            owner.remove_object(bucket_name=name, object_name=str(entry.object_name), version_id=entry.version_id)
        owner.remove_bucket(bucket_name=name)


@pytest.fixture
def use(bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Makes the keys of somebody those of the environment."""
    endpoint = f"http://{os.environ['MINIO_ENDPOINT']}"
    for name in list(os.environ):
        if name.startswith(("AWS_", "MINIO_", "MLFLOW_", "MODELWAY_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")

    def change(user: str, secret: str | None = None) -> None:
        access_key, secret_key = bucket.keys.get(user, (user, "a secret"))
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret or secret_key)

    return change


def findings(store: str, *sources: str) -> list[Finding]:
    """What is wrong, the worst first."""
    return [finding for finding in inspect_surroundings(store=store, sources=sources) if finding.status.blocks]


@pytest.mark.parametrize("user", ["owner", "pipelines"])
def test_the_keys_that_a_run_has_suffice_and_the_probe_is_written_once(
    user: str, bucket: Bucket, use: Callable[..., None]
) -> None:
    use(user)
    store = f"s3://{bucket.name}/store/{user}"
    for _ in range(3):
        assert findings(store) == []
    assert bucket.versions(f"store/{user}/{PROBE}") == 1


def test_sources_that_are_there(bucket: Bucket, use: Callable[..., None]) -> None:
    use("reader")
    assert findings("", f"s3://{bucket.name}/data/claims.csv", f"s3://{bucket.name}/data/")[1:] == []


def test_a_source_is_read_without_being_listed(bucket: Bucket, use: Callable[..., None], tmp_path: Path) -> None:
    use("object")
    assert findings(str(tmp_path), f"s3://{bucket.name}/data/claims.csv") == []


@pytest.mark.parametrize(
    ("user", "store", "source", "subject", "status", "message"),
    [
        ("owner", "s3://mw-nowhere/store", "", "store", Status.MISSING, "there is no bucket 'mw-nowhere' at"),
        ("owner", "", "s3://mw-nowhere/data.csv", "source", Status.MISSING, "there is no bucket 'mw-nowhere' at"),
        ("owner", "", "s3://mw-nowhere/data/", "source", Status.MISSING, "there is no bucket 'mw-nowhere' at"),
        ("owner", "", "{bucket}/data/none.csv", "source", Status.MISSING, "there is no object {bucket}/data/none.csv"),
        ("owner", "", "{bucket}/none/", "source", Status.MISSING, "there is nothing below {bucket}/none/"),
        ("owner", "", "{bucket}/data/parts", "source", Status.MISSING, "there are objects below {bucket}/data/parts/"),
        ("reader", "{bucket}/store", "", "store", Status.REFUSED, "may not write objects below {bucket}/store"),
        ("object", "", "{bucket}/store/x.csv", "source", Status.REFUSED, "may not read {bucket}/store/x.csv"),
        ("nobody", "{bucket}/store", "{bucket}/data/claims.csv", "S3", Status.REFUSED, "InvalidAccessKeyId"),
        ("owner", "s3://No_Bucket/store", "", "store", Status.MISSING, "No_Bucket"),
    ],
)
def test_what_is_not_as_it_must_be(
    user: str,
    store: str,
    source: str,
    subject: str,
    status: Status,
    message: str,
    bucket: Bucket,
    use: Callable[..., None],
    tmp_path: Path,
) -> None:
    use(user)
    at = f"s3://{bucket.name}"
    sources = [source.format(bucket=at)] if source else []
    (finding,) = findings(store.format(bucket=at) or str(tmp_path), *sources)
    assert finding.subject == subject
    assert finding.status is status
    assert message.format(bucket=at) in finding.message
    assert finding.remedy


def test_a_wrong_secret_is_refused_once(bucket: Bucket, use: Callable[..., None]) -> None:
    use("owner", secret="another secret")
    (finding,) = findings(f"s3://{bucket.name}/store", f"s3://{bucket.name}/data/claims.csv")
    assert finding.status is Status.REFUSED
    assert "SignatureDoesNotMatch" in finding.message
    assert "another secret" not in finding.message + finding.remedy


def test_the_command_that_makes_the_bucket_is_named(use: Callable[..., None]) -> None:
    use("owner")
    (finding,) = findings("s3://mw-nowhere/store")
    assert "mc mb --with-lock --with-versioning s3/mw-nowhere" in finding.remedy
    assert f"mc alias set s3 {os.environ['AWS_ENDPOINT_URL']} " in finding.remedy


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return new_authority(tmp_path_factory.mktemp("certificates"))


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.2", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def tls_minio(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    command, folder, address = shutil.which("minio"), tmp_path_factory.mktemp("minio"), f"127.0.0.2:{free_port()}"
    if command is None:
        pytest.skip("there is no minio to start with a certificate")
    certificates, log = str(authority.server_certificate.parent), folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [command, "server", "--address", address, "--certs-dir", certificates, str(folder / "data")],
            env={**os.environ, "MINIO_ROOT_USER": "minio", "MINIO_ROOT_PASSWORD": "minio123", "MINIO_BROWSER": "off"},
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, log.read_text(encoding="utf-8")
            with suppress(OSError):
                socket.create_connection(("127.0.0.2", int(address.partition(":")[2])), timeout=1).close()
                break
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield f"https://{address}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_minio_behind_a_private_authority(
    tls_minio: str, authority: Authority, use: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    use("owner")
    monkeypatch.setenv("AWS_ENDPOINT_URL", tls_minio)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "minio")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "minio123")
    (finding,) = findings("s3://models/store")
    assert finding.status is Status.UNREACHABLE
    assert "is not trusted" in finding.message
    assert "MODELWAY_CA" in finding.remedy
    monkeypatch.setenv("MODELWAY_CA", str(authority.certificate))
    (finding,) = findings("s3://models/store")
    assert "there is no bucket 'models'" in finding.message
    S3.from_environment().client.make_bucket(bucket_name="models")
    assert findings("s3://models/store") == []
    monkeypatch.setenv("AWS_ENDPOINT_URL", tls_minio.replace("https", "http"))
    (finding,) = findings("s3://models/store")
    assert finding.status is Status.UNREACHABLE


def test_mlflow_behind_a_private_authority(
    authority: Authority, use: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use("owner")
    for name in ("MLFLOW_TRACKING_SERVER_CERT_PATH", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, "")  # so that what is set in between is undone
        monkeypatch.delenv(name)
    with mlflow_server(tmp_path, "--allowed-hosts", "127.0.0.2:*,127.0.0.1:*") as uri:
        port = int(uri.rpartition(":")[2])
        with behind_tls(port, authority) as host:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", f"https://{host}")
            (finding,) = findings(str(tmp_path))
            assert finding.subject == "MLflow"
            assert "is not trusted" in finding.message
            monkeypatch.setenv("MODELWAY_CA", str(authority.certificate))
            (answer,) = [
                entry for entry in inspect_surroundings(store=str(tmp_path), sources=[]) if entry.subject == "MLflow"
            ]
            assert answer.status is Status.OK
            assert "version 3." in answer.message
            tracking = Tracking(f"https://{host}")
            (tmp_path / "evidence").mkdir()
            (tmp_path / "evidence" / "report.html").write_text("<p>", encoding="utf-8")
            with tracking.run("claims", "release-1", tags={}) as run_id:
                tracking.log_evidence(
                    run_id, tmp_path / "evidence", path="evidence"
                )  # through the server, over TLS too
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://localhost:{port}")
        (finding,) = findings(str(tmp_path))
        assert "refuses requests for the host 'localhost'" in finding.message
        assert "--allowed-hosts localhost" in finding.remedy
