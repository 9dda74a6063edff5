"""A real registry, and what is said where there is none or it refuses."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.errors import CredentialsError, NotFoundError, UnavailableError
from modelway.components.core.oci.image import Descriptor
from modelway.components.core.oci.registry import Registry


def test_a_blob_is_stored_and_read_back(registry: Any) -> None:
    repository, blob = Registry(registry.host, "team/blobs"), Descriptor.of(b"content" * 1000, "any")
    assert not repository.has(blob)
    repository.put(blob, io.BytesIO(b"content" * 1000))
    assert repository.has(blob)
    with repository.blob(blob.digest) as file:
        assert file.read() == b"content" * 1000


def test_a_blob_is_taken_over_from_another_repository_of_the_same_registry(registry: Any) -> None:
    blob = Descriptor.of(b"shared", "any")
    Registry(registry.host, "team/first").put(blob, io.BytesIO(b"shared"))
    second = Registry(registry.host, "team/second")
    assert second.mount(blob, Registry("registry.example", "team/first")) is False
    if second.mount(blob, Registry(registry.host, "team/first")):
        assert second.has(blob)


def test_what_is_not_there_is_named(registry: Any) -> None:
    with pytest.raises(NotFoundError, match="has no manifests/1"):
        Registry(registry.host, "team/nothing").manifest("1")


def test_a_registry_that_cannot_be_reached_is_named_at_once() -> None:
    with pytest.raises(UnavailableError, match=r"the registry 127\.0\.0\.1:9 cannot be reached"):
        Registry("127.0.0.1:9", "team/loans").manifest("1")


class Guarded(BaseHTTPRequestHandler):
    """Refuses whoever does not bring the right password, as registries with basic authentication do."""

    def do_GET(self) -> None:
        expected = f"Basic {base64.b64encode(b'ada:secret').decode()}"
        if self.headers.get("Authorization") == expected:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="registry"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def guarded(request: pytest.FixtureRequest) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), getattr(request, "param", Guarded))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("password", ["secret", "wrong", None])
def test_the_credentials_are_those_of_dockers_configuration(
    guarded: str, password: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = {"auth": base64.b64encode(f"ada:{password}".encode()).decode()}
    (tmp_path / "config.json").write_text(json.dumps({"auths": {guarded: auth} if password else {}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    repository = Registry(guarded, "team/loans")
    if password == "secret":
        assert repository.manifest("1") == b"{}"
        return
    who = "the credentials of ada" if password else "a caller without credentials"
    with pytest.raises(CredentialsError, match=f"does not accept {who} for team/loans") as error:
        repository.manifest("1")
    assert "DOCKER_CONFIG" in error.value.remedy
    assert "the right" not in error.value.remedy


class Tokens(BaseHTTPRequestHandler):
    """Asks for a token of the scope that a request needs, as registries in the cloud do."""

    def do_GET(self) -> None:
        if self.path.startswith("/token"):
            self.answer(200, json.dumps({"token": self.path.partition("scope=")[2]}).encode())
        else:
            self.guard("pull")

    def do_HEAD(self) -> None:
        self.guard("pull")

    def do_POST(self) -> None:
        self.guard("push")

    def guard(self, scope: str) -> None:
        if self.headers.get("Authorization") == f"Bearer {scope}":
            self.answer(404 if scope == "pull" else 201, b"")
            return
        realm = f"http://{self.headers['Host']}/token"
        self.answer(401, b"", f'Bearer realm="{realm}",service="registry",scope="{scope}"')

    def answer(self, status: int, content: bytes, challenge: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing."""


class WithoutRight(Tokens):
    """Knows the account, and gives it tokens that are not enough for uploads; a repository is hidden altogether."""

    def guard(self, scope: str) -> None:
        if "hidden" in self.path:
            self.answer(403, b"")
            return
        realm = f"http://{self.headers['Host']}/token"
        error = ',error="insufficient_scope"' if self.headers.get("Authorization") else ""
        self.answer(401, b"", f'Bearer realm="{realm}",service="registry",scope="{scope}"{error}')


@pytest.mark.parametrize("guarded", [WithoutRight], indirect=True)
@pytest.mark.parametrize("repository", ["team/loans", "team/hidden"])
def test_an_account_without_the_right_is_named_and_not_told_to_log_in(
    guarded: str, repository: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = {"auth": base64.b64encode(b"ada:secret").decode()}
    (tmp_path / "config.json").write_text(json.dumps({"auths": {guarded: auth}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(CredentialsError, match=f"refuses ada access to {repository}") as error:
        Registry(guarded, repository).check_writable()
    assert f"give ada the right to pull from and push to {repository}" in error.value.remedy
    assert "docker login" not in error.value.remedy
    assert "secret" not in str(error.value)


class OneUse(Tokens):
    """Asks for a new token with each request, and keeps what is uploaded with the right one."""

    uploads: list[bytes]

    def do_POST(self) -> None:
        self.send_response(202)
        self.send_header("Location", "/upload")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Authorization"):
            type(self).uploads = [content]
        self.guard("push")


@pytest.mark.parametrize("guarded", [OneUse], indirect=True)
def test_an_upload_that_a_token_is_asked_for_is_sent_whole_again(guarded: str) -> None:
    Registry(guarded, "team/loans").put(Descriptor.of(b"content", "any"), io.BytesIO(b"content"))
    assert OneUse.uploads == [b"content"]


class Garbled(Tokens):
    """Gives tokens that are none."""

    def do_GET(self) -> None:
        if self.path.startswith("/token"):
            self.answer(200, b"<html>")
        else:
            self.guard("pull")


@pytest.mark.parametrize("guarded", [Garbled], indirect=True)
def test_a_token_service_that_answers_otherwise_is_unavailable(guarded: str) -> None:
    with pytest.raises(UnavailableError, match="cannot be reached"):
        Registry(guarded, "team/loans").manifest("1")


@pytest.mark.parametrize("guarded", [Tokens], indirect=True)
def test_a_token_for_reading_is_changed_for_one_for_writing(guarded: str) -> None:
    repository, blob = Registry(guarded, "team/loans"), Descriptor.of(b"", "any")
    assert not repository.has(blob)
    assert repository.mount(blob, Registry(guarded, "team/other"))
    assert not repository.has(blob)
