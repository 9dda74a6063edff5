"""The serving base: what is in it, what it says is in it, and that it runs under the narrowest settings."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from modelway.components.package.serving_base import parse_requirements

pytestmark = pytest.mark.docker

ROOT = Path(__file__).resolve().parents[2]
VARIANTS = {"onnx": "modelway/serving:test", "pipeline": "modelway/serving-pipeline:test"}
USER = "10001:10001"
LOCKED_DOWN = (
    *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"),  # noqa: S108 - the container's
    *("--security-opt", "no-new-privileges", "--network", "none"),
)


def run(image: str, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs a command in a container that may nearly nothing; without one, the image's own."""
    entry = ("--entrypoint", command[0]) if command else ()
    process = subprocess.run(
        ["docker", "run", "--rm", *LOCKED_DOWN, *entry, image, *command[1:]],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert not check or process.returncode == 0, process.stdout + process.stderr
    return process


def inspect(image: str) -> dict[str, Any]:
    process = subprocess.run(
        ["docker", "image", "inspect", image], capture_output=True, text=True, timeout=60, check=True
    )
    content: dict[str, Any] = json.loads(process.stdout)[0]
    return content


@pytest.fixture(scope="module", params=VARIANTS)
def image(request: pytest.FixtureRequest) -> str:
    target, tag = str(request.param), VARIANTS[request.param]
    process = subprocess.run(
        ["docker", "build", "--network", "host", "-f", "Dockerfile.serving", "--target", target, "-t", tag, "."],
        cwd=ROOT,
        env={**os.environ, "BUILDKIT_PROGRESS": "plain"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1200,
        check=False,
    )
    assert process.returncode == 0, process.stdout[-4000:]
    return tag


def bill(image: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(run(image, "cat", "/opt/modelway/bill/packages.json").stdout)
    return content


def packages(image: str) -> dict[str, str]:
    code = "import json; from importlib.metadata import distributions as all; "
    code += "print(json.dumps([[one.name, one.version] for one in all()]))"
    pairs = json.loads(run(image, "python", "-c", code).stdout)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pairs}


def test_it_runs_the_server_as_a_numeric_user(image: str) -> None:
    config = inspect(image)["Config"]
    assert config["User"] == USER
    assert config["Entrypoint"] == [
        *("python", "-m", "modelway.components.serve", "--release", "/release"),
        *("--host", "0.0.0.0", "--port", "8080"),  # noqa: S104 - the container's
    ]
    assert run(image, "sh", "-c", "echo $(id -u):$(id -g)").stdout.strip() == USER


def test_it_says_exactly_what_is_in_it(image: str) -> None:
    text = run(image, "cat", "/opt/modelway/bill/requirements.txt").stdout
    requirements = {requirement.name: requirement.version for requirement in parse_requirements(text)} | {
        "modelway": bill(image)["modelway"]
    }
    assert requirements == packages(image)
    assert all(requirement.hashes for requirement in parse_requirements(text))
    lock: dict[str, set[str]] = {}
    for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]:
        lock.setdefault(package["name"], set()).add(package["version"])
    assert {name: version for name, version in requirements.items() if version not in lock.get(name, ())} == {}
    debian_packages = run(image, "dpkg-query", "--show", "--showformat", r"${Package}\n").stdout.split()
    assert sorted(package["name"] for package in bill(image)["system"]) == sorted(debian_packages)
    assert bill(image)["python"] in run(image, "python", "-V").stdout


def test_it_can_import_what_it_serves_with(image: str) -> None:
    modules = "cryptography arro3.core arro3.io httptools minio numpy onnxruntime prometheus_client"
    modules += " pyrage uvicorn uvloop yaml"
    if "pipeline" in image:
        modules += " cloudpickle pandas sklearn skops.io modelway.components.features.steps"
    code = f"import importlib; [importlib.import_module(name) for name in {modules.split()!r}]"
    run(image, "python", "-c", code)
    run(image, "python", "-m", "modelway.components.serve", "--help")


def test_it_holds_neither_what_trains_nor_what_installs(image: str) -> None:
    tools = "pip pip3 uv gcc cc make git curl"
    assert run(image, "sh", "-c", f"for tool in {tools}; do command -v $tool; done; true").stdout == ""
    absent = {"kfp", "mlflow-skinny", "kubernetes", "skl2onnx", "onnx", "model-signing", "typer", "pip", "pytest"}
    if "pipeline" not in image:
        absent |= {"scikit-learn", "pandas", "scipy", "pydantic"}
    assert absent & set(packages(image)) == set()
    stages = run(image, "sh", "-c", "ls -d /opt/modelway/lib/python3*/site-packages/modelway/*/*/").stdout.split()
    assert {path.rstrip("/").rpartition("/")[2] for path in stages} - {"__pycache__"} == {"core", "features", "serve"}


def test_without_a_release_it_refuses_to_start(image: str) -> None:
    for more, message in (((), "MODELWAY_VERIFYING_KEY is not set"), (("--unsigned",), "release.json is missing")):
        server = ("python", "-m", "modelway.components.serve", "--release", "/release", *more)
        process = run(image, *server, check=False)
        assert process.returncode == 3, process.stderr
        assert message in process.stderr
        assert "Traceback" not in process.stderr


def test_both_variants_share_all_layers_but_the_last_ones() -> None:
    layers = {name: inspect(tag)["RootFS"]["Layers"] for name, tag in VARIANTS.items()}
    onnx, pipeline = layers["onnx"], layers["pipeline"]
    assert onnx[:-2] == pipeline[:-3]
    assert onnx[-1] != pipeline[-1]
