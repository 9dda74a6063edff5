"""The same road with services in place of folders: a real MinIO for data and records, a real MLflow server."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
import yaml
from mlflow_server import SERVER_SETTINGS
from small_projects import FEW_REQUESTS

from modelway.components.core.errors import CredentialsError, NotFoundError, UnavailableError
from modelway.components.core.evidence.runs import DECISION, OUTCOME, Outcome, State, recorded_runs
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.core.storage.s3 import S3
from modelway.components.core.storage.uri import content_version, fetch, read_uri, write_uri

if TYPE_CHECKING:
    from minio import Minio

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("minio_alone")]

OURS = ("MODELWAY_", "MLFLOW_", "AWS_", "MINIO_")
CREDENTIALS = ("MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY")


@dataclass(frozen=True)
class Bucket:
    """A bucket of this module's own."""

    client: Minio
    name: str

    def uri(self, key: str) -> str:
        return f"s3://{self.name}/{key}"

    def put(self, key: str, content: bytes) -> str:
        self.client.put_object(bucket_name=self.name, object_name=key, data=BytesIO(content), length=len(content))
        return self.uri(key)

    def listing(self, prefix: str = "") -> list[str]:
        record = self.client.list_objects(bucket_name=self.name, prefix=prefix, recursive=True)
        return sorted(str(item.object_name) for item in record)


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    endpoint, access_key, secret_key = (os.environ[name] for name in CREDENTIALS)
    made = Bucket(S3(endpoint, access_key, secret_key=secret_key).client, f"modelway-test-{uuid.uuid4().hex[:12]}")
    made.client.make_bucket(bucket_name=made.name)
    yield made
    for key in made.listing():
        made.client.remove_object(bucket_name=made.name, object_name=key)
    made.client.remove_bucket(bucket_name=made.name)


@dataclass
class Server:
    """An MLflow server on this machine that can be stopped and started again."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--backend-store-uri", f"sqlite:///{self.folder / 'server.db'}", "--workers", "1"),
            *("--artifacts-destination", str(self.folder / "artifacts")),
        ]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        with (self.folder / "server.log").open("ab") as log:
            env = {**clean, **SERVER_SETTINGS}
            self.process = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            assert self.process.poll() is None, (self.folder / "server.log").read_text(encoding="utf-8")[-2000:]
            with suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:  # noqa: S310
                if answer.status == 200:
                    return
            time.sleep(0.2)
        pytest.fail("the MLflow server did not come up")

    def stop(self) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, 9)
            self.process.wait(timeout=20)
            self.process = None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = Server(tmp_path_factory.mktemp("mlflow"), port)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def services(bucket: Bucket, server: Server) -> dict[str, str]:
    """All that a run is told of them: environment variables."""
    return {
        **{name: os.environ[name] for name in CREDENTIALS},
        "MLFLOW_TRACKING_URI": server.uri,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MODELWAY_STORE": bucket.uri("store"),
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def _modelway(*arguments: str | Path, cwd: Path, env: dict[str, str]) -> tuple[int, dict[str, Any]]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    ran = subprocess.run(
        [sys.executable, "-m", "modelway.pipelines.cli", *map(str, arguments), "--json"],
        cwd=cwd,
        env={**clean, **env},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert "Traceback" not in ran.stdout + ran.stderr
    return ran.returncode, json.loads(ran.stdout)


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    rng = np.random.default_rng(11)
    rooms, year = rng.integers(1, 9, 500), rng.integers(1950, 2020, 500)
    dear = (rooms + (year - 1985) / 12 + rng.normal(0, 1.5, 500) > 4.5).astype(int)
    return pl.DataFrame({"flat": range(500), "rooms": rooms, "year": year, "dear": dear})


@pytest.fixture(scope="module")
def as_file(bucket: Bucket, table: pl.DataFrame) -> str:
    return bucket.put("data/flats.csv", table.write_csv().encode())


@pytest.fixture(scope="module")
def as_prefix(bucket: Bucket, table: pl.DataFrame) -> str:
    bucket.put("parts/2025/a.csv", table[:200].write_csv().encode())
    bucket.put("parts/2026/b.csv", table[200:].write_csv().encode())
    return bucket.uri("parts/")


def _project(folder: Path, source: str, **changes: Any) -> Path:
    project = {
        "name": "flats",
        "task": "binary",
        "label": "dear",
        "data": {"source": source, "split": {"by": "row", "column": "flat", "test_fraction": 0.4}},
        "features": {"numeric": ["rooms", "year"]},
        "model": {"estimator": "sklearn.tree.DecisionTreeClassifier", "parameters": {"max_depth": 3}},
    }
    contract = {"columns": {name: {"type": "integer"} for name in ("flat", "rooms", "year", "dear")}}
    policy = {
        "data": {"drift": {"psi": 0.2, "minimum_rows": 100, "multivariate": None}},  # too few rows for that
        "model": {"metrics": {"roc_auc": {"min": 0.7}}, "minimum_rows": 100},
        "serving": FEW_REQUESTS,
    }
    folder.mkdir(exist_ok=True)
    for name, content in {"project": {**project, **changes}, "contract": contract, "policy": policy}.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder


def _versions(server: Server, name: str = "flats") -> list[str]:
    return [str(one.version) for one in Tracking(server.uri).versions(name)]


@dataclass(frozen=True)
class Run:
    """A finished run, and the model versions after it."""

    code: int
    record: dict[str, Any]
    versions: list[str]

    def scores(self) -> dict[str, Any]:
        """What the model gate measured, read from the store."""
        outcome = json.loads(read_uri(self.record["reports"]["model"].replace("model.html", OUTCOME)))
        gate = next(gate for gate in outcome["gates"] if gate["name"] == "model")
        return {check["name"]: check["observed"] for check in gate["checks"] if check["name"].startswith("metric[")}


@pytest.fixture(scope="module")
def from_file(
    tmp_path_factory: pytest.TempPathFactory, as_file: str, home: Path, services: dict[str, str], server: Server
) -> Run:
    folder = _project(tmp_path_factory.mktemp("from_file"), as_file)
    code, record = _modelway("run", folder, "--home", home, cwd=folder, env=services)
    return Run(code, record, _versions(server))


@pytest.fixture(scope="module")
def from_prefix(
    tmp_path_factory: pytest.TempPathFactory,
    as_prefix: str,
    home: Path,
    services: dict[str, str],
    server: Server,
    from_file: Run,
) -> Run:
    assert from_file.code == 0
    folder = _project(tmp_path_factory.mktemp("from_prefix"), as_prefix)
    code, record = _modelway("run", folder, "--home", home, cwd=folder, env=services)
    return Run(code, record, _versions(server))


def test_a_run_needs_environment_variables_alone(from_file: Run, home: Path) -> None:
    assert (from_file.code, from_file.record["state"]) == (0, "registered"), from_file.record
    assert from_file.versions == [from_file.record["model"]["version"]] == ["1"]
    assert not list(home.rglob("*.db"))
    assert not (home / "runs").exists()


def test_records_and_reports_are_in_s3(from_file: Run, bucket: Bucket) -> None:
    run = from_file.record["run"]
    documents = {"blessing.json", "card.html", "card.md", "decision.json", "outcome.json"}
    names = sorted(documents | {f"{gate}.html" for gate in ("data", "model", "serving")})
    assert bucket.listing(f"store/runs/{run}/") == [f"store/runs/{run}/{name}" for name in names]
    for name, report in from_file.record["reports"].items():
        assert report == bucket.uri(f"store/runs/{run}/{name}.html")
        assert from_file.record["verdicts"].get(name, "Model card") in read_uri(report).decode()
    outcome = Outcome.read(bucket.uri("store"), run, file=OUTCOME)
    assert outcome is not None
    assert outcome.state is State.REGISTERED
    assert dict(recorded_runs(bucket.uri("store")))[run] == outcome


def test_evidence_and_model_are_with_the_server(from_file: Run, server: Server, bucket: Bucket, tmp_path: Path) -> None:
    tracking = Tracking(server.uri)
    holder = tracking.version_with_alias("flats", "champion")
    assert holder is not None
    assert str(holder.version) == "1"
    for name in ("data", "model", "serving", "card"):
        evidence = tracking.evidence("flats", "1").get(f"{name}.html")
        assert evidence == read_uri(bucket.uri(f"store/runs/{from_file.record['run']}/{name}.html"))
    assert "baseline.json" in tracking.evidence("flats", "1")
    assert (tracking.download_model("flats", "1", folder=str(tmp_path)) / "MLmodel").is_file()
    stored_names = {file.name for file in (server.folder / "artifacts").rglob("*") if file.is_file()}
    assert {"MLmodel", "baseline.json", "blessing.json", "card.md", "serving.html"} <= stored_names


def test_a_prefix_is_one_table_with_the_same_result(from_file: Run, from_prefix: Run) -> None:
    assert (from_prefix.code, from_prefix.record["state"]) == (0, "registered"), from_prefix.record
    assert from_prefix.versions == ["2", "1"]
    assert from_prefix.scores() == from_file.scores()
    assert not [warning for warning in from_prefix.record["warnings"] if warning.startswith("drift")], (
        "it has a baseline"
    )


def test_unchanged_objects_are_cached_and_changed_ones_are_not(
    from_prefix: Run, bucket: Bucket, table: pl.DataFrame, tmp_path: Path, home: Path, services: dict[str, str]
) -> None:
    folder = _project(tmp_path / "again", bucket.uri("parts/"))
    code, record = _modelway("run", folder, "--home", home, cwd=folder, env=services)
    assert code == 0
    assert record["model"] == from_prefix.record["model"]
    assert {"ingest_data", "train_model"} <= set(record["cached"])
    bucket.put("parts/2026/b.csv", table[200:490].write_csv().encode())
    code, record = _modelway("run", folder, "--home", home, cwd=folder, env=services)
    assert code == 0, record
    assert "ingest_data" not in record["cached"]
    assert record["model"]["version"] == "3"


def test_init_reads_s3(as_file: str, services: dict[str, str], tmp_path: Path) -> None:
    code, record = _modelway("init", "proposed", "--data", as_file, "--label", "dear", cwd=tmp_path, env=services)
    assert code == 0, record
    project = yaml.safe_load((tmp_path / "proposed" / "project.yaml").read_text(encoding="utf-8"))
    assert project["data"]["source"] == as_file
    assert record["features"] == ["rooms", "year"]


@pytest.mark.parametrize(
    ("source", "env", "says", "remedy"),
    [
        ("s3://{bucket}/data/flats.csv", {"MINIO_SECRET_KEY": "wrong-secret"}, "does not accept", "AWS_ACCESS_KEY_ID"),
        ("s3://{bucket}/data/flats.csv", {"MINIO_ACCESS_KEY": "nobody"}, "does not accept", "AWS_ACCESS_KEY_ID"),
        ("s3://{bucket}-missing/flats.csv", {}, "cannot be read", "correct the path or URI"),
        ("s3://{bucket}/data/missing.csv", {}, "cannot be read", "correct the path or URI"),
        ("s3://{bucket}/nothing/", {}, "cannot be read", "correct the path or URI"),
        ("s3://{bucket}-missing/parts/", {}, "there is no bucket", "make the bucket"),
    ],
    ids=["wrong secret", "unknown key id", "missing bucket", "missing key", "empty prefix", "prefix in missing bucket"],
)
def test_data_that_cannot_be_had_is_named_before_the_first_stage(
    source: str,
    env: dict[str, str],
    says: str,
    remedy: str,
    bucket: Bucket,
    server: Server,
    services: dict[str, str],
    home: Path,
    tmp_path: Path,
) -> None:
    uri = source.format(bucket=bucket.name)
    folder = _project(tmp_path / "lost", uri, name="lost")
    code, record = _modelway("run", folder, "--home", home, cwd=folder, env={**services, **env})
    assert code == 2
    assert says in record["error"]["message"]
    assert record["error"]["file"] == uri
    assert remedy in record["error"]["remedy"]
    assert "seconds" not in record
    assert _versions(server, "lost") == []


def test_a_store_that_is_not_there_leaves_nothing_registered(
    as_file: str, bucket: Bucket, server: Server, services: dict[str, str], home: Path, tmp_path: Path
) -> None:
    folder = _project(tmp_path / "homeless", as_file, name="homeless")
    env = {**services, "MODELWAY_STORE": f"s3://{bucket.name}-missing/store"}
    code, record = _modelway("run", folder, "--home", home, cwd=folder, env=env)
    assert code == 2
    assert f"{bucket.name}-missing" in record["error"]["message"]
    assert record["error"]["remedy"]
    assert _versions(server, "homeless") == []


class _Refusing(BaseHTTPRequestHandler):
    """Answers every request with the server's status."""

    def do_GET(self) -> None:
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def refusing(request: pytest.FixtureRequest) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    server.status = request.param  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join(timeout=10)


@pytest.mark.parametrize(
    ("refusing", "says", "remedy"),
    [(401, "does not accept the credentials", "anew"), (403, "refuses access", "the right")],
    indirect=["refusing"],
)
def test_a_server_that_refuses_is_a_matter_of_credentials_or_of_rights(
    refusing: str, says: str, remedy: str, as_file: str, services: dict[str, str], home: Path, tmp_path: Path
) -> None:
    with pytest.raises(CredentialsError, match=says):
        Tracking(refusing).version_with_alias("flats", "champion")
    folder = _project(tmp_path / "refused", as_file, name="refused")
    env = {**services, "MLFLOW_TRACKING_URI": refusing}
    code, record = _modelway("run", folder, "--home", home, cwd=folder, env=env)
    assert code == 2
    assert record["error"]["message"] == f"MLflow at {refusing} {says}"
    assert remedy in record["error"]["remedy"]
    assert "MLFLOW_TRACKING_USERNAME" in record["error"]["remedy"]
    assert "MLFLOW_TRACKING_PASSWORD" in record["error"]["remedy"]
    assert "seconds" not in record


@pytest.fixture
def stopping(server: Server) -> Iterator[Server]:
    """The server, which is started again after the test."""
    yield server
    if server.process is None or server.process.poll() is not None:
        server.stop()
        server.start()


def test_a_server_that_is_down_ends_the_run_before_the_first_stage(
    stopping: Server, as_file: str, services: dict[str, str], home: Path, tmp_path: Path
) -> None:
    folder = _project(tmp_path / "down", as_file, name="down")
    stopping.stop()
    code, record = _modelway("run", folder, "--home", home, cwd=folder, env=services)
    assert code == 2
    assert record["error"]["message"] == f"MLflow at {stopping.uri} cannot be reached"
    assert "seconds" not in record
    with pytest.raises(UnavailableError):
        _versions(stopping, "down")


STOPS_THE_SERVER = """
import os

from sklearn.tree import DecisionTreeClassifier


def fit(features, label, group):
    if len(features) > 50:  # more than the rows that it is called on before a run
        os.killpg(group, 9)
    return DecisionTreeClassifier(max_depth=3).fit(features, label)
"""


def test_a_server_that_goes_down_in_the_middle_leaves_nothing_half_registered(
    stopping: Server, as_file: str, bucket: Bucket, services: dict[str, str], home: Path, tmp_path: Path
) -> None:
    assert stopping.process is not None
    model = {"entrypoint": "stops:fit", "parameters": {"group": stopping.process.pid}}
    folder = _project(tmp_path / "cut", as_file, name="cut", model=model)
    (folder / "stops.py").write_text(STOPS_THE_SERVER, encoding="utf-8")
    code, record = _modelway("run", folder, "--home", home, cwd=folder, env=services)
    assert (code, record["state"]) == (2, "failed"), record
    assert record["error"]["stage"] == "train_model"
    assert record["error"]["message"] == f"MLflow at {stopping.uri} cannot be reached"
    assert record["model"] is None
    recorded = Outcome.read(bucket.uri("store"), record["run"], file=OUTCOME)
    assert recorded is not None
    assert recorded.state is State.FAILED
    stopping.stop()
    stopping.start()
    assert _versions(stopping, "cut") == []
    (folder / "stops.py").write_text(STOPS_THE_SERVER.replace("os.killpg(group, 9)", "pass"), encoding="utf-8")
    code, record = _modelway("run", folder, "--home", home, cwd=folder, env=services)
    assert (code, record["state"]) == (0, "registered"), record
    assert _versions(stopping, "cut") == ["1"]


def test_objects_are_written_read_and_versioned_by_their_content(bucket: Bucket) -> None:
    uri = bucket.uri("objects/note.txt")
    write_uri(uri, b"one")
    first = content_version(uri)
    write_uri(uri, b"two")
    assert read_uri(uri) == b"two"
    assert content_version(uri) != first
    write_uri(uri, b"one")
    assert content_version(uri) == first


def test_a_prefix_is_versioned_by_all_that_is_below_it_and_fetched_with_its_folders(
    bucket: Bucket, tmp_path: Path
) -> None:
    for key in ("tree/a.csv", "tree/deep/b.csv", "tree-beside/c.csv"):
        bucket.put(key, key.encode())
    first = content_version(bucket.uri("tree/"))
    local = fetch(bucket.uri("tree/"), tmp_path)
    assert {str(file.relative_to(local)): file.read_text(encoding="utf-8") for file in local.rglob("*.csv")} == {
        "a.csv": "tree/a.csv",
        "deep/b.csv": "tree/deep/b.csv",
    }
    bucket.put("tree-beside/c.csv", b"changed")
    assert content_version(bucket.uri("tree/")) == first
    bucket.put("tree/deep/new.csv", b"new")
    assert content_version(bucket.uri("tree/")) != first


def test_a_record_that_is_missing_is_none_and_one_that_is_out_of_reach_is_an_error(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Outcome.read(bucket.uri("store"), "no-such-run", file=DECISION) is None
    monkeypatch.setenv("MINIO_SECRET_KEY", "wrong-secret")
    with pytest.raises(CredentialsError) as error:
        Outcome.read(bucket.uri("store"), "no-such-run", file=DECISION)
    assert bucket.name in str(error.value.file)


@pytest.mark.parametrize("key", ["missing.txt", "missing/"])
def test_what_is_missing_says_where(bucket: Bucket, key: str, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="cannot be read") as missing:
        fetch(bucket.uri(key), tmp_path)
    assert missing.value.file == bucket.uri(key)
