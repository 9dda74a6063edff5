"""Fits the model on the prepared training split, and joins preparation and model in one pipeline."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from sklearn.pipeline import Pipeline
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import has_fit_parameter

from modelway.components.core.code.estimators import build_estimator, failure_of, import_function
from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.models import load_skops
from modelway.components.core.tables.parquet import label_of, to_model_input

if TYPE_CHECKING:
    import pandas as pd

    Labels = np.ndarray[Any, Any]


def fit_pipeline(project: Project, prepared_table: pl.DataFrame, *, steps: Path) -> Pipeline:
    """Fits the project's model on prepared rows.

    Args:
        project: Names the estimator or function, its parameters, class weights and seed.
        prepared_table: The prepared training split, with the label.
        steps: The fitted preparation, a skops file.

    Returns:
        The preparation and the fitted estimator as one pipeline that takes raw columns.

    Raises:
        ModelwayError: the model cannot be imported or fitted.
    """
    label = label_of(prepared_table, project)
    features = to_model_input(prepared_table, [name for name in prepared_table.columns if name != project.label])
    estimator = _fit(project, features, label=label)
    return Pipeline([("features", load_skops(steps)), ("model", estimator)])


def fit_raw(project: Project, table: pl.DataFrame, *, label: Labels, steps: Any) -> Pipeline:
    """Fits preparation and model on raw rows, as `prepare_features` and `train_model` do one after the other.

    Args:
        project: The project.
        table: Raw rows.
        label: Of each row.
        steps: A preparation, which is left as it is: a copy is fitted.

    Raises:
        ModelwayError: the model cannot be imported or fitted.
    """
    from sklearn.base import clone

    steps = clone(steps)
    features = steps.fit_transform(to_model_input(table, project.features.columns)).astype(np.float64)
    return Pipeline([("features", steps), ("model", _fit(project, features, label=label))])


def _fit(project: Project, features: pd.DataFrame, *, label: Labels) -> Any:
    import pandas as pd

    model = project.model
    weights = _sample_weights(project, label)
    extra = {} if weights is None else {"sample_weight": weights}
    fit: Callable[[], Any]
    if model.entrypoint is not None:
        key, path = "model.entrypoint", model.entrypoint
        fit = partial(import_function(model), features, pd.Series(label), **extra, **model.parameters)
    else:
        key, path = "model.estimator", str(model.estimator)
        estimator = build_estimator(project)
        if extra and not has_fit_parameter(estimator, "sample_weight"):
            raise ModelwayError(
                f"{path} takes no sample weights, so `model.class_weight` cannot be applied",
                key="model.class_weight",
                value=path,
                remedy="remove `model.class_weight`, or choose an estimator whose fit takes sample_weight",
            )
        fit = partial(estimator.fit, features, label, **extra)
    try:
        result = fit()
    except (Exception, SystemExit) as error:
        raise ModelwayError(
            f"{path} failed to fit: {failure_of(error)}",
            key=key,
            value=path,
            remedy="see `model.parameters` and `features` (impute, scale); `--debug` shows where it failed",
        ) from error
    if not hasattr(result, "predict"):
        raise ModelwayError(
            f"{path} returned {type(result).__name__}, which has no predict",
            key=key,
            value=path,
            remedy="return the fitted estimator",
        )
    return result


def _sample_weights(project: Project, label: Labels) -> Labels | None:
    weight = project.model.class_weight
    if weight is None:
        return None
    if weight == "balanced":
        return np.asarray(compute_sample_weight("balanced", label))
    classes = {str(value) for value in np.unique(label)}
    if set(weight) != classes:
        wrong = min(set(weight) ^ classes)
        raise ModelwayError(
            f"`model.class_weight` and the label's classes differ in {wrong!r}",
            key="model.class_weight",
            column=project.label,
            value=wrong,
            remedy=f"give a weight to each of {', '.join(sorted(classes))}",
        )
    return np.asarray([weight[str(value)] for value in label], dtype=np.float64)
