"""The real command, and small projects for it to run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

Ran = subprocess.CompletedProcess[str]
OURS = ("MODELWAY_", "MLFLOW_", "AWS_", "MINIO_")


def run_command(*arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None, limit: float = 150) -> Ran:
    """Runs ``modelway`` as a process of its own, with none of our variables but those given."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return subprocess.run(
        [sys.executable, "-m", "modelway.pipelines.cli", *map(str, arguments)],
        cwd=cwd,
        env={**clean, **(env or {})},
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )


@pytest.fixture(scope="session")
def modelway() -> Callable[..., Ran]:
    """``modelway(*arguments, cwd=…, env=…, limit=…)``: the finished process."""
    return run_command


@pytest.fixture(scope="session")
def registered_versions() -> Callable[[Path, str], list[str]]:
    """``registered_versions(home, name)``: the versions that the registry in a home has, the newest first."""

    def versions(home: Path, name: str) -> list[str]:
        database = home / "mlflow.db"
        if not database.exists():
            return []
        from modelway.components.core.tracking import Tracking

        return [str(one.version) for one in Tracking(f"sqlite:///{database}").versions(name)]

    return versions


@pytest.fixture(scope="session")
def edit() -> Callable[..., None]:
    """``edit(file, {"model.seed": 3})``: sets dotted keys of a YAML file; None removes one."""

    def change(file: Path, keys: Mapping[str, Any]) -> None:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        for dotted, value in keys.items():
            *parents, last = dotted.split(".")
            place = content
            for parent in parents:
                place = place.setdefault(parent, {})
            if value is None:
                del place[last]
            else:
                place[last] = value
        file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    return change


def visits(rows: int = 600) -> pl.DataFrame:
    """A small table with a column of every kind, and a label that can be learnt from it."""
    rng = np.random.default_rng(3)
    age, paid = rng.uniform(18, 90, rows).round(1), rng.gamma(2.0, 50.0, rows).round(2)
    days = rng.integers(0, 365, rows)
    start = pl.date(2025, 1, 1).dt.offset_by
    ill = (age - 50) / 15 + rng.normal(0, 0.7, rows) > 0
    return pl.select(
        visit=pl.Series(np.arange(1, rows + 1)),
        age=pl.Series(age),
        paid=pl.Series(paid),
        city=pl.Series(rng.choice(["Ulm", "Köln", "Jena"], rows)),
        since=start(pl.format("{}d", pl.Series(days))),
        ill=pl.Series(ill.astype(int)),
    )


@pytest.fixture(scope="session")
def visits_table() -> pl.DataFrame:
    """The small table."""
    return visits()


@pytest.fixture(scope="session")
def small_project() -> Callable[[Path], Path]:
    """Writes a small project below a folder, which registers when it is run as it is; returns its own."""
    return _small_project


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A small project that registers when it is run as it is."""
    return _small_project(tmp_path)


def _small_project(place: Path) -> Path:
    folder = place / "small"
    folder.mkdir()
    visits().write_csv(folder / "visits.csv")
    project = {
        "name": "visits",
        "task": "binary",
        "label": "ill",
        "data": {"source": "visits.csv", "split": {"by": "row", "column": "visit", "test_fraction": 0.4}},
        "features": {"numeric": ["age", "paid"], "categorical": ["city"], "datetime": ["since"]},
        "model": {"estimator": "sklearn.tree.DecisionTreeClassifier", "parameters": {"max_depth": 3}},
    }
    contract = {
        "columns": {
            "visit": {"type": "integer", "unique": True},
            "age": {"type": "number", "minimum": 0, "maximum": 120},
            "paid": {"type": "number", "minimum": 0},
            "city": {"type": "string", "categories": ["Jena", "Köln", "Ulm"]},
            "since": {"type": "date"},
            "ill": {"type": "integer", "categories": [0, 1]},
        }
    }
    policy = {"model": {"metrics": {"roc_auc": {"min": 0.7}}, "minimum_rows": 100}}
    for name, content in {"project": project, "contract": contract, "policy": policy}.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return folder
