"""A packaged release, pulled by its digest and run: it verifies itself, answers, and refuses what was tampered with."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.bundle.keys import new_keys
from modelway.components.core.storage.models import load_model
from modelway.components.core.tables.parquet import to_model_input
from modelway.components.package.stage import package

pytestmark = pytest.mark.docker

ROOT = Path(__file__).resolve().parents[2]
LOCKED_DOWN = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")  # noqa: S108


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=1200, check=False, cwd=ROOT)
    assert not check or result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    return result


def request(address: str, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
    """A request's status and answer."""
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def serving(registry: Any) -> str:
    """The serving base, in the registry, by its digest."""
    tag = f"{registry.host}/modelway/serving:test"
    docker("build", "--network", "host", "-f", "Dockerfile.serving", "--target", "onnx", "-t", tag, ".")
    try:
        docker("push", tag)
        image = docker("image", "inspect", "--format", "{{index .RepoDigests 0}}", tag).stdout.strip()
    finally:
        docker("image", "rm", "--no-prune", tag, check=False)
    return image


@pytest.fixture
def release_image(
    registered: Any, serving: str, registry: Any, tmp_path: Path, keys: Path
) -> Iterator[Callable[..., str]]:
    """Packages the version; returns the image by its digest, pulled."""
    images: list[str] = []

    def make() -> str:
        target = f"{registry.host}/team/loans:{uuid.uuid4().hex[:8]}"
        store, bundle = str(tmp_path / "store"), str(tmp_path / "bundle")
        package_result = package(registered.in_store(store), base=serving, target=target, bundle_path=bundle)
        docker("pull", package_result.image)
        images.append(package_result.image)
        keys.chmod(0o755)
        for file in keys.iterdir():
            file.chmod(0o644)  # the container's user is another
        return package_result.image

    yield make
    docker("image", "rm", "--force", *images, check=False)


@pytest.fixture
def start_server(keys: Path) -> Iterator[Callable[..., str]]:
    """Starts an image's server; returns its address."""
    names: list[str] = []

    def start(image: str, *arguments: str, **environment: str) -> str:
        names.append(f"modelway-{uuid.uuid4().hex[:8]}")
        variables = [part for key, value in environment.items() for part in ("--env", f"{key}={value}")]
        options = ("--volume", f"{keys}:/keys:ro", "--publish", "127.0.0.1::8080")
        docker("run", "--detach", "--name", names[-1], *LOCKED_DOWN, *options, *variables, image, *arguments)
        address = docker("port", names[-1], "8080").stdout.split()[0]
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if docker("inspect", "--format", "{{.State.Running}}", names[-1]).stdout.strip() == "false":
                break
            with contextlib.suppress(OSError):
                if request(address, "GET", "/v2/health/ready")[0] == HTTPStatus.OK:
                    return address
            time.sleep(0.1)
        return pytest.fail(docker("logs", names[-1]).stderr)

    yield start
    for name in names:
        docker("rm", "--force", name, check=False)


def test_the_image_that_is_pulled_holds_the_release(
    release_image: Callable[..., str], registered: Any, keys: Path
) -> None:
    code = """
from pathlib import Path
from onnxruntime import InferenceSession
from modelway.components.core.bundle.bundle import verify_bundle
bundle = verify_bundle(Path("/release"), Path("/keys/key.pub"))
InferenceSession(str(bundle.onnx))
print(bundle.release().name)
"""
    options = ("--volume", f"{keys}:/keys:ro", "--network", "none")
    image = release_image()
    result = docker("run", "--rm", *LOCKED_DOWN, *options, "--entrypoint", "python", image, "-c", code)
    assert result.stdout.strip() == registered.name
    assert len(json.loads(docker("image", "inspect", image).stdout)[0]["RootFS"]["Layers"]) > 1
    layer = docker("history", "--format", "{{.CreatedBy}}", image).stdout.splitlines()[0]
    assert layer == "package_model"


def test_it_answers_as_the_pipeline_does(
    release_image: Callable[..., str], start_server: Callable[..., str], registered: Any, frame: Any
) -> None:
    image = release_image()
    address = start_server(image, "--public-key", "/keys/key.pub")
    rows = frame.drop_nulls().head(3)
    instances = [{**row, "opened": row["opened"].isoformat()} for row in rows.drop("late").to_dicts()]
    path, body = f"/v1/models/{registered.name}:predict", json.dumps({"instances": instances})
    status, answer = request(address, "POST", path, body)
    assert status == HTTPStatus.OK, answer
    model = load_model(registered.model)
    expected = model.predict(to_model_input(rows, ["income", "region", "opened"])).tolist()
    assert json.loads(answer)["predictions"] == expected
    labels = docker("image", "inspect", "--format", "{{json .Config.Labels}}", image).stdout
    assert json.loads(labels)["org.opencontainers.image.title"] == registered.name


def test_an_encrypted_model_is_served_from_memory(
    release_image: Callable[..., str], start_server: Callable[..., str], keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELWAY_ENCRYPTION_RECIPIENT", str(keys / "recipient"))
    image = release_image()
    names = docker("run", "--rm", "--entrypoint", "ls", image, "/release").stdout.split()
    assert "model.tar.age" in names
    assert "model" not in names
    start_server(image, "--public-key", "/keys/key.pub", MODELWAY_ENCRYPTION_KEY="/keys/encryption")
    options = ("--volume", f"{keys}:/keys:ro")
    result = docker("run", "--rm", *LOCKED_DOWN, *options, image, "--public-key", "/keys/key.pub", check=False)
    assert result.returncode == 3
    assert "MODELWAY_ENCRYPTION_KEY" in result.stderr


@pytest.mark.parametrize("file", ["model.onnx", "blessing.json", "sbom.cdx.json", "release.sig"])
def test_a_tampered_image_does_not_start(
    release_image: Callable[..., str], tmp_path: Path, keys: Path, file: str
) -> None:
    image, tampered_file = release_image(), tmp_path / "changed"
    tampered_file.write_bytes((tmp_path / "bundle" / file).read_bytes() + b" ")
    if file == "release.sig":
        tampered_file.write_text("{}")
    tampered_file.chmod(0o444)
    options = ("--volume", f"{tampered_file}:/release/{file}:ro", "--volume", f"{keys}:/keys:ro")
    result = docker("run", "--rm", *LOCKED_DOWN, *options, image, "--public-key", "/keys/key.pub", check=False)
    assert result.returncode == 3
    assert file in result.stderr
    assert "Traceback" not in result.stderr


def test_another_key_does_not_start_it(release_image: Callable[..., str], keys: Path, tmp_path: Path) -> None:
    image = release_image()
    new_keys(tmp_path / "other", keys / "other.pub")
    (keys / "other.pub").chmod(0o644)
    options = ("--volume", f"{keys}:/keys:ro")
    result = docker("run", "--rm", *LOCKED_DOWN, *options, image, "--public-key", "/keys/other.pub", check=False)
    assert result.returncode == 3
    assert "another key" in result.stderr
