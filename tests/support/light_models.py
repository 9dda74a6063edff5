"""Models that need no library but NumPy, so that a server of one starts in a second."""

from __future__ import annotations

import json
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import cloudpickle
import yaml


def describe_model(folder: Path, file: str, serialization: str, columns: dict[str, str], **more: Any) -> Path:
    """Writes an MLmodel file as MLflow does."""
    inputs = [{"name": name, "type": kind, "required": True, **more} for name, kind in columns.items()]
    flavor = {"pickled_model": file, "serialization_format": serialization}
    document = {"flavors": {"sklearn": flavor}, "signature": {"inputs": json.dumps(inputs)}}
    (folder / "MLmodel").write_text(yaml.safe_dump(document), encoding="utf-8")
    return folder


def write_light_model(folder: Path, model: object, columns: dict[str, str], **more: Any) -> Path:
    """Pickles any object with a `predict` as a model of some columns; returns the folder."""
    folder.mkdir(exist_ok=True)
    (folder / "model.pkl").write_bytes(cloudpickle.dumps(model))
    (folder / "requirements.txt").write_text(f"numpy=={installed_version('numpy')}\n", encoding="utf-8")
    return describe_model(folder, "model.pkl", "cloudpickle", columns, **more)


def twice_the_income() -> object:
    """A model whose class is pickled by value."""

    class Twice:
        def predict(self, rows: Any) -> Any:
            return rows["income"].to_numpy() * 2

    return Twice()
