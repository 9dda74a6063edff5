"""A model's predictions of a table's rows."""

from __future__ import annotations

from typing import Any

import polars as pl

from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Predictions, predict
from modelway.components.core.tables.parquet import label_of, to_model_input


def predict_table(model: Any, table: pl.DataFrame, *, project: Project) -> Predictions:
    """Predicts a table's rows with a model.

    Raises:
        ModelwayError: the table lacks a column that the model needs, or the model fails on the rows.
    """
    columns = [str(name) for name in getattr(model, "feature_names_in_", project.features.columns)]
    present = set(table.columns)
    missing = next((name for name in columns if name not in present), None)
    if missing is not None:
        raise ModelwayError(
            f"the model needs the column {missing!r}, which the data does not have",
            column=missing,
            remedy="bring the column back, or train a model without it",
        )
    return predict(model, to_model_input(table, columns), truth=label_of(table, project), project=project)
