"""Whether an MLflow server answers, accepts who we are, and is new enough."""

from __future__ import annotations

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from service_answers import EMPTY, SEARCH, Answer, about, serving

from modelway.components.core.errors import UnavailableError
from modelway.components.core.surroundings.findings import Status
from modelway.components.core.surroundings.services import check_surroundings


def test_no_tracking_server_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    finding = about("MLflow", tmp_path)
    assert finding.status is Status.MISSING
    assert finding.message == "MLFLOW_TRACKING_URI is not set"


def test_a_local_database_is_not_made(tmp_path: Path) -> None:
    assert about("MLflow", tmp_path).status is Status.OK
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("uri", ["./mlruns", "mlflow:5000", "http://ada:a/b@mlflow:5000"])
def test_what_is_no_address_is_said(uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    finding = about("MLflow", tmp_path)
    assert finding.status is Status.MISSING
    assert "MLFLOW_TRACKING_URI is" in finding.message
    assert "ada" not in finding.message


@pytest.mark.parametrize(
    ("answers", "status", "message", "remedy"),
    [
        ({SEARCH: (401, "text/plain", "no")}, Status.REFUSED, "accept the credentials: 401", "expired"),
        ({SEARCH: (403, "text/plain", "no")}, Status.REFUSED, "refuses access: 403", "the right to edit"),
        (
            {SEARCH: (403, "text/plain", "Invalid Host header - possible DNS rebinding attack detected")},
            Status.REFUSED,
            "refuses requests for the host '127.0.0.1'",
            "--allowed-hosts 127.0.0.1",
        ),
        ({SEARCH: (200, "text/html", "<html>Log in")}, Status.UNREACHABLE, "is not MLflow: 200, text/html", "scheme"),
        ({}, Status.UNREACHABLE, "is not MLflow: 404", "path"),
        ({SEARCH: (503, "text/plain", "no")}, Status.UNREACHABLE, "answers 503", "log"),
        ({SEARCH: EMPTY, "/version": (200, "text/plain", "2.22.1")}, Status.MISSING, "is version 2.22.1", "3 or newer"),
        ({SEARCH: EMPTY, "/version": (200, "text/plain", "3.17.2")}, Status.OK, "answers, version 3.17.2", ""),
        ({SEARCH: EMPTY, "/version": (404, "text/html", "<p>")}, Status.OK, "answers", ""),
    ],
)
def test_what_the_server_answers(
    answers: dict[str, Answer],
    status: Status,
    message: str,
    remedy: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    with serving(answers) as host:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{host}")
        finding = about("MLflow", tmp_path)
    assert finding.status is status
    assert message in finding.message
    assert remedy in finding.remedy


@pytest.mark.parametrize(
    "variables",
    [
        {"MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_PASSWORD": "se/cret"},
        {"MLFLOW_TRACKING_URI": "http://ada:se%2Fcret@{host}"},
    ],
)
def test_credentials_are_used_and_never_shown(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with serving({SEARCH: (401, "text/plain", "no")}) as host:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{host}/")
        for name, value in variables.items():
            monkeypatch.setenv(name, value.format(host=host))
        finding = about("MLflow", tmp_path)
    assert finding.status is Status.OK
    assert finding.message == f"MLflow at {host} answers"


def test_a_server_that_is_down_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ada:secret@127.0.0.1:9")
    with pytest.raises(
        UnavailableError, match=r"MLflow at 127\.0\.0\.1:9 cannot be reached: connection refused"
    ) as error:
        check_surroundings(store=str(tmp_path), sources=[])
    assert "secret" not in str(error.value)


def test_a_server_that_is_just_starting_is_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Nothing."""

    def start() -> None:
        time.sleep(0.5)
        with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
            server.handle_request()
            server.handle_request()

    about("MLflow", tmp_path)  # imports are not a part of it
    thread = threading.Thread(target=start)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    import mlflow.utils.rest_utils  # noqa: F401

    thread.start()
    finding = about("MLflow", tmp_path)
    thread.join(timeout=20)
    assert finding.status is Status.OK
