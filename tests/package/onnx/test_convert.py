"""A converted model answers as the pipeline does, or is not taken."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import polars as pl
import pytest
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from modelway.components.core.bundle.bundle import MISSING_TEXT, MISSING_TIME
from modelway.components.core.config.project import Features
from modelway.components.core.tables.parquet import to_model_input
from modelway.components.features.steps import build
from modelway.components.package.onnx.convert import _compare, convert, to_feed

COLUMNS = ["income", "region", "opened"]


def test_a_conversion_that_answers_otherwise_is_not_taken(
    fit: Callable[..., Pipeline], save_model: Callable[..., Path], frame: pl.DataFrame, predict: Callable[..., Any]
) -> None:
    conversion = convert(save_model(fit(HistGradientBoostingClassifier(max_iter=40))), frame)
    assert conversion.content is not None
    rows = to_model_input(frame, COLUMNS)
    other_pipeline = fit(HistGradientBoostingClassifier(max_iter=3))
    rejected = _compare(other_pipeline, conversion.content, rows=rows)
    assert rejected.content is None
    assert "another label for" in rejected.reason
    agreeing = other_pipeline.predict(rows) == predict(conversion, frame)["label"]
    rejected = _compare(other_pipeline, conversion.content, rows=rows[agreeing])
    assert rejected.content is None
    assert "A probability differs by up to" in rejected.reason


def test_its_inputs_are_the_columns_and_it_says_where_none_may_be_missing(
    save_model: Callable[..., Path], frame: pl.DataFrame
) -> None:
    features = Features(numeric=("income",), categorical=("region",), datetime=("opened",), impute="none")
    estimator = Pipeline([("scale", StandardScaler()), ("model", LogisticRegression())])
    complete = frame.with_columns(pl.col("income").fill_null(1.0), pl.col("opened").fill_null(dt.datetime(2001, 2, 3)))
    steps = build(features)
    inputs = steps.fit_transform(to_model_input(complete, COLUMNS))
    pipeline = Pipeline([("features", steps), ("model", estimator.fit(inputs, complete["late"].to_numpy()))])
    conversion = convert(save_model(pipeline), complete)
    assert conversion.content is not None, conversion.reason
    session = onnxruntime.InferenceSession(conversion.content, providers=["CPUExecutionProvider"])
    assert [(output.name, output.type, output.shape[1]) for output in session.get_inputs()] == [
        ("income", "tensor(double)", 1),
        ("region", "tensor(string)", 1),
        ("opened", "tensor(int64)", 1),
    ]
    metadata = json.loads(session.get_modelmeta().custom_metadata_map["modelway"])
    assert metadata == {"no_missing": ["income", "opened"]}


def test_the_same_model_gives_the_same_bytes(model: Path, frame: pl.DataFrame) -> None:
    assert convert(model, frame).content == convert(model, frame).content is not None


@pytest.mark.parametrize(
    "rows", [pl.DataFrame({"income": [1.0]}), pl.DataFrame(schema=dict.fromkeys(COLUMNS, pl.String))]
)
def test_without_rows_to_compare_on_nothing_is_taken(model: Path, rows: pl.DataFrame) -> None:
    conversion = convert(model, rows)
    assert conversion.content is None
    assert "lacks" in conversion.reason


def test_missing_values_are_sent_as_agreed() -> None:
    feed = to_feed(
        {
            "number": np.array([1.5, np.nan]),
            "text": np.array(["a", None], dtype=object),
            "time": np.array(["1970-01-01T00:00:01", "NaT"], "M8[us]"),
        }
    )
    assert feed["number"].tolist()[0] == [1.5]
    assert np.isnan(feed["number"][1, 0])
    assert feed["text"].tolist() == [["a"], [MISSING_TEXT]]
    assert feed["time"].tolist() == [[1_000_000], [MISSING_TIME]]
