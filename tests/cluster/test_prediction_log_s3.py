"""The prediction log on a real S3 server, written by a real server; and on one that is not there."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import polars as pl
import pytest
from light_models import twice_the_income, write_light_model
from minio import Minio
from minio.deleteobjects import DeleteObject

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("minio_alone")]

FILE_ROWS = 10_000  # a file is written as soon as there are so many


@pytest.fixture(scope="module")
def bucket(client: Minio) -> Iterator[str]:
    name = f"modelway-log-{uuid.uuid4().hex[:12]}"
    client.make_bucket(bucket_name=name)
    yield name
    every = [DeleteObject(str(item.object_name)) for item in client.list_objects(bucket_name=name, recursive=True)]
    assert not list(client.remove_objects(bucket_name=name, delete_object_list=every))
    client.remove_bucket(bucket_name=name)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    columns = {"income": "double", "region": "string"}
    return write_light_model(tmp_path_factory.mktemp("model"), twice_the_income(), columns)


@dataclass(frozen=True)
class Serving:
    """A server's process, its address and what it said."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def ask(self, first: int, rows: int) -> None:
        rows_sent = [{"income": first + row, "region": None if row % 3 == 0 else "north"} for row in range(rows)]
        answer = httpx.post(f"{self.url}/v1/models/loans:predict", json={"instances": rows_sent}, timeout=30)
        assert answer.json() == {"predictions": [2.0 * (first + row) for row in range(rows)]}

    def count(self, name: str) -> float:
        match = re.search(rf"^modelway_log_{name}_total (\S+)$", httpx.get(f"{self.url}/metrics").text, re.MULTILINE)
        assert match is not None
        return float(match.group(1))

    def wait_for(self, condition: Callable[[], bool]) -> None:
        stop_at = time.monotonic() + 60
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < stop_at, self.log.read_text()
            time.sleep(0.1)

    def stop(self) -> str:
        """Ends it as Kubernetes does, and returns what it said."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(40) == 0, self.log.read_text()
        return self.log.read_text()


@contextmanager
def serving(model: Path, target: str, log: Path, **environment: str) -> Iterator[Serving]:
    command = [sys.executable, "-m", "modelway.components.serve", "--model", str(model), "--name", "loans"]
    command += ["--version", "3", "--port", "0", "--drain-seconds", "0", "--log-to", target]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ, **environment})
    try:
        stop_at = time.monotonic() + 60
        while (match := re.search(r"on (http://\S+)\n", log.read_text())) is None:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < stop_at, log.read_text()
            time.sleep(0.05)
        yield Serving(process, match.group(1), log)
    finally:
        process.kill()
        process.wait()


def test_predictions_become_parquet_in_a_bucket(model: Path, bucket: str, client: Minio, tmp_path: Path) -> None:
    prefix = uuid.uuid4().hex[:8]
    with serving(model, f"s3://{bucket}/{prefix}", tmp_path / "log") as server:
        for first in range(0, FILE_ROWS, 1000):
            server.ask(first, 1000)
        server.wait_for(lambda: server.count("written") == FILE_ROWS)
        server.ask(FILE_ROWS, 7)  # too few for a file: written when the server ends
        server.stop()
    objects = [str(item.object_name) for item in client.list_objects(bucket_name=bucket, prefix=prefix, recursive=True)]
    assert len(objects) == 2
    assert all(
        re.fullmatch(rf"{prefix}/loans/3/date=[\d-]{{10}}/\d{{8}}T\d{{6}}-\w+\.parquet", item) for item in objects
    )
    frames = [
        pl.read_parquet(io.BytesIO(client.get_object(bucket_name=bucket, object_name=item).data)) for item in objects
    ]
    match = pl.concat(frames).sort("income")
    assert match["income"].to_list() == [float(row) for row in range(FILE_ROWS + 7)]
    assert match["_predict"].to_list() == [2.0 * row for row in range(FILE_ROWS + 7)]
    assert match["region"].null_count() == 10 * 334 + 3
    assert match["_at"].dtype == pl.Datetime("us")


@pytest.mark.parametrize(
    ("target", "environment", "says"),
    [
        ("s3://modelway-no-such-bucket/log", {}, "there is no bucket 'modelway-no-such-bucket'"),
        ("s3://{bucket}/log", {"MINIO_ENDPOINT": "127.0.0.1:1"}, "cannot be reached"),
        ("s3://{bucket}/log", {"MINIO_ENDPOINT": "10.255.255.1:9000"}, "cannot be reached"),  # nobody answers at all
        ("s3://{bucket}/log", {"MINIO_SECRET_KEY": "another-key"}, "does not accept the keys"),
        ("s3://{bucket}/log", {"MINIO_ACCESS_KEY": ""}, "no S3 credentials are set"),
    ],
    ids=["no bucket", "refused", "silent", "wrong key", "no key"],
)
def test_a_bucket_that_cannot_be_written_costs_no_answer(
    model: Path, bucket: str, tmp_path: Path, target: str, environment: dict[str, str], says: str
) -> None:
    with serving(model, target.format(bucket=bucket), tmp_path / "log", **environment) as server:
        for first in range(0, 11 * FILE_ROWS, 2500):  # more than are held until they can be written
            server.ask(first, 2500)
        assert server.count("written") == 0
        server.wait_for(lambda: server.count("dropped") == FILE_ROWS)
        server.wait_for(lambda: says in server.log.read_text())
        server.ask(0, 1)
        assert httpx.get(f"{server.url}/v2/health/ready").status_code == 200
        said = server.stop()
    assert "the prediction log lost 100000 rows" in said
