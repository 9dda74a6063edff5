from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import polars as pl
import pytest
from model_servers import command, serving

from modelway.components.core.bundle.encryption import ENCRYPTED_FILE, encrypt, new_identity
from modelway.components.core.bundle.signing import sign
from modelway.components.core.storage.models import folder_sha256

ROW = {"income": 2.0, "age": 30, "region": "north", "opened": "2024-01-01"}


def wait_for(condition: Callable[[], bool]) -> None:
    stop_at = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < stop_at
        time.sleep(0.01)


def get(url: str) -> int:
    return httpx.get(url, timeout=10).status_code


def listens(url: str) -> bool:
    try:
        return get(f"{url}/v2/health/live") == 200
    except httpx.TransportError:
        return False


def predict(url: str, row: dict[str, Any] = ROW) -> Any:
    return httpx.post(f"{url}/v1/models/model:predict", json={"instances": [row]}, timeout=10).json()


def run_until_exit(folder: Path, *more: str, source: str = "--model") -> tuple[int, str]:
    process = subprocess.run(
        command(folder, *more, source=source), capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in process.stderr
    return process.returncode, process.stderr


def test_a_model_with_the_right_hash_is_served(light: Path, tmp_path: Path) -> None:
    with serving(light, tmp_path / "log", "--model-hash", folder_sha256(light)) as (_, url):
        assert predict(url) == {"predictions": [4.0]}


def test_a_tampered_model_is_refused_before_it_is_loaded(write_model: Callable[..., Path], tmp_path: Path) -> None:
    class Spy:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "loaded",)

    folder = write_model(Spy())
    status, output = run_until_exit(folder, "--port", "0", "--model-hash", "0" * 64)
    assert status == 3
    assert "the model's files are not those that were released" in output
    assert folder_sha256(folder) in output
    assert not (tmp_path / "loaded").exists()


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    status, output = run_until_exit(tmp_path, "--port", "0")
    assert status == 3
    assert output.startswith("error: the model has no input signature")


def test_a_port_that_is_taken_is_refused(light: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        status, output = run_until_exit(light, "--port", str(port))
    assert status == 3
    assert f"cannot listen on 127.0.0.1 port {port}" in output


def test_sigterm_drains_finishes_what_is_under_way_and_exits_with_zero(
    write_model: Callable[..., Path], tmp_path: Path
) -> None:
    begun, go_on = tmp_path / "begun", tmp_path / "go on"

    class Slow:
        def predict(self, rows: pd.DataFrame) -> Any:
            if rows["region"][0] == "slow":
                begun.touch()
                while not go_on.exists():
                    time.sleep(0.01)
            return rows["income"].to_numpy()

    with serving(write_model(Slow()), tmp_path / "log", "--drain-seconds", "1") as (process, url):
        answers: list[Any] = []
        asking = threading.Thread(target=lambda: answers.append(predict(url, {**ROW, "region": "slow"})))
        asking.start()
        wait_for(begun.exists)
        assert get(f"{url}/v2/health/ready") == 200
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: get(f"{url}/v2/health/ready") == 503)
        assert get(f"{url}/v2/health/live") == 200
        wait_for(lambda: not listens(url))
        assert process.poll() is None
        go_on.touch()
        asking.join(10)
        assert answers == [{"predictions": [2.0]}]
        assert process.wait(10) == 0


def test_a_release_is_served_watched_and_logged(release: Any, tmp_path: Path) -> None:
    key, log_folder = str(release.keys / "key.pub"), tmp_path / "predictions"
    more = ("--public-key", key, "--log-to", str(log_folder), "--drain-seconds", "0")
    row = {**ROW, "region": None, "age": 41}
    with serving(release.folder, tmp_path / "log", *more, source="--release") as (process, url):
        for number in range(200):
            body = {"instances": [{**row, "income": 5.0 + number}]}
            answer = httpx.post(f"{url}/v1/models/loans:predict", json=body, timeout=10).json()
        assert set(answer) == {"predictions", "probabilities"}
        assert httpx.get(f"{url}/v2/models/loans", timeout=10).json()["platform"] == "onnxruntime_onnx"
        scraped = httpx.get(f"{url}/metrics", timeout=10).text
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert 'modelway_requests_total{code="200"} 200.0' in scraped
    assert 'modelway_request_seconds_bucket{le="0.0075"}' in scraped
    drift = re.search(r'modelway_feature_drift{feature="income"} (\S+)', scraped)
    assert drift is not None
    assert float(drift.group(1)) > 1
    rows = pl.read_parquet(list(log_folder.rglob("*.parquet")), hive_partitioning=False)
    assert sorted(rows["income"]) == [5.0 + number for number in range(200)]
    assert rows["region"].null_count() == 200
    assert rows["_predict_proba_1"].is_between(0, 1).all()


def test_a_folder_without_a_release_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nothing"):
        status, output = run_until_exit(folder, "--unsigned", source="--release")
        assert status == 3
        assert "release.json" in output


def test_a_release_is_served_only_if_its_signature_can_be_verified(
    release: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, output = run_until_exit(release.folder, source="--release")
    assert status == 3
    assert "MODELWAY_VERIFYING_KEY is not set" in output
    with serving(release.folder, tmp_path / "unsigned", "--unsigned", source="--release") as (_, url):
        assert get(f"{url}/v2/models/loans/ready") == 200
    monkeypatch.setenv("MODELWAY_VERIFYING_KEY", str(release.keys / "key.pub"))
    with serving(release.folder, tmp_path / "log", source="--release") as (_, url):
        assert get(f"{url}/v2/models/loans/ready") == 200


def test_an_encrypted_release_is_served_from_memory(
    release: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_identity(release.keys / "encryption", release.keys / "recipient")
    recipient = (release.keys / "recipient").read_text().strip()
    with tarfile.open(tmp_path / "model.tar", "w") as archive:
        for name in ("model", "model.onnx"):
            archive.add(release.folder / name, name)
    encrypt(tmp_path / "model.tar", release.folder / ENCRYPTED_FILE, recipient=recipient)
    shutil.rmtree(release.folder / "model")
    (release.folder / "model.onnx").unlink()
    sign(release.folder, release.folder / "release.sig", private_key=release.keys / "key")
    key = ("--public-key", str(release.keys / "key.pub"))
    status, output = run_until_exit(release.folder, *key, source="--release")
    assert status == 3
    assert "MODELWAY_ENCRYPTION_KEY" in output
    monkeypatch.setenv("MODELWAY_ENCRYPTION_KEY", str(release.keys / "encryption"))
    with serving(release.folder, tmp_path / "log", *key, source="--release") as (_, url):
        assert get(f"{url}/v2/models/loans/ready") == 200
    encrypt(
        tmp_path / "model.tar", release.folder / ENCRYPTED_FILE, recipient=recipient
    )  # the same, but not what was signed
    status, output = run_until_exit(release.folder, *key, source="--release")
    assert (status, "model.tar.age is not as it was signed" in output) == (3, True)
    assert not list(Path("/dev/shm").glob("release-*"))  # noqa: S108 - where it was decrypted to
