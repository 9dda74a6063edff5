"""Trees as ONNX predict to double precision what scikit-learn's do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline

from modelway.components.core.storage.models import load_model
from modelway.components.core.tables.parquet import to_model_input
from modelway.components.package.onnx.convert import convert


def test_boosted_trees_agree_to_double_precision(
    fit: Callable[..., Pipeline], save_model: Callable[..., Path], frame: pl.DataFrame, predict: Callable[..., Any]
) -> None:
    folder = save_model(fit(HistGradientBoostingClassifier(max_iter=40, random_state=0)))
    conversion = convert(folder, frame)
    assert conversion.content is not None
    assert conversion.difference is not None
    assert conversion.difference < 1e-14
    assert conversion.rows > len(frame)
    rows = to_model_input(frame, ["income", "region", "opened"])
    predictions, pipeline = predict(conversion, frame), load_model(folder)
    np.testing.assert_array_equal(predictions["label"], pipeline.predict(rows))
    np.testing.assert_allclose(predictions["probabilities"], pipeline.predict_proba(rows), atol=1e-14)
    assert predictions["probabilities"].dtype == np.float64
