"""A converted model answers as the pipeline does, or is not taken."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import polars as pl
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from modelway.components.core.bundle.bundle import MISSING_TEXT, MISSING_TIME
from modelway.components.core.config.project import Features
from modelway.components.core.storage.models import load_model
from modelway.components.core.tables.parquet import to_model_input
from modelway.components.features.steps import DatetimeParts, build
from modelway.components.package.onnx.convert import Conversion, _compare, convert, to_feed
from modelway.components.package.onnx.graph import Graph
from modelway.components.package.onnx.preparation import _add_time_parts

COLUMNS = ["income", "region", "opened"]
TEXTS = np.array(["low", "middle", "high"], dtype=object)


def terciles(frame: pl.DataFrame) -> Any:
    income = frame["income"].fill_null(20000.0)
    return TEXTS[np.digitize(income, np.quantile(income, [1 / 3, 2 / 3]))]


def answers(conversion: Conversion, frame: pl.DataFrame) -> dict[str, Any]:
    session = onnxruntime.InferenceSession(conversion.content, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    rows = to_model_input(frame, COLUMNS)
    feed = to_feed({name: rows[name].to_numpy() for name in COLUMNS})
    return dict(zip(names, session.run(names, feed), strict=True))


def test_boosted_trees_agree_to_double_precision(
    fit: Callable[..., Pipeline], saved: Callable[..., Path], frame: pl.DataFrame
) -> None:
    folder = saved(fit(HistGradientBoostingClassifier(max_iter=40, random_state=0)))
    found = convert(folder, frame)
    assert found.content is not None
    assert found.difference is not None
    assert found.difference < 1e-14
    assert found.rows > len(frame)
    rows = to_model_input(frame, COLUMNS)
    given, pipeline = answers(found, frame), load_model(folder)
    np.testing.assert_array_equal(given["label"], pipeline.predict(rows))
    np.testing.assert_allclose(given["probabilities"], pipeline.predict_proba(rows), atol=1e-14)
    assert given["probabilities"].dtype == np.float64


@pytest.mark.parametrize("impute", ["median", "mean", "none"])
@pytest.mark.parametrize("scale", ["none", "standard"])
def test_every_preparation_is_converted(
    fit: Callable[..., Pipeline], saved: Callable[..., Path], frame: pl.DataFrame, impute: str, scale: str
) -> None:
    chosen = {"impute": impute, "scale": scale, "min_frequency": 20}
    features = Features(numeric=("income",), categorical=("region",), datetime=("opened",), **chosen)
    found = convert(saved(fit(HistGradientBoostingClassifier(max_iter=10), None, features)), frame)
    assert found.content is not None, found.reason
    assert found.difference is not None
    assert found.difference < 1e-14


ESTIMATORS = {
    "three classes of text": (HistGradientBoostingClassifier(max_iter=10), terciles),
    "a regressor": (HistGradientBoostingRegressor(max_iter=10), lambda frame: np.arange(len(frame)) / 7.0),
    "a regressor of counts": (HistGradientBoostingRegressor(loss="poisson", max_iter=10), lambda frame: frame["late"]),
    "trees that are one leaf": (HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=300), None),
    "a pipeline of its own": (Pipeline([("scale", StandardScaler()), ("model", LogisticRegression())]), None),
    "a linear classifier of three": (LogisticRegression(max_iter=20), terciles),
    "a linear regressor": (Ridge(), lambda frame: frame["late"].to_numpy() * 1.5),
    "a forest of pure leaves, which ties": (RandomForestClassifier(10, random_state=0), None),
    "a forest of three classes": (ExtraTreesClassifier(8, max_depth=4, random_state=0), terciles),
    "single-precision trees": (GradientBoostingRegressor(n_estimators=5), lambda frame: frame["late"] * 1.5),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("estimator", "label"), ESTIMATORS.values(), ids=ESTIMATORS)
def test_an_estimator_is_converted(
    fit: Callable[..., Pipeline], saved: Callable[..., Path], frame: pl.DataFrame, estimator: Any, label: Any
) -> None:
    found = convert(saved(fit(estimator, None if label is None else label(frame))), frame)
    assert found.content is not None, found.reason
    assert "differs by at most" in found.reason


def test_an_estimator_without_a_counterpart_is_served_by_its_pipeline(
    fit: Callable[..., Pipeline], saved: Callable[..., Path], frame: pl.DataFrame
) -> None:
    found = convert(saved(fit(DummyClassifier())), frame)
    assert found.content is None
    assert "DummyClassifier does not convert" in found.reason


def test_a_conversion_that_answers_otherwise_is_not_taken(
    fit: Callable[..., Pipeline], saved: Callable[..., Path], frame: pl.DataFrame
) -> None:
    found = convert(saved(fit(HistGradientBoostingClassifier(max_iter=40))), frame)
    assert found.content is not None
    rows = to_model_input(frame, COLUMNS)
    other = fit(HistGradientBoostingClassifier(max_iter=3))
    compared = _compare(other, found.content, rows=rows)
    assert compared.content is None
    assert "another label for" in compared.reason
    alike = other.predict(rows) == answers(found, frame)["label"]
    compared = _compare(other, found.content, rows=rows[alike])
    assert compared.content is None
    assert "A probability differs by up to" in compared.reason


def test_missing_unseen_and_infrequent_values_are_treated_as_the_pipeline_does(
    fit: Callable[..., Pipeline], saved: Callable[..., Path], frame: pl.DataFrame
) -> None:
    folder = saved(fit(HistGradientBoostingClassifier(max_iter=30)))
    found, odd = convert(folder, frame), frame.head(6)
    odd = odd.with_columns(
        pl.Series("region", [None, "", "nowhere", "east", "north", MISSING_TEXT]),
        pl.Series("income", [None, -1e308, 1e308, 0.0, -0.0, 5e-324]),
    )
    rows = to_model_input(odd, COLUMNS)
    np.testing.assert_allclose(
        answers(found, odd)["probabilities"][:5], load_model(folder).predict_proba(rows)[:5], atol=1e-14
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
    made = graph.model([("parts", np.float64, (None, 5))], {})
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, to_feed({"opened": times}))
    expected = DatetimeParts().fit_transform(pd.DataFrame({"opened": times}))
    np.testing.assert_array_equal(found, expected)


def test_its_inputs_are_the_columns_and_it_says_where_none_may_be_missing(
    saved: Callable[..., Path], frame: pl.DataFrame
) -> None:
    features = Features(numeric=("income",), categorical=("region",), datetime=("opened",), impute="none")
    estimator = Pipeline([("scale", StandardScaler()), ("model", LogisticRegression())])
    whole = frame.with_columns(pl.col("income").fill_null(1.0), pl.col("opened").fill_null(dt.datetime(2001, 2, 3)))
    steps = build(features)
    prepared = steps.fit_transform(to_model_input(whole, COLUMNS))
    pipeline = Pipeline([("features", steps), ("model", estimator.fit(prepared, whole["late"].to_numpy()))])
    found = convert(saved(pipeline), whole)
    assert found.content is not None, found.reason
    session = onnxruntime.InferenceSession(found.content, providers=["CPUExecutionProvider"])
    assert [(one.name, one.type, one.shape[1]) for one in session.get_inputs()] == [
        ("income", "tensor(double)", 1),
        ("region", "tensor(string)", 1),
        ("opened", "tensor(int64)", 1),
    ]
    said = json.loads(session.get_modelmeta().custom_metadata_map["modelway"])
    assert said == {"no_missing": ["income", "opened"]}


def test_the_same_model_gives_the_same_bytes(model: Path, frame: pl.DataFrame) -> None:
    assert convert(model, frame).content == convert(model, frame).content is not None


@pytest.mark.parametrize(
    "rows", [pl.DataFrame({"income": [1.0]}), pl.DataFrame(schema=dict.fromkeys(COLUMNS, pl.String))]
)
def test_without_rows_to_compare_on_nothing_is_taken(model: Path, rows: pl.DataFrame) -> None:
    found = convert(model, rows)
    assert found.content is None
    assert "lacks" in found.reason


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
