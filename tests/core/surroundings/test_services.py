"""What a run needs is asked before it starts: MLflow, the store and the sources; each answer names the remedy."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from modelway.components.core import instructions
from modelway.components.core.errors import CredentialsError, ModelwayError, UnavailableError
from modelway.components.core.surroundings.__main__ import main
from modelway.components.core.surroundings.findings import Finding, Status
from modelway.components.core.surroundings.services import check_surroundings, inspect_surroundings

Answer = tuple[int, str, str]  # status, content type, content
Serve = Callable[[dict[str, Answer]], AbstractContextManager[str]]

SEARCH = "/api/2.0/mlflow/experiments/search"
EMPTY: Answer = (200, "application/json", "{}")
OURS = ("AWS_", "MINIO_", "MLFLOW_", "MODELWAY_", "KUBERNETES_SERVICE_HOST")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(OURS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setenv("HOME", str(tmp_path))  # no credentials of MLflow's in a file
    monkeypatch.setattr(instructions, "CONFIG_MAP_FOLDER", str(tmp_path / "services"))


@contextmanager
def serving(answers: dict[str, Answer]) -> Iterator[str]:
    """A server on this machine that gives an answer by path; ada with the password `se/cret` is let in."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            requests.append(path)
            status, kind, content = answers.get(path, (404, "text/plain", "nothing"))
            welcome = f"Basic {base64.b64encode(b'ada:se/cret').decode()}"
            if status == 401 and self.headers.get("Authorization") == welcome:
                status, kind, content = EMPTY
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content.encode())))
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert requests


@pytest.fixture
def silent() -> Iterator[str]:
    """A socket that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def about(subject: str, store: str | Path, *sources: str | Path) -> Finding:
    """The one finding about a subject."""
    (finding,) = [
        finding
        for finding in inspect_surroundings(store=str(store), sources=[str(source) for source in sources])
        if finding.subject == subject
    ]
    return finding


# ---- all is there


def test_nothing_is_said_and_nothing_left_behind_where_all_is_there(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a\n1\n", encoding="utf-8")
    check_surroundings(store=str(tmp_path / "store" / "deep"), sources=[str(tmp_path / "data.csv")])
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


def test_folders_are_asked_in_no_time(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a\n1\n", encoding="utf-8")
    start = time.monotonic()
    check_surroundings(store=str(tmp_path), sources=[str(tmp_path / "data.csv")])
    assert time.monotonic() - start < 1


# ---- stores and sources in folders


def test_a_file_stands_where_the_store_would_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    finding = about("store", tmp_path / "file" / "store")
    assert finding.status is Status.MISSING
    assert finding.message.endswith(f"{tmp_path / 'file'} is a file")


def test_a_store_that_nobody_may_write_to() -> None:
    finding = about("store", "/proc/modelway")
    assert finding.status is Status.REFUSED
    assert "/proc/modelway cannot be written to" in finding.message


def test_no_store_is_named() -> None:
    assert about("store", "").message == "no store is named"


def test_sources_that_are_not_there_are_all_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "part.csv").write_text("a\n", encoding="utf-8")
    with pytest.raises(ModelwayError) as failure:
        check_surroundings(
            store=str(tmp_path), sources=[str(tmp_path / name) for name in ("none.csv", "empty", "full")]
        )
    error = failure.value
    assert f"there is no {tmp_path / 'none.csv'} here" in error.message
    assert f"the folder {tmp_path / 'empty'} holds no files" in error.message
    assert "full" not in error.message
    assert error.key == "data.source"


# ---- MLflow


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
        ({SEARCH: (401, "text/plain", "no")}, Status.REFUSED, "refuses access: 401", "MLFLOW_TRACKING_USERNAME"),
        ({SEARCH: (403, "text/plain", "no")}, Status.REFUSED, "refuses access: 403", "MLFLOW_TRACKING_USERNAME"),
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


def test_what_never_answers_ends_within_ten_seconds(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow.utils.rest_utils  # noqa: F401

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{silent}")
    for name, value in {"ENDPOINT_URL": silent, "ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    start = time.monotonic()
    findings = inspect_surroundings(store="s3://bucket/store", sources=["s3://bucket/data.csv"])
    assert time.monotonic() - start < 10
    assert {(finding.subject, finding.status) for finding in findings} == {
        ("MLflow", Status.UNREACHABLE),
        ("S3", Status.UNREACHABLE),
    }
    assert len(findings) == 2


# ---- S3, as far as it can be asked without one


def test_without_s3_keys_both_are_named_and_nobody_is_asked() -> None:
    finding = about("S3 credentials", "s3://bucket/store", "s3://bucket/data.csv")
    assert finding.status is Status.MISSING
    assert "AWS_ACCESS_KEY_ID" in finding.remedy


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ("http://ho_st:port", "is no address"),
        ("http://{server}", "does not speak S3"),
        ("https://{server}", "it does not speak TLS"),
    ],
)
def test_an_endpoint_that_is_no_s3(endpoint: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving({"/bucket": (200, "text/html", "<html>"), SEARCH: EMPTY}) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{server}")
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.format(server=server))
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        finding = about("S3", "", "s3://bucket/data/")
    assert finding.status is Status.UNREACHABLE
    assert message in finding.message


def test_a_wrong_region_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'us-east-1' is wrong</Message>"
        "<Resource>/</Resource><RequestId>1</RequestId><HostId>1</HostId></Error>"
    )
    with serving({"/bucket": (400, "application/xml", text)}) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{server}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        finding = about("S3", "", "s3://bucket/data/")
    assert "the region 'us-east-1' is wrong" in finding.message
    assert "AWS_REGION" in finding.remedy


# ---- in a pod


@pytest.fixture
def pod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Inside a pod of the namespace `team-a`, whose ConfigMap is mounted in the folder that this gives."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (tmp_path / "namespace").write_text("team-a", encoding="utf-8")
    monkeypatch.setattr(instructions, "_NAMESPACE_FILE", str(tmp_path / "namespace"))
    (tmp_path / "services").mkdir()
    return tmp_path / "services"


@pytest.mark.usefixtures("pod")
def test_a_pod_without_config_map_and_secret_names_both_with_their_commands() -> None:
    with pytest.raises(ModelwayError) as failure:
        check_surroundings(store="s3://models/claims", sources=["s3://data/claims.csv"])
    error = failure.value
    assert "no S3 endpoint is set (Amazon's own would be https://s3.REGION.amazonaws.com)" in error.message
    assert "the ConfigMap modelway in the namespace team-a is missing" in error.message
    assert "MLFLOW_TRACKING_URI is not set" in error.message
    assert "the Secret mlpipeline-minio-artifact in the namespace team-a" in error.message
    assert "kubectl -n team-a create configmap modelway --from-literal=s3-endpoint=" in error.remedy
    assert "--from-literal=mlflow-tracking-uri=" in error.remedy
    assert "kubectl -n team-a create secret generic mlpipeline-minio-artifact --from-literal=accesskey=" in error.remedy
    assert error.remedy.count("create configmap") == 1  # once, with both keys, for the two that lack


def test_a_config_map_without_a_key_is_given_the_key(pod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (pod / "mlflow-tracking-uri").write_text("http://mlflow:5000", encoding="utf-8")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    finding = about("S3 endpoint", "s3://models/claims")
    assert "has no key s3-endpoint" in finding.message
    command = "kubectl -n team-a patch configmap modelway --type merge -p '"
    assert finding.remedy.startswith(command)
    change = json.loads(finding.remedy.removeprefix(command).removesuffix("'"))
    assert list(change["data"]) == ["s3-endpoint"]


@pytest.mark.usefixtures("pod")
def test_a_folder_of_a_pod_is_no_store() -> None:
    finding = about("store", "/modelway/store")
    assert finding.status is Status.MISSING
    assert "s3://" in finding.remedy


@pytest.mark.usefixtures("pod")
def test_a_file_on_somebodys_laptop_is_no_source() -> None:
    finding = about("source", "", "/home/ada/claims.csv")
    assert finding.message == "there is no /home/ada/claims.csv in this pod"
    assert "s3://" in finding.remedy


# ---- the command in a pod


def test_the_command_prints_json_and_says_by_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--store", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    assert main(["--store", str(tmp_path), "--source", str(tmp_path / "none.csv")]) == 2
    assert capsys.readouterr().out.startswith("missing         source  there is no ")


def test_the_command_needs_nothing_that_the_image_lacks(tmp_path: Path) -> None:
    pruned = ["typer", "rich", "sqlalchemy", "alembic", "kfp_server_api", "tabulate"]
    code = (
        f"import runpy, sys\nfor name in {pruned!r}: sys.modules[name] = None\n"
        f"sys.argv[1:] = ['--store', {str(tmp_path)!r}]\n"
        "runpy.run_module('modelway.components.core.surroundings', run_name='__main__')"
    )
    with serving({SEARCH: EMPTY}) as host:
        env: dict[str, Any] = {**os.environ, "MLFLOW_TRACKING_URI": f"http://{host}"}
        command = [sys.executable, "-c", code]
        process = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert process.returncode == 0, process.stderr
    assert "MLflow at" in process.stdout


def test_refused_keys_are_a_credentials_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with serving({SEARCH: (401, "text/plain", "no")}) as host:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{host}")
        with pytest.raises(CredentialsError):
            check_surroundings(store=str(tmp_path), sources=[])
