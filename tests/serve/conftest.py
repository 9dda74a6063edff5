"""Models on disk, light enough that a server of one starts in a second, and one that was trained."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
import yaml

from modelway.components.core.project import Project
from modelway.components.core.tables import to_model_input
from modelway.components.features.prepare import prepare
from modelway.components.train.fit import fit_pipeline

COLUMNS = {"income": "double", "age": "long", "region": "string", "opened": "datetime"}


def describe(folder: Path, file: str, serialization: str, columns: dict[str, str], **more: Any) -> Path:
    """Writes an MLmodel file as MLflow does."""
    inputs = [{"name": name, "type": kind, "required": True, **more} for name, kind in columns.items()]
    flavor = {"pickled_model": file, "serialization_format": serialization}
    document = {"flavors": {"sklearn": flavor}, "signature": {"inputs": json.dumps(inputs)}}
    (folder / "MLmodel").write_text(yaml.safe_dump(document), encoding="utf-8")
    return folder


Write = Callable[..., Path]


@pytest.fixture
def write_model(tmp_path: Path) -> Write:
    """Pickles any object with a `predict` as a model of some columns."""

    def written(model: object, columns: dict[str, str] = COLUMNS, **more: Any) -> Path:
        folder = tmp_path / "model"
        folder.mkdir()
        (folder / "model.pkl").write_bytes(cloudpickle.dumps(model))
        return describe(folder, "model.pkl", "cloudpickle", columns, **more)

    return written


def twice_the_income() -> object:
    """A model that needs no library but NumPy, by value."""

    class Twice:
        def predict(self, rows: pd.DataFrame) -> Any:
            return rows["income"].to_numpy() * 2

    return Twice()


@pytest.fixture
def light(write_model: Write) -> Path:
    return write_model(twice_the_income())


@pytest.fixture(scope="session")
def rows() -> pl.DataFrame:
    """Rows of numbers, whole numbers, categories and times, with some values missing."""
    dice = np.random.default_rng(0)
    count = 120
    income = dice.normal(size=count)
    opened = [
        dt.datetime(2024, 1, 1) + dt.timedelta(days=int(day), microseconds=7) for day in dice.integers(0, 99, count)
    ]
    return pl.DataFrame(
        {
            "income": income,
            "age": [None if number % 9 == 0 else number for number in range(count)],
            "region": [
                None if number % 11 == 0 else str(name) for number, name in enumerate(dice.choice(["n", "s"], count))
            ],
            "opened": [None if number % 13 == 0 else time for number, time in enumerate(opened)],
            "late": np.where(income + 0.5 * dice.normal(size=count) > 0, "yes", "no"),
        }
    )


@dataclass(frozen=True)
class Trained:
    folder: Path
    pipeline: Any
    raw: pd.DataFrame


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, rows: pl.DataFrame) -> Trained:
    """A pipeline as the stages before make it, on disk in skops."""
    folder = tmp_path_factory.mktemp("trained")
    text = yaml.safe_dump(
        {
            "name": "loans",
            "task": "binary",
            "label": "late",
            "data": {"source": "x.csv"},
            "features": {"numeric": ["income", "age"], "categorical": ["region"], "datetime": ["opened"]},
            "model": {"estimator": "sklearn.linear_model.LogisticRegression", "parameters": {"max_iter": 500}},
        }
    )
    rows.write_parquet(folder / "train")
    prepare(str(folder / "train"), text, steps_path=str(folder / "steps"), prepared_path=str(folder / "prepared"))
    project = Project.parse(text)
    pipeline = fit_pipeline(project, pl.read_parquet(folder / "prepared"), folder / "steps" / "steps.skops")
    (folder / "model").mkdir()
    skops.io.dump(pipeline, folder / "model" / "model.skops")
    describe(folder / "model", "model.skops", "skops", COLUMNS)
    return Trained(folder / "model", pipeline, to_model_input(rows, project.features.columns))
