"""Against who reads what runs and commands leave behind: terminals, logs, records, pages, MLflow, pipelines, caches.

Whoever runs them has unwisely put a secret of its own into every address and variable that Modelway can be given.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from mlflow_server import mlflow_server
from office import Office
from small_projects import edit_yaml, write_small_project

PLANTED = "planted"  # in every secret; each has an ending of its own
TRAINING = """\
import logging
import os
import sys

from sklearn.tree import DecisionTreeClassifier

print("training against", os.environ["MLFLOW_TRACKING_URI"])


def fit(features, label, **parameters):
    logging.getLogger("own").warning("from %s", os.environ["HTTPS_PROXY"])
    sys.stderr.write("and " + os.environ["MODELWAY_PROMETHEUS"] + chr(10))
    return DecisionTreeClassifier(**parameters).fit(features, label)
"""
OWN_FILES = {"signing.pem", "encryption.key", "config"}  # where the secrets are by right; the last is git's


def planted(name: str) -> str:
    return f"{PLANTED}-{name}"


def environment(folder: Path, mlflow: str) -> dict[str, str]:
    """Every variable that Modelway, or a library of it, reads, and some tokens that CI systems set."""
    return {
        "MLFLOW_TRACKING_URI": mlflow,
        "MLFLOW_TRACKING_TOKEN": planted("mlflow-token"),
        "AWS_ENDPOINT_URL": f"http://key:{planted('endpoint')}@127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": planted("access"),
        "AWS_SECRET_ACCESS_KEY": planted("secret/key"),
        "HTTP_PROXY": f"http://ada:{planted('proxy')}@127.0.0.1:9",
        "HTTPS_PROXY": f"http://ada:{planted('tls-proxy')}@127.0.0.1:9",
        "NO_PROXY": "127.0.0.1,localhost",
        "MODELWAY_PROMETHEUS": f"http://ada:{planted('prometheus')}@prometheus:9090?access_token={planted('query')}",
        "UV_INDEX_URL": f"https://ada:{planted('index')}@packages.example/simple",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": planted("oidc"),
        "GITHUB_TOKEN": planted("github"),
        "MODELWAY_USER": "ada@example.org",
        "MODELWAY_SIGNING_KEY": str(folder / "keys" / "signing.pem"),
        "MODELWAY_ENCRYPTION_KEY": str(folder / "keys" / "encryption.key"),
    }


def private_lines(keys: Path) -> list[str]:
    """What must not be seen of the private keys."""
    pem = (keys / "signing.pem").read_text().splitlines()[1]
    age = next(line for line in (keys / "encryption.key").read_text().splitlines() if line.startswith("AGE-SECRET"))
    return [pem, age]


def leaks(contents: Mapping[str, bytes], secrets: Iterable[str] = ()) -> list[str]:
    """Where a secret is, as it is or in one of the usual encodings."""
    forms = {PLANTED.encode(), PLANTED.upper().encode(), PLANTED.encode().hex().encode()}
    forms |= {base64.b64encode(b"x" * shift + PLANTED.encode())[4 if shift else 0 : -4] for shift in range(3)}
    for secret in secrets:
        forms |= {secret.encode(), quote(secret, safe="").encode()}
    return [name for name, content in contents.items() if any(form in content for form in forms)]


def contents_below(folder: Path) -> dict[str, bytes]:
    """All files below a folder but those that hold the secrets by right, and what is in archives."""
    contents = {}
    for file in folder.rglob("*"):
        contents[f"name of {file}"] = str(file.relative_to(folder)).encode()
        if not file.is_file() or file.name in OWN_FILES:
            continue
        contents[str(file)] = file.read_bytes()
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                contents |= {f"{file}:{name}": archive.read(name) for name in archive.namelist()}
        elif file.suffix in {".tar", ".gz", ".tgz"}:
            with tarfile.open(file) as tar:
                members = [member for member in tar.getmembers() if member.isfile()]
                contents |= {f"{file}:{member.name}": tar.extractfile(member).read() for member in members}  # type: ignore[union-attr]
    return contents


def test_a_leak_would_be_seen(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f"at http://ada:{planted('log')}@host")
    with zipfile.ZipFile(tmp_path / "model.skops", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("state", f"{'x' * 999}{planted('state')}")
    (tmp_path / "header").write_bytes(base64.b64encode(f"ada:{planted('header')}".encode()))
    (tmp_path / "signing.pem").write_text(planted("key"))
    seen = {Path(name.partition(":")[0]).name for name in leaks(contents_below(tmp_path))}
    assert seen == {"log", "model.skops", "header"}


@pytest.mark.runs
def test_a_release_and_what_is_asked_about_it_leave_no_secret(tmp_path: Path) -> None:
    """A whole run against a real MLflow server, and each command on it, those that fail too."""
    folder = write_small_project(tmp_path)
    (folder / "own_training.py").write_text(TRAINING)
    edit_yaml(folder / "project.yaml", {"model.estimator": None, "model.entrypoint": "own_training:fit"})
    for arguments in (
        ("init", "-q"),
        ("remote", "add", "origin", f"https://x-access-token:{planted('git')}@git.example/o/r.git"),
        ("add", "project.yaml"),
        ("-c", "user.name=ada", "-c", "user.email=ada@example.org", "commit", "-qm", "A project"),
    ):
        subprocess.run(["git", "-C", str(folder), *arguments], check=True)
    temporary, server, other = (tmp_path / name for name in ("temporary", "server", "other"))
    for path in (temporary, server, other):
        path.mkdir()
    compiled = write_small_project(other)
    output: dict[str, bytes] = {}
    with mlflow_server(server) as address:
        uri = address.replace("http://", f"http://ada:{planted('mlflow')}@")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("MODELWAY_", "MLFLOW_"))}
        variables = clean | environment(folder, uri) | {"TMPDIR": str(temporary)}

        def run(*arguments: str, code: int) -> None:
            command = [sys.executable, "-m", "modelway.pipelines.cli", "run", "--debug", *arguments]
            result = subprocess.run(command, cwd=folder, env=variables, capture_output=True, timeout=240, check=False)
            output[f"run {arguments}"] = result.stdout + result.stderr
            assert result.returncode == code, (result.stdout.decode(), result.stderr.decode())

        def modelway(*arguments: str, code: int) -> None:
            result = Office(folder)(*arguments, **environment(folder, uri))
            output[" ".join(arguments)] = (result.stdout + result.stderr).encode()
            assert result.returncode == code, (arguments, result.stdout, result.stderr)

        reason = f"asked by http://ada:{planted('reason')}@ci.example/job?token={planted('job')}"
        modelway("keys", code=0)
        run("--reason", reason, "--data-version", f"https://ada:{planted('label')}@dvc.example/claims", code=0)
        modelway("doctor", "--json", code=0)
        modelway("explain", code=0)
        modelway("runs", code=0)
        modelway("approve", "1", "--to", "staging", "--reason", reason, "--by", "bob@example.org", code=0)
        modelway("history", "--json", code=0)
        modelway("audit", "log", "--json", code=0)
        modelway("manifests", code=2)
        modelway("promote", "1", "--to", "staging", "--check", code=1)
        modelway("package", "1", "--base", f"ada:{planted('base')}@r.example/a/b:1", "--target", "./image", code=2)
        modelway("compile", str(compiled), "--output", str(tmp_path / "dist"), code=0)
    run("--reason", "again, though MLflow is gone", code=2)
    modelway("history", "--debug", code=2)
    assert b"training against http://***@127.0.0.1" in b"".join(output.values())
    logs = b"".join(file.read_bytes() for file in (folder / ".modelway" / "logs").rglob("*.log"))
    assert logs.count(b"http://***@") >= 3
    contents = contents_below(tmp_path) | output
    assert any(name.endswith("server.db") for name in contents)
    assert any(name.endswith("-release.yaml") for name in contents)
    assert any("card.html" in name for name in contents)
    assert leaks(contents, private_lines(folder / "keys")) == []


class Spiteful(BaseHTTPRequestHandler):
    """Says no, and repeats what it was asked with, and more."""

    status = 401

    def do_GET(self) -> None:
        if not self.status:
            self.close_connection = True
            return
        host, secret = self.headers["Host"], planted("echo")
        request = (
            f"http://ada:{secret}@{host}{self.path}?X-Amz-Signature={secret} and postgresql://mlflow:{secret}@db/runs"
        )
        content = f'{{"error_code": "BAD_REQUEST", "message": "not {request}"}}'.encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(params=[401, 400, 0], ids=["refuses", "quotes", "hangs up"])
def spiteful(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server with a password in its address that answers no request."""
    handler = type("Handler", (Spiteful,), {"status": request.param})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://ada:{planted('server')}@127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "command",
    [
        ("doctor",),
        ("doctor", "--json"),
        ("history",),
        ("approve", "1", "--to", "staging", "--reason", "r", "--debug"),
        ("promote", "1", "--to", "staging", "--check", "--json"),
        ("package", "1", "--base", "{host}/a/b@sha256:" + "0" * 64, "--target", "{host}/a/b:1", "--debug"),
        ("doctor", "--base", "{host}/a/b@sha256:" + "0" * 64, "--store", "s3://bucket/prefix"),
        ("runs", "--store", "s3://bucket/prefix", "--debug"),
    ],
    ids=lambda command: " ".join(part for part in command if "{" not in part),
)
def test_a_service_that_fails_is_named_without_its_password(
    command: tuple[str, ...], spiteful: str, tmp_path: Path
) -> None:
    folder = write_small_project(tmp_path)
    office = Office(folder)
    assert office("keys").returncode == 0
    variables = environment(folder, spiteful) | {"AWS_ENDPOINT_URL": spiteful, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    host = spiteful.rpartition("@")[2]
    result = office(*(part.format(host=host) for part in command), by="ada@example.org", **variables)
    assert result.returncode == 2, result.stdout + result.stderr
    output = {"stdout": result.stdout.encode(), "stderr": result.stderr.encode()}
    assert host.encode() in output["stdout"] + output["stderr"]
    assert leaks(contents_below(tmp_path) | output, private_lines(folder / "keys")) == []


SECRET = planted("address")
SIGNED = f"s3://bucket/claims.csv?X-Amz-Signature={SECRET}"
WITH_KEYS = f"s3://AKIA:{SECRET}@bucket/claims.csv"
WEB = f"https://ada:{SECRET}@host/claims.csv"
REFUSED = {
    SIGNED: "neither ? nor #",
    WITH_KEYS: "has no keys in it",
    WEB: "https:// addresses are not read",
}


@pytest.mark.parametrize("address", REFUSED, ids=["signed", "keys", "web"])
@pytest.mark.parametrize(
    "command",
    [
        ("run", "--data", "{address}"),
        ("run", "--store", "{address}"),
        ("doctor", "--store", "{address}", "--json"),
        ("runs", "--store", "{address}"),
        ("explain", "--store", "{address}"),
        ("compile", "--store", "{address}"),
        ("resolve", "--store", "{address}"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_location_with_a_secret_is_refused_before_it_is_kept(
    command: tuple[str, ...], address: str, tmp_path: Path
) -> None:
    folder = write_small_project(tmp_path)
    variables = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "key")
    result = Office(folder)(*(part.format(address=address) for part in command), **variables)
    assert result.returncode == 2, result.stdout + result.stderr
    assert REFUSED[address] in result.stdout + result.stderr
    assert "AWS_SECRET_ACCESS_KEY" in result.stdout + result.stderr
    output = {"stdout": result.stdout.encode(), "stderr": result.stderr.encode()}
    assert leaks(contents_below(tmp_path) | output) == []


@pytest.mark.parametrize("key", ["data.source", "data.serving"])
@pytest.mark.parametrize("address", REFUSED, ids=["signed", "keys", "web"])
def test_a_project_file_with_a_secret_in_an_address_is_refused(key: str, address: str, tmp_path: Path) -> None:
    folder = write_small_project(tmp_path)
    edit_yaml(folder / "project.yaml", {key: address})
    result = Office(folder)("compile", "--debug")
    assert result.returncode == 2
    assert f"{key}: " in result.stderr
    assert REFUSED[address] in result.stderr
    (folder / "project.yaml").unlink()
    output = {"stdout": result.stdout.encode(), "stderr": result.stderr.encode()}
    assert leaks(contents_below(tmp_path) | output) == []


@pytest.mark.parametrize(
    "value",
    [
        f"postgresql://ada:{SECRET}@db/features",
        ["a", f"https://host/x?sig={SECRET}"],
        {"url": f"https://{SECRET}@host"},
    ],
)
def test_a_parameter_of_the_training_with_a_secret_in_an_address_is_refused(value: object, tmp_path: Path) -> None:
    folder = write_small_project(tmp_path)
    edit_yaml(folder / "project.yaml", {"model.parameters": {"max_depth": 3, "database": value}})
    result = Office(folder)("compile")
    assert result.returncode == 2
    assert "'database' has an address with a password or a token in it" in result.stderr
    assert SECRET not in result.stdout + result.stderr
