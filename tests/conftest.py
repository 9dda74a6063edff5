"""What tests need: skipped with the reason where it is missing, and a failure in CI."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import pytest
from cluster_installation import Api, Installation, api_server, installed
from disks import mount, unmount
from go_commands import go_command
from oidc_issuer import OidcIssuer
from registered_versions import release_version
from small_projects import edit_yaml, write_small_project
from user_files import minimal_policy
from xdist.scheduler import LoadFileScheduling

from modelway.components.core.bundle.encryption import new_identity
from modelway.components.core.bundle.keys import (
    ENCRYPTION_KEY,
    ENCRYPTION_RECIPIENT,
    SIGNING_KEY,
    VERIFYING_KEY,
    new_keys,
)
from modelway.components.core.checks import Gate, Verdict, passed_or_failed
from modelway.components.core.evidence.files import POLICY_FILE
from modelway.components.core.oci.image import Descriptor, Image, _document
from modelway.components.core.oci.layout import Layout
from modelway.components.core.storage.mlflow import Tracking

ROOT = Path(__file__).resolve().parent.parent


def _missing_docker() -> str | None:
    if shutil.which("docker") is None:
        return "no docker command"
    found = subprocess.run(["docker", "info"], capture_output=True, text=True, timeout=60, check=False)
    return None if found.returncode == 0 else "no Docker daemon answers"


def _missing_cluster() -> str | None:
    names = ("KUBECONFIG", "MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "PROMETHEUS_URL")
    unset = [name for name in names if not os.environ.get(name)]
    return f"{', '.join(unset)} not set" if unset else None


NEEDS = {"docker": _missing_docker, "cluster": _missing_cluster}


NODE_TESTS = ("tests/cluster/rollouts/", "tests/cluster/test_task_pods.py")  # which have the node for themselves


class NodeTestsTogether(LoadFileScheduling):
    """Gives each worker a file at a time, and one worker all files that would otherwise wait for each other."""

    def _split_scope(self, nodeid: str) -> str:
        return "the cluster's node" if nodeid.startswith(NODE_TESTS) else str(super()._split_scope(nodeid))


def pytest_configure() -> None:
    """Lets models be fitted in one thread each: where workers have all cores, more would wait for each other."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """The scheduler of `--dist loadfile`."""
    return NodeTestsTogether(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Says of each failure at once what it is: a run that is cut off has said it."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        reason = next((line[2:].strip() for line in report.longreprtext.splitlines() if line.startswith("E ")), "")
        print(f"\n{report.when} of {report.nodeid} failed: {reason[:300]}")  # noqa: T201


def _rank(item: pytest.Item) -> int:
    """When a test is to begin: what takes longest first, so that no worker is left with it at the end."""
    if item.nodeid.startswith(NODE_TESTS):
        return 0
    return next(
        (rank for rank, need in enumerate(("cluster", "docker", "runs"), 1) if item.get_closest_marker(need)), 4
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Orders files by what their tests need, and skips what cannot run here; in CI a missing need is a failure."""
    ranks: dict[Path, int] = {}
    for item in items:
        ranks[item.path] = min(ranks.get(item.path, 4), _rank(item))
    items.sort(key=lambda item: ranks[item.path])
    for need, missing in NEEDS.items():
        marked = [item for item in items if item.get_closest_marker(need)]
        reason = missing() if marked else None
        if reason is None:
            continue
        if os.environ.get("CI"):
            pytest.exit(f"CI must run the tests marked {need!r}, but {reason}", returncode=1)
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=f"needs {need}: {reason}"))


@pytest.fixture
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture
def insurance(tmp_path: Path) -> Path:
    """A copy of the example project, to change at will."""
    folder = tmp_path / "insurance"
    folder.mkdir()
    for name in ("project.yaml", "contract.yaml", "policy.yaml", "claims.parquet"):
        shutil.copy(ROOT / "examples" / "insurance" / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def small_project() -> Callable[[Path], Path]:
    """Writes a small project below a folder, which registers when it is run as it is; returns its own."""
    return write_small_project


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A small project that registers when it is run as it is."""
    return write_small_project(tmp_path)


@pytest.fixture(scope="session")
def edit() -> Callable[..., None]:
    """``edit(file, {"model.seed": 3})``: sets dotted keys of a YAML file; None removes one."""
    return edit_yaml


@pytest.fixture(scope="session")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Tracking:
    """MLflow on a sqlite file, one for the session: creating its tables takes seconds."""
    made = Tracking(f"sqlite:///{tmp_path_factory.mktemp('tracking') / 'mlflow.db'}")
    made.prepare()
    return made


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """``disk("64k")``: an empty disk of that size."""
    mounted: list[Path] = []

    def new_disk(size: str) -> Path:
        place = tmp_path / "disk"
        place.mkdir()
        mount(place, size)
        mounted.append(place)
        return place

    yield new_disk
    for place in mounted:
        unmount(place)


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the keys that models are signed, verified and encrypted with, which the environment names."""
    folder = tmp_path / "keys"
    folder.mkdir()
    new_keys(folder / "key", folder / "key.pub")
    new_identity(folder / "encryption", folder / "recipient")
    names = ("key", "key.pub", "encryption", "recipient")
    for variable, name in zip((SIGNING_KEY, VERIFYING_KEY, ENCRYPTION_KEY, ENCRYPTION_RECIPIENT), names, strict=True):
        monkeypatch.setenv(variable, str(folder / name))
    return folder


@pytest.fixture
def issuer() -> Iterator[OidcIssuer]:
    """An issuer of identity tokens on this machine."""
    issuer = OidcIssuer()
    yield issuer
    issuer.close()


@pytest.fixture
def release(tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Registers a version as a run does, with a policy of these environments; returns it.

    `files` lie in the place of its evidence: ``policy=b""`` takes the policy away.
    """
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)  # where MLflow looks a model up that is registered

    def register(
        name: str,
        environments: dict[str, Any] | None = None,
        requested_by: str = "ada@example.org",
        blessed: bool = True,
        tags: dict[str, str] | None = None,
        model: Path | None = None,
        store: str = str(tmp_path / "store"),
        bound: dict[str, bytes] | None = None,
        **files: bytes,
    ) -> str:
        policy = minimal_policy(**({"environments": environments} if environments else {}))
        blessing: dict[str, Any] = {"requested_by": requested_by, "blessed": blessed}
        if not blessed:
            blessing |= {"verdict": Verdict.FAILED, "gates": (Gate(name="model", checks=(FAILED_CHECK,)),)}
        return release_version(
            tracking,
            name,
            store=store,
            model=model,
            bound={POLICY_FILE: policy.canonical().encode(), **(bound or {})},
            replaced={f"{key}.json": content for key, content in files.items()},
            blessing=blessing,
            tags=tags,
        )

    return register


FAILED_CHECK = passed_or_failed("metric[roc_auc]", False, message="0.61 on 512 rows; the policy requires at least 0.7")
REQUIREMENTS = f"""
numpy=={installed_version("numpy")} \\
    --hash=sha256:11 \\
    --hash=sha256:22
onnxruntime==1.31.1 --hash=sha256:33
cloudpickle=={installed_version("cloudpickle")} --hash=sha256:66
pyrage=={installed_version("pyrage")} --hash=sha256:55
Prometheus_Client==0.22 ; python_version >= "3.9" --hash=sha256:44
"""
PACKAGES = {
    "modelway": installed_version("modelway"),
    "python": "3.11.9",
    "distribution": "debian",
    "system": [{"name": "libc6", "version": "2.36-9", "architecture": "amd64"}],
}


def compressed(**files: bytes) -> tuple[bytes, str]:
    """A layer as Docker pushes it, and its diff id."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0), Descriptor.of(plain.getvalue(), "").digest


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A serving base in Docker's own format, as an OCI layout, with another platform's manifest beside."""
    layout = Layout(tmp_path / "base")
    bottom, bottom_id = compressed(**{"etc/passwd": b"root:x:0:0", "bin/python": bytes(1000)})
    bill, bill_id = compressed(
        **{
            "opt/modelway/bill/requirements.txt": REQUIREMENTS.encode(),
            "opt/modelway/bill/packages.json": json.dumps(PACKAGES).encode(),
        },
    )
    kind = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    layers = [Descriptor.of(bottom, kind), Descriptor.of(bill, kind)]
    for layer, content in zip(layers, (bottom, bill), strict=True):
        layout.put(layer, io.BytesIO(content))
    config = _document(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"User": "10001:10001", "Labels": {"org.opencontainers.image.title": "modelway serving"}},
            "rootfs": {"type": "layers", "diff_ids": [bottom_id, bill_id]},
            "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "base"}],
        }
    )
    described = Descriptor.of(config, "application/vnd.docker.container.image.v1+json")
    layout.put(described, io.BytesIO(config))
    manifest = _document(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": described.as_json(),
            "layers": [layer.as_json() for layer in layers],
        }
    )
    layout.put_manifest(Image(manifest, config, tuple(layers)), "latest")
    return layout.folder


@dataclass(frozen=True)
class Server:
    """A real registry on this machine."""

    host: str


@pytest.fixture(scope="session")
def registry_command() -> str:
    """go-containerregistry's registry: small, and built from the Go module proxy in seconds."""
    return go_command("registry", "github.com/google/go-containerregistry/cmd/registry@v0.20.3")


@pytest.fixture(scope="session")
def age_command() -> str:
    """age itself, which reads and writes the format that models are encrypted in."""
    return go_command("age", "filippo.io/age/cmd/age@v1.2.1")


@pytest.fixture(scope="session")
def registry(registry_command: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("registry") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([registry_command, "-port", str(port)], stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()  # noqa: PT018
                time.sleep(0.05)
        yield Server(f"127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="session")
def api() -> Api:
    """The API server, asked as the administrator."""
    return api_server()


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Both overlays with their Rollouts, the pipelines' part, and the admission policies."""
    with installed(tmp_path_factory.mktemp("installation")) as environment:
        yield environment
