"""Rows to train on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.pipeline import Pipeline
from user_files import minimal_project_text

from modelway.components.core.config.project import Project
from modelway.components.core.storage.models import STEPS_FILE
from modelway.components.core.tables.parquet import to_model_input
from modelway.components.prepare.stage import prepare
from modelway.components.train.fit import fit_pipeline


@pytest.fixture(scope="session")
def rows() -> pl.DataFrame:
    """Rows whose label follows from a number, a category and a date, with some values missing."""
    dice = np.random.default_rng(0)
    count = 240
    income = dice.normal(size=count)
    region = dice.choice(["north", "south", "west"], count)
    days = dice.integers(0, 300, count)
    signal = income + (region == "north") + days / 300 + 0.3 * dice.normal(size=count)
    return pl.DataFrame(
        {
            "income": income,
            "age": [None if number % 9 == 0 else number for number in range(count)],
            "region": [None if number % 11 == 0 else str(name) for number, name in enumerate(region)],
            "opened": [dt.datetime(2024, 1, 1) + dt.timedelta(days=int(day), hours=int(day) % 24) for day in days],
            "score": signal,
            "late": (signal > 0.8).astype(int),
            "grade": np.select([signal > 1.2, signal > 0.3], ["a", "b"], "c"),
        }
    )


@dataclass(frozen=True)
class Prepared:
    """A project, its training rows as raw model input, and what the features stage made of them."""

    project: Project
    raw: pd.DataFrame
    table: pl.DataFrame
    steps: Path

    def fit(self) -> Pipeline:
        return fit_pipeline(self.project, self.table, steps=self.steps)


Prepare = Callable[..., Prepared]


@pytest.fixture
def prepare_rows(tmp_path: Path, rows: pl.DataFrame) -> Prepare:
    """Prepares the rows for a model; keywords are keys of `model` and, with `features`, of `features`."""

    def prepare_for(
        model: dict[str, Any],
        *,
        task: str = "binary",
        label: str = "late",
        features: dict[str, Any] | None = None,
        table: pl.DataFrame = rows,
    ) -> Prepared:
        keys = {"numeric": ["income", "age"], "categorical": ["region"], "datetime": ["opened"]}
        keys |= {"scale": "standard", **(features or {})}
        text = minimal_project_text(task=task, label=label, features=keys, model=model)
        table.write_parquet(tmp_path / "train")
        prepare(
            str(tmp_path / "train"),
            text,
            steps_path=str(tmp_path / "steps"),
            prepared_path=str(tmp_path / "prepared"),
        )
        project = Project.parse(text)
        raw = to_model_input(table, project.features.columns)
        return Prepared(project, raw, pl.read_parquet(tmp_path / "prepared"), tmp_path / "steps" / STEPS_FILE)

    return prepare_for
