"""A small trained model with numbers, texts and times, and a signed release of it, as they are served."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import skops.io
from light_models import describe_model
from user_files import minimal_project_text

from modelway.components.core.bundle.bundle import Bundle
from modelway.components.core.bundle.keys import new_keys
from modelway.components.core.bundle.signing import sign
from modelway.components.core.config.project import Project
from modelway.components.core.storage.models import folder_sha256
from modelway.components.core.tables.parquet import to_model_input
from modelway.components.package.onnx.convert import convert
from modelway.components.prepare.stage import prepare
from modelway.components.train.fit import fit_pipeline
from modelway.components.validate.distributions import measure

COLUMNS = {"income": "double", "age": "long", "region": "string", "opened": "datetime"}


def sample_rows() -> pl.DataFrame:
    """Rows of numbers, whole numbers, categories and times, with some values missing."""
    dice = np.random.default_rng(0)
    count = 120
    income = dice.normal(size=count)
    opening_times = [
        dt.datetime(2024, 1, 1) + dt.timedelta(days=int(day), microseconds=7) for day in dice.integers(0, 99, count)
    ]
    return pl.DataFrame(
        {
            "income": income,
            "age": [None if number % 9 == 0 else number for number in range(count)],
            "region": [
                None if number % 11 == 0 else str(name) for number, name in enumerate(dice.choice(["n", "s"], count))
            ],
            "opened": [None if number % 13 == 0 else time for number, time in enumerate(opening_times)],
            "late": np.where(income + 0.5 * dice.normal(size=count) > 0, "yes", "no"),
        }
    )


@dataclass(frozen=True)
class TrainedModel:
    """A model on disk, its pipeline, and the rows as the pipeline takes them."""

    folder: Path
    pipeline: Any
    raw: pd.DataFrame


def train_model(folder: Path, rows: pl.DataFrame) -> TrainedModel:
    """A pipeline as the stages before make it, on disk in skops."""
    text = minimal_project_text(
        features={"numeric": ["income", "age"], "categorical": ["region"], "datetime": ["opened"]},
        model={"estimator": "sklearn.linear_model.LogisticRegression", "parameters": {"max_iter": 500}},
    )
    rows.write_parquet(folder / "train")
    prepare(str(folder / "train"), text, steps_path=str(folder / "steps"), prepared_path=str(folder / "prepared"))
    project = Project.parse(text)
    pipeline = fit_pipeline(project, pl.read_parquet(folder / "prepared"), steps=folder / "steps" / "steps.skops")
    (folder / "model").mkdir()
    skops.io.dump(pipeline, folder / "model" / "model.skops")
    describe_model(folder / "model", "model.skops", "skops", COLUMNS)
    return TrainedModel(folder / "model", pipeline, to_model_input(rows, project.features.columns))


@dataclass(frozen=True)
class SignedBundle:
    """A signed bundle, and the keys: ``key`` and ``key.pub`` in their folder."""

    folder: Path
    keys: Path

    def sign(self) -> SignedBundle:
        """Writes what the bundle says of itself, and signs it."""
        document = {
            "name": "loans",
            "version": "3",
            "blessing_sha256": Bundle(self.folder).blessing_sha256(),
            "model_hash": folder_sha256(self.folder / "model"),
            "onnx": (self.folder / "model.onnx").exists(),
            "created_by": "a test",
        }
        (self.folder / "release.json").write_text(json.dumps(document), encoding="utf-8")
        sign(self.folder, self.folder / "release.sig", private_key=self.keys / "key")
        return self


def write_release(root: Path, trained_model: TrainedModel, rows: pl.DataFrame) -> SignedBundle:
    """A signed bundle of the trained model, converted, and its keys."""
    keys, folder = root / "keys", root / "release"
    keys.mkdir()
    new_keys(keys / "key", keys / "key.pub")
    shutil.copytree(trained_model.folder, folder / "model")
    describe_model(folder / "model", "model.skops", "skops", {**COLUMNS, "age": "double"})  # as `train_model` has it
    conversion = convert(folder / "model", rows)
    assert conversion.content is not None, conversion.reason
    (folder / "model.onnx").write_bytes(conversion.content)
    measure(rows, list(COLUMNS), data_hash="").write(folder / "baseline.json")
    (folder / "policy.json").write_text('{"serving": {"sla": {"p95_ms": 7.5, "p99_ms": null}}}', encoding="utf-8")
    blessing = {"blessed": True, "hashes": {"model": folder_sha256(folder / "model")}}
    (folder / "blessing.json").write_text(json.dumps(blessing), encoding="utf-8")
    return SignedBundle(folder, keys).sign()
