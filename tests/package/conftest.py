"""A real, small model in a real MLflow, and a serving base of two layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from registered_versions import log_registration, release_version
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline

from modelway.components.core.audit.registered_models import ModelVersion, RegisteredModel
from modelway.components.core.bundle.keys import ENCRYPTION_KEY, ENCRYPTION_RECIPIENT
from modelway.components.core.checks import Gate, passed_or_failed
from modelway.components.core.config.project import Features
from modelway.components.core.evidence.blessing import GATES
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.core.storage.models import folder_sha256
from modelway.components.core.tables.parquet import to_model_input
from modelway.components.features.steps import build
from modelway.components.package.stage import Packaged, package
from modelway.components.train.saving import save
from modelway.components.validate.distributions import measure


def loans(rows: int = 400) -> pl.DataFrame:
    """Rows with numbers, text and dates, each missing at times, and a label that they predict."""
    generator = np.random.default_rng(rows)
    income = generator.lognormal(10, 1, rows)
    region = generator.choice(["north", "south", "east"], rows, p=[0.5, 0.48, 0.02])
    opened = np.datetime64("1999-06-01T07:08:09", "us") + generator.integers(0, 8 * 10**14, rows).astype("m8[us]")
    late = (np.log(income) + (region == "north") + generator.normal(0, 0.5, rows) > 10.5).astype(int)
    frame = pl.DataFrame({"income": income, "region": region, "opened": opened})
    masks = [pl.Series(generator.random(rows) < 0.1) for _ in frame.columns]
    return frame.with_columns(
        pl.when(mask).then(None).otherwise(pl.col(name)).alias(name)
        for mask, name in zip(masks, frame.columns, strict=True)
    ).with_columns(pl.Series("late", late))


FEATURES = Features(numeric=("income",), categorical=("region",), datetime=("opened",), min_frequency=20)


def fit_pipeline(estimator: Any, label: Any = None, features: Features = FEATURES, rows: int = 400) -> Pipeline:
    """A pipeline as `train_model` fits it."""
    frame = loans(rows)
    steps = build(features)
    inputs = steps.fit_transform(to_model_input(frame, features.columns))
    estimator.fit(inputs, frame["late"].to_numpy() if label is None else label)
    return Pipeline([("features", steps), ("model", estimator)])


@pytest.fixture(scope="session")
def fit() -> Callable[..., Pipeline]:
    return fit_pipeline


@pytest.fixture(scope="session")
def frame() -> pl.DataFrame:
    return loans()


@pytest.fixture(scope="session")
def save_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Pipeline], Path]:
    """Saves a pipeline as `train_model` does; returns the folder."""

    def write(pipeline: Pipeline) -> Path:
        folder = tmp_path_factory.mktemp("saved") / "model"
        examples = to_model_input(
            loans(50).drop_nulls().head(5), [str(name) for name in pipeline.steps[0][1].feature_names_in_]
        )
        save(pipeline, str(folder), examples=examples, model_id="m-1", run_id="r-1", location="models/m-1")
        return folder

    return write


@dataclass(frozen=True)
class Version:
    """A registered version; its model's folder is where MLflow keeps it."""

    name: str
    version: str
    model: Path
    tracking: Tracking

    def in_store(self, store: str) -> ModelVersion:
        """The version in a store whose audit log has its registration."""
        version = RegisteredModel(self.name, store, self.tracking).version(self.version)
        log_registration(version)
        return version


@pytest.fixture(scope="session")
def register(tracking: Tracking, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Version]:
    """Registers a model with its evidence as `register_model` does, in a registered model of its own."""
    names = iter(range(1000))

    def register_model(
        model: Path,
        *,
        blessed: bool = True,
        evidence: dict[str, bytes] | None = None,
        replaced: dict[str, bytes] | None = None,
        **tags: str,
    ) -> Version:
        name, work = f"loans-{next(names)}", tmp_path_factory.mktemp("evidence")
        loans().write_parquet(work / "sample.parquet")
        measure(loans(), FEATURES.columns, data_hash="d").write(work / "baseline.json")
        gates = tuple(
            Gate(name=gate, checks=(passed_or_failed("rows", blessed, message="400 rows."),)) for gate in GATES
        )
        blessing = {"run": "run-1", "git_commit": "abc", "requested_by": "ada", "gates": gates, "blessed": blessed}
        version = release_version(
            tracking,
            name,
            model=model,
            bound={file.name: file.read_bytes() for file in work.iterdir()} | (evidence or {}),
            replaced=replaced,
            blessing={**blessing, "verdict": gates[0].verdict, "at": "2026-03-01T12:00:00+00:00"},
            tags={"model_hash": folder_sha256(model), **tags},
        )
        model_id = str(tracking.client.get_model_version(name, version).source).removeprefix("models:/")
        location = str(tracking.client.get_logged_model(model_id).artifact_location)
        return Version(name, version, Path(location.removeprefix("file://")), tracking)

    return register_model


@pytest.fixture(scope="session")
def model(save_model: Callable[[Pipeline], Path]) -> Path:
    return save_model(fit_pipeline(HistGradientBoostingClassifier(max_iter=20, random_state=0)))


@pytest.fixture(scope="session")
def registered(register: Callable[..., Version], model: Path) -> Version:
    return register(model)


@pytest.fixture(autouse=True)
def _services(keys: Path, tracking: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow and the keys as a task has them, but for those that models are encrypted with."""
    assert keys.is_dir()
    monkeypatch.delenv(ENCRYPTION_KEY)
    monkeypatch.delenv(ENCRYPTION_RECIPIENT)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)


@pytest.fixture
def run(base: Path, tmp_path: Path) -> Callable[..., Packaged]:
    def packaged(
        version: Any, target: str | None = None, bundle: str = "bundle", store: str = "", **changes: Any
    ) -> Packaged:
        registered = version.in_store(store or str(tmp_path / "store"))
        to = target or str(tmp_path / "images")
        return package(registered, **{"base": str(base), **changes}, target=to, bundle_path=str(tmp_path / bundle))

    return packaged
