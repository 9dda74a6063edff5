"""Servers whose certificate a private authority signed: not trusted without it, and trusted with it."""

from __future__ import annotations

import json
import os
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import certifi
import pytest
from private_tls import Authority, behind_tls, new_authority

from modelway.components.core.errors import CredentialsError, ModelwayError, UnavailableError
from modelway.components.core.oci.image import Descriptor
from modelway.components.core.oci.registry import Registry
from modelway.components.core.storage import certificates
from modelway.components.core.storage.certificates import bundle, private_authorities, tls_context
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.core.storage.s3 import S3


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return new_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("MODELWAY_CA", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("MLFLOW_TRACKING_SERVER_CERT_PATH", "MLFLOW_TRACKING_INSECURE_TLS"):
        monkeypatch.setenv(name, "")  # so that what is set in between is undone
        monkeypatch.delenv(name)
    monkeypatch.setattr(certificates, "MOUNTED", str(tmp_path / "services" / "ca"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


class Services(BaseHTTPRequestHandler):
    """Answers as MLflow does to a search, and as S3 does to a request for an object."""

    def do_GET(self) -> None:
        search = self.path.startswith("/api/2.0/mlflow")
        self.answer(b"{}" if search else b"an object", "application/json" if search else "text/plain")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(json.dumps({"experiments": []}).encode(), "application/json")

    def answer(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def plain_port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Services)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def read_object(host: str) -> bytes:
    return S3(f"https://{host}", "key", secret_key="secret", brief=True).read("s3://bucket/key")


def search_experiments(host: str) -> None:
    Tracking(f"https://{host}").prepare()


@pytest.mark.parametrize("ask", [read_object, search_experiments])
def test_a_private_authority_is_named_as_what_lacks_and_trusted_where_it_is_given(
    ask: Any, plain_port: int, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with behind_tls(plain_port, authority) as host:
        with pytest.raises(
            UnavailableError, match=r"certificate of \w+ at \S*127\.0\.0\.2:\d+ is not trusted"
        ) as error:
            ask(host)
        assert "MODELWAY_CA" in error.value.remedy
        assert "the key `ca` of the ConfigMap modelway" in error.value.remedy
        monkeypatch.setenv("MODELWAY_CA", str(authority.certificate))
        assert ask(host) in {b"an object", None}


def test_a_registry_with_a_private_authority(
    registry: Any, authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port = int(registry.host.rpartition(":")[2])
    blob = Descriptor.of(b"content", "any")
    with behind_tls(port, authority) as host:
        with pytest.raises(UnavailableError, match=r"certificate of the registry .* is not trusted") as error:
            Registry(host, "team/private").has(blob)
        assert "MODELWAY_CA" in error.value.remedy
        monkeypatch.setenv("MODELWAY_CA", str(authority.certificate))
        (tmp_path / "content").write_bytes(b"content")
        repository = Registry(host, "team/private")
        with (tmp_path / "content").open("rb") as content:
            repository.put(blob, content)
        assert repository.has(blob)


def test_the_mounted_authority_is_taken(plain_port: int, authority: Authority) -> None:
    mounted = Path(certificates.MOUNTED)
    mounted.parent.mkdir()
    mounted.write_bytes(authority.certificate.read_bytes())
    assert private_authorities() == mounted
    with behind_tls(plain_port, authority) as host:
        assert read_object(host) == b"an object"


@pytest.mark.parametrize(
    ("changes", "message", "remedy"),
    [
        ({"valid_days": -1}, "certificate has expired", "renew"),
        ({"address": "127.0.0.9"}, "IP address mismatch", "use the name that the certificate is for"),
    ],
)
def test_what_the_authority_is_not_to_blame_for(
    changes: dict[str, Any],
    message: str,
    remedy: str,
    plain_port: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    stranger = new_authority(tmp_path / "other", **changes)
    monkeypatch.setenv("MODELWAY_CA", str(stranger.certificate))
    with behind_tls(plain_port, stranger) as host, pytest.raises(UnavailableError, match=message) as error:
        read_object(host)
    assert remedy in error.value.remedy


def test_the_public_authorities_stay_trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bundle() is None
    assert tls_context() is None
    monkeypatch.setenv("MODELWAY_CA", str(authority.certificate))
    path = bundle()
    assert path is not None
    assert Path(path).stat().st_mode & 0o777 == 0o600
    content = Path(path).read_bytes()
    assert authority.certificate.read_bytes() in content
    assert Path(certifi.where()).read_bytes() in content
    assert bundle() == path


def test_what_the_user_trusts_already_stays_trusted(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stranger = new_authority(tmp_path / "other")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(stranger.certificate))
    monkeypatch.setenv("MODELWAY_CA", str(authority.certificate))
    certificates._combined.cache_clear()
    assert stranger.certificate.read_bytes() in Path(str(bundle())).read_bytes()


def test_another_authority_is_another_bundle(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(authority.certificate.read_bytes())
    monkeypatch.setenv("MODELWAY_CA", str(file))
    first = bundle()
    file.write_bytes(new_authority(tmp_path / "other").certificate.read_bytes())
    os.utime(file, (1, 1))
    assert bundle() != first


def test_a_bundle_that_somebody_else_may_have_written_is_not_used(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELWAY_CA", str(authority.certificate))
    certificates._combined.cache_clear()
    path = Path(str(bundle()))
    content = path.read_bytes()
    path.write_bytes(b"something else")
    certificates._combined.cache_clear()
    assert Path(str(bundle())).read_bytes() == content
    path.chmod(0o666)
    certificates._combined.cache_clear()
    assert Path(str(bundle())).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content",
    [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"],
    ids=["empty", "text", "cut"],
)
def test_what_is_no_certificate_is_said(content: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(content)
    monkeypatch.setenv("MODELWAY_CA", str(file))
    with pytest.raises(CredentialsError, match="certificates cannot be read") as error:
        S3("https://127.0.0.1:9", "key", secret_key="secret")
    assert error.value.file == str(file)
    assert error.value.key == "MODELWAY_CA"
    assert "PEM" in error.value.remedy


def test_a_file_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MODELWAY_CA", str(tmp_path / "none.pem"))
    with pytest.raises(ModelwayError, match="the file that MODELWAY_CA names does not exist") as error:
        Tracking("https://127.0.0.1:9")
    assert error.value.file == str(tmp_path / "none.pem")


def test_mlflows_own_variables_come_first(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MODELWAY_CA", str(authority.certificate))
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(tmp_path / "own.pem"))
    certificates.trust_for_mlflow()
    assert os.environ["MLFLOW_TRACKING_SERVER_CERT_PATH"] == str(tmp_path / "own.pem")


def test_another_error_is_not_one_of_trust() -> None:
    assert certificates.distrust(ConnectionRefusedError("no"), "S3") is None
    assert certificates.distrust(ssl.SSLError("wrong version"), "S3") is None
