"""Models on disk, light enough that a server of one starts in a second, and one that was trained_model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from light_models import twice_the_income, write_light_model
from served_models import COLUMNS, SignedBundle, TrainedModel, sample_rows, train_model, write_release

Write = Callable[..., Path]


@pytest.fixture
def write_model(tmp_path: Path) -> Write:
    """Pickles any object with a `predict` as a model of some columns."""

    def write(model: object, columns: dict[str, str] = COLUMNS, **more: Any) -> Path:
        return write_light_model(tmp_path / "model", model, columns, **more)

    return write


@pytest.fixture
def light(write_model: Write) -> Path:
    return write_model(twice_the_income())


@pytest.fixture(scope="session")
def rows() -> pl.DataFrame:
    return sample_rows()


@pytest.fixture(scope="session")
def trained_model(tmp_path_factory: pytest.TempPathFactory, rows: pl.DataFrame) -> TrainedModel:
    return train_model(tmp_path_factory.mktemp("trained"), rows)


@pytest.fixture
def release(trained_model: TrainedModel, rows: pl.DataFrame, tmp_path: Path) -> SignedBundle:
    return write_release(tmp_path, trained_model, rows)


@pytest.fixture
def read_log(tmp_path: Path) -> Callable[[], pl.DataFrame]:
    """Reads all files of a prediction log below the test's folder."""

    def read() -> pl.DataFrame:
        files = sorted(tmp_path.rglob("*.parquet"))
        return pl.concat([pl.read_parquet(file, hive_partitioning=False) for file in files], how="diagonal")

    return read
