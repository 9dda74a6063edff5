"""A preparation as ONNX gives the features that the pipeline's does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline

from modelway.components.core.bundle.bundle import MISSING_TEXT
from modelway.components.core.config.project import Features
from modelway.components.core.storage.models import load_model
from modelway.components.core.tables.parquet import to_model_input
from modelway.components.features.steps import DatetimeParts
from modelway.components.package.onnx.convert import convert, to_feed
from modelway.components.package.onnx.graph import Graph
from modelway.components.package.onnx.preparation import _add_time_parts


@pytest.mark.parametrize("impute", ["median", "mean", "none"])
@pytest.mark.parametrize("scale", ["none", "standard"])
def test_every_preparation_is_converted(
    fit: Callable[..., Pipeline], save_model: Callable[..., Path], frame: pl.DataFrame, impute: str, scale: str
) -> None:
    settings = {"impute": impute, "scale": scale, "min_frequency": 20}
    features = Features(numeric=("income",), categorical=("region",), datetime=("opened",), **settings)
    conversion = convert(save_model(fit(HistGradientBoostingClassifier(max_iter=10), None, features)), frame)
    assert conversion.content is not None, conversion.reason
    assert conversion.difference is not None
    assert conversion.difference < 1e-14


def test_missing_unseen_and_infrequent_values_are_treated_as_the_pipeline_does(
    fit: Callable[..., Pipeline], save_model: Callable[..., Path], frame: pl.DataFrame, predict: Callable[..., Any]
) -> None:
    folder = save_model(fit(HistGradientBoostingClassifier(max_iter=30)))
    conversion, odd = convert(folder, frame), frame.head(6)
    odd = odd.with_columns(
        pl.Series("region", [None, "", "nowhere", "east", "north", MISSING_TEXT]),
        pl.Series("income", [None, -1e308, 1e308, 0.0, -0.0, 5e-324]),
    )
    rows = to_model_input(odd, ["income", "region", "opened"])
    np.testing.assert_allclose(
        predict(conversion, odd)["probabilities"][:5], load_model(folder).predict_proba(rows)[:5], atol=1e-14
    )


def test_parts_of_any_time_are_those_of_pandas() -> None:
    times = np.array(
        ["0001-01-01", "1582-10-15", "1600-02-29T23:59:59.999999", "1899-12-31", "1969-12-31T23:00"], "M8[us]"
    )
    times = np.concatenate([times, np.arange("1995-12-01", "2005-03-05", 7, dtype="M8[D]").astype("M8[us]")])
    times = np.append(times, np.array(["2100-02-28T12:34:56", "9999-12-31T23:59:59", "NaT"], "M8[us]"))
    graph = Graph()
    parts = _add_time_parts(graph, graph.input("opened", np.int64))
    graph.add("Identity", parts, output="parts")
    model = graph.model([("parts", np.float64, (None, 5))], {})
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (conversion,) = session.run(None, to_feed({"opened": times}))
    expected = DatetimeParts().fit_transform(pd.DataFrame({"opened": times}))
    np.testing.assert_array_equal(conversion, expected)
