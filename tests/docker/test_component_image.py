"""The image of the components: what is in it, what is not, how it rebuilds, and a release made with it."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from mlflow_server import SERVER_SETTINGS

from modelway.components.core.config.project import Project
from modelway.components.core.evidence.runs import LATEST, OUTCOME, Outcome, State
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.core.storage.models import folder_sha256, load_model
from modelway.components.core.tables.parquet import to_model_input

pytestmark = pytest.mark.docker

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "modelway/components:test"
USER = "10001:10001"
SOURCE, VERSION = "https://git.example/modelway", "0.0.0+test"
LOCKED_DOWN = (
    *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"),  # noqa: S108 - the container's
    *("--security-opt", "no-new-privileges", "--network", "none"),
)


def build(context: Path, tag: str) -> str:
    """Builds the image; returns what the builder wrote."""
    arguments = ("--build-arg", f"SOURCE={SOURCE}", "--build-arg", f"VERSION={VERSION}")
    process = subprocess.run(
        ["docker", "build", "--network", "host", "-f", "Dockerfile.component", "-t", tag, *arguments, "."],
        cwd=context,
        env={**os.environ, "BUILDKIT_PROGRESS": "plain"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1200,
        check=False,
    )
    assert process.returncode == 0, process.stdout[-4000:]
    return process.stdout


def run(image: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in a container that may nearly nothing."""
    process = subprocess.run(
        ["docker", "run", "--rm", *LOCKED_DOWN, "--env", "_KFP_RUNTIME=true", image, *command],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process


def inspect(image: str) -> dict[str, Any]:
    process = subprocess.run(
        ["docker", "image", "inspect", image], capture_output=True, text=True, timeout=60, check=True
    )
    content: dict[str, Any] = json.loads(process.stdout)[0]
    return content


@pytest.fixture(scope="session")
def image() -> str:
    build(ROOT, IMAGE)
    return IMAGE


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_it_runs_as_a_numeric_user_and_says_what_it_is(image: str) -> None:
    config = inspect(image)["Config"]
    assert config["User"] == USER
    assert run(image, "sh", "-c", "echo $(id -u):$(id -g)").stdout.strip() == USER
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in config["Labels"].items()}
    assert labels == {"title": "modelway components", "source": SOURCE, "version": VERSION}
    assert not [line for line in config["Env"] if line.startswith("MODELWAY_IMAGE=")]


def test_nothing_in_it_installs_or_compiles(image: str) -> None:
    tools = "pip pip3 uv uvx poetry conda easy_install gcc g++ cc clang make ld git curl"
    assert run(image, "sh", "-c", f"for tool in {tools}; do command -v $tool; done; true").stdout == ""
    importable = """
import subprocess, sys
for python in {sys.executable, sys._base_executable}:
    for module in ("pip", "ensurepip", "setuptools", "wheel", "uv"):
        if subprocess.run([python, "-c", f"import {module}"], stderr=subprocess.DEVNULL).returncode == 0:
            print(python, module)
"""
    assert run(image, "python3", "-c", importable).stdout == ""


def test_everything_that_stages_import_is_in_it(image: str) -> None:
    # At whatever depth: heavy libraries are imported inside functions. Extras are for who asks for them.
    code = """
import ast, importlib, pathlib, sys
import modelway.components
root = pathlib.Path(modelway.components.__file__).parent
names = set()
for file in root.rglob("*.py"):
    module = ".".join(["modelway.components", *file.relative_to(root).with_suffix("").parts])
    if file.name != "component.py":
        names.add(module.removesuffix(".__init__"))
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
for name in sorted(names):
    if name.split(".")[0] not in sys.argv:
        importlib.import_module(name)
        print(name)
"""
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {
        re.split(r"[^\w-]", requirement)[0]
        for names in metadata["optional-dependencies"].values()
        for requirement in names
    }
    importable = set(run(image, "python3", "-c", code, *extras).stdout.split())
    modules = [file for file in (ROOT / "components").rglob("*.py") if file.name != "component.py"]
    parts = [file.relative_to(ROOT).with_suffix("").parts for file in modules]
    assert {".".join(["modelway", *names]).removesuffix(".__init__") for names in parts} <= importable


def test_the_executor_starts(image: str) -> None:
    assert "--executor_input" in run(image, "python3", "-m", "kfp.dsl.executor_main", "--help").stdout


def test_its_bytecode_is_compiled_already(image: str) -> None:
    # With -v Python names each file that it takes code from, a compiled one in quotes.
    code = "import modelway.components.core.evidence.runs, sklearn.base, kfp.dsl.executor_main"
    imports = run(image, "python3", "-v", "-c", code).stderr
    assert re.search(r"^# code object from '/opt/modelway/.*/modelway/.*\.pyc'$", imports, re.MULTILINE)
    assert re.findall(r"^# code object from (/opt/modelway/.*)$", imports, re.MULTILINE) == []


def test_it_holds_the_locked_versions(image: str) -> None:
    code = """
import json
from importlib.metadata import distributions
print(json.dumps({one.name: one.version for one in distributions()}))
"""
    versions = {normal(name): text for name, text in json.loads(run(image, "python3", "-c", code).stdout).items()}
    lock: dict[str, set[str]] = {}
    for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]:
        lock.setdefault(package["name"], set()).add(package["version"])
    assert {name: text for name, text in versions.items() if text not in lock.get(name, ())} == {}
    assert {"kfp", "mlflow-skinny", "modelway", "polars", "scikit-learn", "skops"} <= set(versions)
    assert not {"kfp-kubernetes", "kfp-server-api", "google-cloud-storage", "typer", "rich", "pytest"} & set(versions)


def test_only_the_sdk_misses_what_it_asks_for(image: str) -> None:
    code = """
import json, re
from importlib.metadata import distributions
from packaging.requirements import Requirement
normal = lambda name: re.sub(r"[-_.]+", "-", name).lower()
found = {normal(one.name): one for one in distributions()}
missing = {}
for name, one in found.items():
    for asked in map(Requirement, one.requires or ()):
        applies = asked.marker is None or asked.marker.evaluate({"extra": ""})
        if applies and normal(asked.name) not in found:
            missing.setdefault(name, []).append(normal(asked.name))
print(json.dumps(missing))
"""
    missing = json.loads(run(image, "python3", "-c", code).stdout)
    assert missing.pop("kfp")
    assert set(missing.pop("modelway")) <= {"alembic", "kfp-kubernetes", "rich", "sqlalchemy", "typer", "uv"}
    assert missing.pop("sigstore", ["rich"]) == ["rich"]  # for its command
    assert missing == {}


def is_cached(output: str, part: str) -> bool:
    """Whether the step whose command holds this was served from cache, by either builder's output."""
    classic = re.search(rf"^Step \d+/\d+ : RUN .*{re.escape(part)}.*\n(.*)$", output, re.MULTILINE)
    if classic:
        return "Using cache" in classic[1]
    buildkit = re.search(rf"^(#\d+) \[.*\] RUN .*{re.escape(part)}.*$", output, re.MULTILINE)
    assert buildkit, output[-4000:]
    return f"\n{buildkit[1]} CACHED" in output


def test_a_change_of_code_rebuilds_only_the_last_layer(image: str, tmp_path: Path) -> None:
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    for name in ["Dockerfile.component", ".dockerignore", *(rule[1:] for rule in rules if rule.startswith("!"))]:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    with (tmp_path / "components" / "evaluate" / "stage.py").open("a") as module:
        module.write("# changed\n")
    tag = f"modelway/components:changed-{uuid.uuid4().hex[:8]}"
    try:
        output = build(tmp_path, tag)
        assert is_cached(output, "-m venv /opt/tools")
        assert is_cached(output, "--require-hashes")
        before, after = inspect(image)["RootFS"]["Layers"], inspect(tag)["RootFS"]["Layers"]
        assert before[:-1] == after[:-1]
        assert before[-1] != after[-1]
        source = "import inspect, modelway.components.evaluate.stage as gate; print(inspect.getsource(gate))"
        assert run(tag, "python3", "-c", source).stdout.rstrip().endswith("# changed")
    finally:
        subprocess.run(["docker", "image", "rm", tag], capture_output=True, timeout=60, check=False)


@dataclass(frozen=True)
class Server:
    """An MLflow server outside the containers."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait(self, seconds: float) -> None:
        """Returns when the server is healthy."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("GET", "/health")
                if connection.getresponse().status == http.HTTPStatus.OK:
                    return
            except OSError:
                time.sleep(0.3)
            finally:
                connection.close()
        pytest.fail(f"the MLflow server does not answer:\n{self.log.read_text()[-4000:]}")


@pytest.fixture(scope="module", autouse=True)
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Started first, since it takes its time while the image is being built."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", f"{folder}/artifacts"]
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **SERVER_SETTINGS},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield Server(process, port, log)
    finally:
        for ending in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, ending)
                process.wait(timeout=20)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue


@dataclass(frozen=True)
class Workplace:
    """The one folder that containers see, and the server that they reach."""

    root: Path
    image: str
    tracking: Tracking
    user: str

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def project(self) -> Path:
        return self.root / "insurance"

    def release(self, champion: str = "", **thresholds: dict[str, float]) -> Outcome:
        """Releases the example in containers, with other thresholds if given; returns what the record says."""
        self.project.mkdir(exist_ok=True)
        for file in ("project.yaml", "contract.yaml", "policy.yaml", "claims.parquet"):
            shutil.copy(ROOT / "examples" / "insurance" / file, self.project / file)
        policy = yaml.safe_load((self.project / "policy.yaml").read_text())
        policy["model"]["metrics"].update(thresholds)
        (self.project / "policy.yaml").write_text(yaml.safe_dump(policy))
        runs = self.store / "runs"
        before = {path for path in runs.glob("*") if path.name != LATEST}
        label = f"modelway.test={uuid.uuid4().hex}"
        script = Path(__file__).with_name("release_in_containers.py")
        command = [sys.executable, str(script), str(self.project), "--root", str(self.root), "--store", str(self.store)]
        command += ["--tracking", self.tracking.uri, "--champion", champion, "--user", self.user, "--label", label]
        try:
            ran = subprocess.run(
                command,
                env={**os.environ, "MODELWAY_IMAGE": self.image},
                capture_output=True,
                text=True,
                timeout=500,
                check=False,
            )
        finally:
            containers = subprocess.run(
                ["docker", "ps", "--all", "--quiet", "--filter", f"label={label}"],
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
            if containers.stdout:
                subprocess.run(["docker", "rm", "-f", *containers.stdout.split()], timeout=60, check=True)
        sys.stdout.write(ran.stdout + ran.stderr)
        new_runs = {path for path in runs.glob("*") if path.name != LATEST} - before
        assert len(new_runs) == 1
        outcome = Outcome.read(str(self.store), new_runs.pop().name, file=OUTCOME)
        assert outcome is not None
        return outcome


@pytest.fixture(scope="module")
def workplace(image: str, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Writable for the image's user; where the tests' own user is not root, containers run as that one."""
    root = tmp_path_factory.mktemp("root")
    user = USER if os.getuid() == 0 else f"{os.getuid()}:{os.getgid()}"
    for folder in (root, root / "store", root / "store" / "config"):  # files are put there from outside
        folder.mkdir(exist_ok=True)
        if os.getuid() == 0:
            os.chown(folder, *map(int, USER.split(":")))
    server.wait(180)
    return Workplace(root, image, Tracking(server.uri), user)


@pytest.fixture(scope="module")
def registered(workplace: Workplace) -> Outcome:
    return workplace.release()


def test_a_release_in_containers_registers_its_model(
    workplace: Workplace, registered: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (registered.state, registered.error, registered.reasons) == (State.REGISTERED, "", [])
    model = registered.model
    assert model is not None
    holder = workplace.tracking.version_with_alias(model.name, "champion")
    assert holder is not None
    versions = [str(version.version) for version in workplace.tracking.versions(model.name)]
    assert versions == [model.version] == [str(holder.version)]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", workplace.tracking.uri)
    folder = Tracking.from_environment().download_model(model.name, model.version, folder=str(tmp_path))
    project = Project.load(workplace.project / "project.yaml")
    rows = pl.read_parquet(workplace.project / "claims.parquet").head(200)
    probabilities = load_model(folder).predict_proba(to_model_input(rows, project.features.columns))
    assert probabilities.shape == (200, 2)
    assert 0 < probabilities.min() < probabilities.max() < 1
    model_folder = next(workplace.root.glob("release-*/train-model/model"))
    assert folder_sha256(model_folder) == model.model_hash


def test_a_release_in_containers_is_rejected_by_the_policy(workplace: Workplace, registered: Outcome) -> None:
    assert registered.model is not None
    rejected = workplace.release(champion=registered.model.version, roc_auc={"min": 0.99})
    assert (rejected.state, rejected.model) == (State.REJECTED, None)
    assert [reason for reason in rejected.reasons if "0.99" in reason] == rejected.reasons != []
    verdicts = {check.name: check.verdict.value for gate in rejected.gates for check in gate.checks}
    assert verdicts["no_regression[roc_auc]"] == "passed"  # so the champion was fetched and loaded in a container
    versions = workplace.tracking.versions(registered.model.name)
    assert [str(version.version) for version in versions] == [registered.model.version]
