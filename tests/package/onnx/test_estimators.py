"""Estimators are converted to ONNX, or served by their pipeline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
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

from modelway.components.package.onnx.convert import convert

TEXTS = np.array(["low", "middle", "high"], dtype=object)


def terciles(frame: pl.DataFrame) -> Any:
    income = frame["income"].fill_null(20000.0)
    return TEXTS[np.digitize(income, np.quantile(income, [1 / 3, 2 / 3]))]


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
    fit: Callable[..., Pipeline], save_model: Callable[..., Path], frame: pl.DataFrame, estimator: Any, label: Any
) -> None:
    conversion = convert(save_model(fit(estimator, None if label is None else label(frame))), frame)
    assert conversion.content is not None, conversion.reason
    assert "differs by at most" in conversion.reason


def test_an_estimator_without_a_counterpart_is_served_by_its_pipeline(
    fit: Callable[..., Pipeline], save_model: Callable[..., Path], frame: pl.DataFrame
) -> None:
    conversion = convert(save_model(fit(DummyClassifier())), frame)
    assert conversion.content is None
    assert "DummyClassifier does not convert" in conversion.reason
