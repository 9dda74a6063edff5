"""The feature preparation: fitted on the training split alone, and shipped inside the model against skew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelway.components.core.config.project import Features

if TYPE_CHECKING:
    import pandas as pd

_PARTS = ("year", "month", "day", "weekday", "hour")


class DatetimeParts(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turns each date or time column into its year, month, day, weekday (Monday is 0) and hour; missing stays NaN."""

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:  # noqa: ARG002,N803 - scikit-learn's names
        """Remembers the columns' names."""
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:  # noqa: N803
        """The parts of every column, side by side, shape (rows, 5 * columns)."""
        parts = [getattr(X[column].dt, part) for column in X.columns for part in _PARTS]
        return np.column_stack([part.to_numpy(dtype=np.float64) for part in parts])

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray[Any, Any]:  # noqa: ARG002
        """``column_part`` for every part of every column."""
        return np.asarray([f"{column}_{part}" for column in self.feature_names_in_ for part in _PARTS], dtype=object)


def build(features: Features) -> ColumnTransformer:
    """The unfitted preparation of a project's columns; gives a DataFrame of numbers."""
    categorical = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=features.min_frequency, sparse_output=False
    )
    chosen = [
        ("numeric", _numeric(features), list(features.numeric)),
        ("categorical", categorical, list(features.categorical)),
        ("datetime", Pipeline([("parts", DatetimeParts()), ("numbers", _numeric(features))]), list(features.datetime)),
    ]
    steps = ColumnTransformer([step for step in chosen if step[2]], verbose_feature_names_out=False)
    steps.set_output(transform="pandas")
    return steps


def _numeric(features: Features) -> Any:
    """What becomes of numbers, those made of dates and times included."""
    steps: list[tuple[str, Any]] = []
    if features.impute != "none":
        steps.append(("impute", SimpleImputer(strategy=features.impute, keep_empty_features=True)))
    if features.scale == "standard":
        steps.append(("scale", StandardScaler()))
    return Pipeline(steps) if steps else "passthrough"
