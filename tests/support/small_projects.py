"""Small projects for tests to run, and to change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

FEW_REQUESTS = {"rows": 8, "warm_up": 5, "requests": 20}  # of a policy's section `serving`: a probe takes seconds less


def edit_yaml(file: Path, keys: Mapping[str, Any]) -> None:
    """Sets dotted keys of a YAML file; None removes one."""
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


def write_small_project(place: Path) -> Path:
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
    policy = {"model": {"metrics": {"roc_auc": {"min": 0.7}}, "minimum_rows": 100}, "serving": FEW_REQUESTS}
    for name, content in {"project": project, "contract": contract, "policy": policy}.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return folder
