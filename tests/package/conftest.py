"""A real, small model in a real MLflow, and a serving base of two layers."""

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

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline

from modelway.components.core.blessing import GATES, Hashes, bless
from modelway.components.core.encryption import new_key
from modelway.components.core.models import folder_sha256
from modelway.components.core.policy import Policy
from modelway.components.core.project import Features
from modelway.components.core.signing import new_keys
from modelway.components.core.tables import to_model_input
from modelway.components.core.tracking import Tracking
from modelway.components.core.verdict import Gate, passed_or_failed
from modelway.components.features.steps import build
from modelway.components.package.images import Layout
from modelway.components.package.oci import Descriptor, Image, _document
from modelway.components.train.saving import save

REQUIREMENTS = f"""
numpy=={installed_version("numpy")} \\
    --hash=sha256:11 \\
    --hash=sha256:22
onnxruntime==1.31.1 --hash=sha256:33
Prometheus_Client==0.22 ; python_version >= "3.9" --hash=sha256:44
"""
PACKAGES = {
    "modelway": installed_version("modelway"),
    "python": "3.11.9",
    "distribution": "debian",
    "system": [{"name": "libc6", "version": "2.36-9", "architecture": "amd64"}],
}


def loans(rows: int = 400) -> pl.DataFrame:
    """Rows with numbers, text and dates, each missing at times, and a label that they predict."""
    generator = np.random.default_rng(rows)
    income = generator.lognormal(10, 1, rows)
    region = generator.choice(["north", "south", "east"], rows, p=[0.5, 0.48, 0.02])
    opened = np.datetime64("1999-06-01T07:08:09", "us") + generator.integers(0, 8 * 10**14, rows).astype("m8[us]")
    late = (np.log(income) + (region == "north") + generator.normal(0, 0.5, rows) > 10.5).astype(int)
    frame = pl.DataFrame({"income": income, "region": region, "opened": opened})
    hidden = [pl.Series(generator.random(rows) < 0.1) for _ in frame.columns]
    return frame.with_columns(
        pl.when(gone).then(None).otherwise(pl.col(name)).alias(name)
        for gone, name in zip(hidden, frame.columns, strict=True)
    ).with_columns(pl.Series("late", late))


FEATURES = Features(numeric=("income",), categorical=("region",), datetime=("opened",), min_frequency=20)


def fitted(estimator: Any, label: Any = None, features: Features = FEATURES, rows: int = 400) -> Pipeline:
    """A pipeline as `train_model` fits it."""
    frame = loans(rows)
    steps = build(features)
    prepared = steps.fit_transform(to_model_input(frame, features.columns))
    estimator.fit(prepared, frame["late"].to_numpy() if label is None else label)
    return Pipeline([("features", steps), ("model", estimator)])


@pytest.fixture(scope="session")
def fit() -> Callable[..., Pipeline]:
    return fitted


@pytest.fixture(scope="session")
def frame() -> pl.DataFrame:
    return loans()


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Pipeline], Path]:
    """Saves a pipeline as `train_model` does; returns the folder."""

    def write(pipeline: Pipeline) -> Path:
        folder = tmp_path_factory.mktemp("saved") / "model"
        examples = to_model_input(
            loans(50).drop_nulls().head(5), [str(name) for name in pipeline.steps[0][1].feature_names_in_]
        )
        save(pipeline, str(folder), examples, model_id="m-1", run_id="r-1", location="models/m-1")
        return folder

    return write


@dataclass(frozen=True)
class Version:
    """A registered version; its model's folder is where MLflow keeps it."""

    name: str
    version: str
    model: Path
    tracking: Tracking


@pytest.fixture(scope="session")
def register(tracking: Tracking, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Version]:
    """Registers a model with its evidence as `register_model` does, in a registered model of its own."""
    names = iter(range(1000))

    def make(model: Path, *, blessed: bool = True, evidence: dict[str, bytes] | None = None, **tags: str) -> Version:
        name, work = f"loans-{next(names)}", tmp_path_factory.mktemp("evidence")
        policy = Policy.parse('{"model": {"metrics": {"roc_auc": {"min": 0.6}}}}')
        hashes = Hashes(model=folder_sha256(model), data="d", project="p", contract="c", policy=policy.sha256())
        gates = [Gate(name=gate, checks=(passed_or_failed("rows", blessed, "400 rows."),)) for gate in GATES]
        blessing = bless(
            gates, hashes, project=name, run="run-1", git_commit="abc", requested_by="ada", compared_with=""
        ).model_copy(update={"at": "2026-03-01T12:00:00+00:00"})
        loans().write_parquet(work / "sample.parquet")
        kept = {"blessing.json": blessing.content(), "policy.json": policy.canonical().encode(), "baseline.json": b"{}"}
        for file, content in {**kept, **(evidence or {})}.items():
            (work / file).write_bytes(content)
        described = {"blessing_sha256": blessing.sha256(), "evidence": "evidence/1", "model_hash": hashes.model, **tags}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
            with tracking.run(name, "train", {}) as run_id:
                with tracking.logged_model(run_id, name, {}) as (model_id, location):
                    tracking.upload_model(model_id, str(model))
                tracking.log_evidence(run_id, work, "evidence/1")
            with tracking.new_version(name, model_id, run_id, described) as version:
                stored = Path(location.removeprefix("file://"))
                return Version(name, version, stored, tracking)

    return make


@pytest.fixture(scope="session")
def model(saved: Callable[[Pipeline], Path]) -> Path:
    return saved(fitted(HistGradientBoostingClassifier(max_iter=20, random_state=0)))


@pytest.fixture(scope="session")
def registered(register: Callable[..., Version], model: Path) -> Version:
    return register(model)


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, tracking: Tracking, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the keys, as a task has them mounted."""
    folder = tmp_path / "keys"
    folder.mkdir()
    new_keys(folder / "key", folder / "key.pub")
    new_key(folder / "encryption")
    monkeypatch.setenv("MODELWAY_SIGNING_KEY", str(folder / "key"))
    monkeypatch.delenv("MODELWAY_ENCRYPTION_KEY", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
    return folder


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
    named = os.environ.get("MODELWAY_TEST_REGISTRY") or shutil.which("registry")
    if named:
        return named
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelway-tests"
    if not (folder / "registry").exists():
        if shutil.which("go") is None:
            if os.environ.get("CI"):
                pytest.fail("CI must test against a registry, but there is no Go to build one")
            pytest.skip("needs a registry: set MODELWAY_TEST_REGISTRY, or install Go to build one")
        subprocess.run(
            ["go", "install", "github.com/google/go-containerregistry/cmd/registry@v0.20.3"],
            env={**os.environ, "GOBIN": str(folder)},
            check=True,
            timeout=600,
        )
    return str(folder / "registry")


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
