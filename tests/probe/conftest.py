"""A test split, and models light enough that a server of one starts in a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import yaml
from light_models import write_light_model
from user_files import minimal_project_text

from modelway.components.core.checks import Check, Gate
from modelway.components.core.storage.models import folder_sha256
from modelway.components.probe.stage import probe

PROJECT = minimal_project_text(
    task="regression",
    label="score",
    features={"numeric": ["income"], "categorical": ["region"]},
    model={"estimator": "sklearn.linear_model.Ridge"},
)


class Light:
    """Doubles the income; pickled by value, so that the server needs nothing but NumPy and pandas."""

    def predict(self, rows: pd.DataFrame) -> Any:
        return rows["income"].to_numpy() * 2


def _table(count: int = 30) -> pl.DataFrame:
    dice = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "income": dice.normal(size=count),
            "region": [str(name) for name in dice.choice(["north", "south"], count)],
            "score": dice.normal(size=count),
        }
    )


@dataclass(frozen=True)
class Prober:
    """A folder to write a model and a test split into, and the call that probes the one with the other."""

    folder: Path
    table = staticmethod(_table)

    def __call__(
        self,
        model: type = Light,
        *,
        test: pl.DataFrame | None = None,
        model_hash: str | None = None,
        more: dict[str, Any] | None = None,
        **serving: Any,
    ) -> Gate:
        self.write(model)
        (self.table() if test is None else test).write_parquet(self.folder / "test")
        settings = {"requests": 40, "warm_up": 4, "connections": 2, "rows": 12, "timeout_seconds": 30, **serving}
        policy = {"model": {"metrics": {"r2": {"min": 0}}}, "serving": settings, **(more or {})}
        return probe(
            str(self.model),
            str(self.folder / "test"),
            project_text=PROJECT,
            policy_text=yaml.safe_dump(policy),
            model_hash=folder_sha256(self.model) if model_hash is None else model_hash,
            as_of="2026-01-15",
            report_path=str(self.folder / "report.html"),
        )

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def page(self) -> str:
        return (self.folder / "report.html").read_text(encoding="utf-8")

    def write(self, model: type) -> None:
        """Pickles an instance by value, and states its columns as MLflow does."""
        write_light_model(self.model, _by_value(model)(), {"income": "double", "region": "string"})


def _by_value(model: type) -> type:
    """The class as one that cloudpickle writes out whole, since the server cannot import the tests."""
    return type(model.__name__, (), {**{n: v for n, v in vars(model).items() if callable(v)}, "__module__": "__main__"})


@pytest.fixture
def prober(tmp_path: Path) -> Prober:
    return Prober(tmp_path)


Find = Callable[[Gate, str], Check]


@pytest.fixture
def find() -> Find:
    """A gate's check by its name."""

    def found(gate: Gate, name: str) -> Check:
        (one,) = [check for check in gate.checks if check.name == name]
        return one

    return found
