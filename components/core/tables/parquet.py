"""Tables between stages, in Parquet, and the one conversion of them to the input of estimators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from modelway.components.core.errors import ModelwayError

if TYPE_CHECKING:
    import pandas as pd

    from modelway.components.core.config.project import Project


def read_table(path: str, columns: Sequence[str] | None = None, *, rows: int | None = None) -> pl.DataFrame:
    """Reads a Parquet table that a stage wrote: all of it, or some columns, or the first rows."""
    return pl.read_parquet(path, columns=list(columns) if columns is not None else None, n_rows=rows, glob=False)


def to_model_input(frame: pl.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The columns as every model here sees them, in training, judging and serving alike.

    Numbers and booleans become float64 (missing: NaN), dates and times datetime64[us], everything else
    Python strings (missing: None).
    """
    import pandas as pd

    return pd.DataFrame({column: _model_array(frame[column]) for column in columns}, copy=False)


def _model_array(series: pl.Series) -> Any:
    import pandas as pd

    if series.dtype.is_temporal():
        return series.cast(pl.Datetime("us")).to_numpy()
    if series.dtype.is_numeric() or series.dtype in {pl.Boolean, pl.Null}:
        return series.cast(pl.Float64).to_numpy(writable=True)
    return pd.Series(as_text(series).to_list(), dtype=object)


def as_text(series: pl.Series) -> pl.Series:
    """Each value as text; lists, records and bytes, which have no text of their own, as Python writes them."""
    if series.dtype.is_nested() or series.dtype in {pl.Binary, pl.Object}:
        texts = [None if value is None else repr(value) for value in series.to_list()]
        return pl.Series(series.name, texts, dtype=pl.String)
    return series.cast(pl.String)


def as_numbers(series: pl.Series) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Each value as a float64, missing as NaN; dates and times as microseconds since 1970."""
    if isinstance(series.dtype, pl.Date | pl.Datetime):
        series = series.cast(pl.Datetime("us"))
    if series.dtype.is_temporal():
        series = series.to_physical().cast(pl.Int64)
    return series.cast(pl.Float64, strict=False).to_numpy()


def label_of(frame: pl.DataFrame, project: Project) -> np.ndarray[Any, Any]:
    """The label of each row: float64 for regression, else int64 where it is whole numbers, else strings."""
    series = frame[project.label]
    if project.task == "regression":
        return series.cast(pl.Float64).to_numpy()
    is_whole = series.dtype.is_float() and bool((series == series.round()).all())
    if is_whole or series.dtype.is_integer() or series.dtype == pl.Boolean:
        return series.cast(pl.Int64).to_numpy()
    return np.asarray(series.cast(pl.String).to_list(), dtype=object)


def positive_class(classes: Sequence[Any], project: Project) -> Any:
    """The class of a binary task that counts as positive: the project's, or else the greater one.

    Raises:
        ModelwayError: the project names a class that the label does not have.
    """
    if project.positive is None:
        return max(classes)
    positive = int(project.positive) if isinstance(project.positive, bool) else project.positive
    for value in classes:
        if value == positive or str(value) == str(positive):
            return value
    raise ModelwayError(
        f"the positive class {positive!r} does not occur in the label {project.label!r}",
        key="positive",
        column=project.label,
        value=positive,
        remedy=f"set `positive` to one of {', '.join(map(str, classes))}",
    )
