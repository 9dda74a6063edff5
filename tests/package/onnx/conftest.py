"""Predictions by a converted model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnxruntime
import polars as pl
import pytest

from modelway.components.core.tables.parquet import to_model_input
from modelway.components.package.onnx.convert import Conversion, to_feed

COLUMNS = ["income", "region", "opened"]


@pytest.fixture(scope="session")
def predict() -> Callable[[Conversion, pl.DataFrame], dict[str, Any]]:
    """Runs a converted model on rows; returns its outputs by their names."""

    def run(conversion: Conversion, frame: pl.DataFrame) -> dict[str, Any]:
        session = onnxruntime.InferenceSession(conversion.content, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        rows = to_model_input(frame, COLUMNS)
        feed = to_feed({name: rows[name].to_numpy() for name in COLUMNS})
        return dict(zip(names, session.run(names, feed), strict=True))

    return run
