"""A model's pipeline as ONNX, taken only where its answers are those of the pipeline.

The converted model takes one tensor of shape (rows, 1) per column, by the column's name: numbers double (missing:
NaN), text string (missing: `MISSING_TEXT`), dates and times int64 microseconds since 1970 (missing: `MISSING_TIME`). It
gives ``label`` of shape (rows,), a regressor's prediction likewise, and a classifier's ``probabilities``, doubles of
shape (rows, classes). Its metadata key ``modelway`` holds JSON: ``no_missing`` names the columns in which the pipeline
refuses missing values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import yaml

from modelway.components.core.bundle.bundle import MISSING_TEXT
from modelway.components.core.errors import first_line
from modelway.components.core.storage.models import load_model
from modelway.components.core.tables.parquet import to_model_input
from modelway.components.package.onnx.estimators import LABEL, PROBABILITIES, add_estimator
from modelway.components.package.onnx.graph import Graph, UnsupportedError
from modelway.components.package.onnx.preparation import add_preparation

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, Any]
TOLERANCE = 1e-5
SAMPLE_ROWS, CORNER_ROWS = 5000, 500
_UNSEEN_TEXT = "a category that no table has"
_DTYPES: dict[str, Any] = {"double": np.float64, "string": object, "datetime": np.int64}


@dataclass(frozen=True)
class Conversion:
    """What came of converting a model.

    Attributes:
        content: The ONNX model; None where the pipeline itself is to be served.
        reason: How far the two agree, or why there is none; a sentence.
        rows: How many rows the two were compared on.
        difference: The greatest difference of a probability, or of a prediction relative to its size; None if they
            were not compared.
    """

    content: bytes | None
    reason: str
    rows: int = 0
    difference: float | None = None


def convert(model: Path, sample: pl.DataFrame) -> Conversion:
    """Converts a model to ONNX, and compares the two on real rows.

    Compared are the sample's rows and, made of them, rows with missing values, unseen categories and extreme numbers.
    The conversion is taken where all labels are equal and no probability differs by more than 1e-5; of a regressor,
    no prediction by more than that times its size, or 1 if that is smaller.

    Args:
        model: The model's folder, in MLflow's format.
        sample: Rows with the columns that the model takes.
    """
    pipeline = load_model(model)
    kinds = _kinds(model)
    absent = [name for name in kinds if name not in sample.columns]
    if absent or not len(sample):
        lacks = f"the column {absent[0]!r}" if absent else "rows"
        return Conversion(None, f"The sample to compare on lacks {lacks}.")
    rows = to_model_input(sample.head(SAMPLE_ROWS), list(kinds))
    try:
        refusing = _refusing(pipeline, rows.head(1), columns=list(kinds))
        content = _converted(pipeline, kinds, rows=rows, refusing=refusing)
        rows = _with_corners(rows, kinds, refusing=refusing)
        return _compared(pipeline, content, rows=rows)
    except UnsupportedError as error:
        return Conversion(None, f"It does not convert: {error}.")
    except Exception as error:  # whatever an estimator of the user's own brings up: the pipeline serves it then
        return Conversion(None, f"It does not convert: {first_line(error)}.")


def to_feed(columns: Mapping[str, Array]) -> dict[str, Array]:
    """Columns, each of shape (rows,) as models here take them, as the converted model takes them."""
    return {name: _tensor(np.asarray(values)) for name, values in columns.items()}


def _tensor(values: Array) -> Array:
    if values.dtype.kind == "M":
        return values.astype("datetime64[us]").astype(np.int64).reshape(-1, 1)
    if values.dtype == object:
        texts = [value if isinstance(value, str) else MISSING_TEXT for value in values]
        return np.array(texts, dtype=object).reshape(-1, 1)
    return values.astype(np.float64).reshape(-1, 1)


def _kinds(model: Path) -> dict[str, str]:
    """The type of each column that a model takes, as its signature states them."""
    stated = yaml.safe_load((model / "MLmodel").read_text(encoding="utf-8"))["signature"]["inputs"]
    return {str(one["name"]): str(one["type"]) for one in json.loads(stated)}


def _converted(pipeline: Any, kinds: Mapping[str, str], *, rows: pd.DataFrame, refusing: Sequence[str]) -> bytes:
    preparation, estimator = pipeline.steps[0][1], pipeline.steps[-1][1]
    if len(pipeline.steps) != 2 or type(preparation).__name__ != "ColumnTransformer":
        raise UnsupportedError("the pipeline is not a preparation and an estimator")
    graph = Graph()
    inputs = {name: graph.input(name, _DTYPES[kind]) for name, kind in kinds.items()}
    width = preparation.transform(rows.head(1)).shape[1]
    features = add_preparation(graph, preparation, inputs=inputs)
    found = add_estimator(graph, estimator, features=features, width=width)
    classes = getattr(estimator, "classes_", None)
    dtype: Any = np.float64
    if classes is not None:
        dtype = np.int64 if np.asarray(classes).dtype.kind in "iub" else object
    label = graph.add("Identity", found[LABEL]) if dtype is object else graph.cast(found[LABEL], dtype)
    outputs: list[tuple[str, Any, tuple[int | None, ...]]] = [(LABEL, dtype, (None,))]
    graph.add("Identity", label, output=LABEL)
    if PROBABILITIES in found:
        outputs.append((PROBABILITIES, np.float64, (None, len(estimator.classes_))))
        graph.add("Identity", found[PROBABILITIES], output=PROBABILITIES)
    made = graph.model(outputs, {"modelway": json.dumps({"no_missing": list(refusing)}, sort_keys=True)})
    return bytes(made.SerializeToString(deterministic=True))


def _refusing(pipeline: Any, row: pd.DataFrame, *, columns: Sequence[str]) -> list[str]:
    """The columns in which the pipeline refuses a missing value."""
    tried = row.copy()
    for name in columns:
        tried[name] = _missing_like(row[name])
    try:
        pipeline.predict(tried)
    except ValueError:
        if len(columns) == 1:
            return list(columns)
        half = len(columns) // 2
        return _refusing(pipeline, row, columns=columns[:half]) + _refusing(pipeline, row, columns=columns[half:])
    return []


def _missing_like(values: pd.Series[Any]) -> Any:
    import pandas as pd

    if values.dtype == object:
        return pd.Series([None] * len(values), index=values.index, dtype=object)
    return pd.Series(np.full(len(values), np.nan), index=values.index).astype(values.dtype)


def _with_corners(rows: pd.DataFrame, kinds: Mapping[str, str], *, refusing: Sequence[str]) -> pd.DataFrame:
    """The rows and, made of the first of them, some with one column missing, unseen or extreme in turn."""
    import pandas as pd

    parts = [rows]
    per_column = max(1, CORNER_ROWS // (4 * len(kinds)))
    for name, kind in kinds.items():
        changes: list[Any] = [] if name in refusing else [_missing_like(rows[name].head(per_column))]
        if kind == "string":
            changes += [_UNSEEN_TEXT, ""]
        elif kind == "double":
            changes += [-1e9, 1e9, 0.1]
        else:
            changes += [pd.Timestamp("1903-02-28T23:59:59"), pd.Timestamp("2400-02-29T00:00:00")]
        for change in changes:
            copy = rows.head(per_column).copy()
            copy[name] = change if isinstance(change, pd.Series) else _constant(rows[name], change, rows=len(copy))
            parts.append(copy)
    return pd.concat(parts, ignore_index=True)


def _constant(like: pd.Series[Any], value: Any, *, rows: int) -> Any:
    import pandas as pd

    return pd.Series([value] * rows, index=like.index[:rows], dtype=like.dtype)


def _compared(pipeline: Any, content: bytes, *, rows: pd.DataFrame) -> Conversion:
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    feed = to_feed({str(name): rows[name].to_numpy() for name in rows.columns})
    answers = dict(zip(names, session.run(names, feed), strict=True))
    label = pipeline.predict(rows)
    if getattr(pipeline, "classes_", None) is None:
        return _judged_numbers(content, np.asarray(label, dtype=np.float64), found=answers[LABEL])
    different = int(np.sum(np.asarray(answers[LABEL]) != np.asarray(label)))
    if different:
        return Conversion(
            None, f"The converted model gives another label for {different} of {len(rows)} rows.", len(rows)
        )
    if PROBABILITIES not in answers:
        if hasattr(pipeline, "predict_proba"):
            return Conversion(None, "The converted model gives no probabilities.", len(rows))
        return Conversion(content, f"All labels of {len(rows)} rows are equal.", len(rows), 0.0)
    difference = float(np.max(np.abs(answers[PROBABILITIES] - pipeline.predict_proba(rows))))
    return _judged(content, difference, rows=len(rows), what="a probability")


def _judged_numbers(content: bytes, wanted: Array, *, found: Array) -> Conversion:
    difference = float(np.max(np.abs(found - wanted) / np.maximum(1.0, np.abs(wanted))))
    return _judged(content, difference, rows=len(wanted), what="a prediction")


def _judged(content: bytes, difference: float, *, rows: int, what: str) -> Conversion:
    if difference <= TOLERANCE:
        reason = f"{what.capitalize()} differs by at most {difference:.2g} on {rows} rows."
        return Conversion(content, reason, rows, difference)
    reason = f"{what.capitalize()} differs by up to {difference:.2g} on {rows} rows; at most {TOLERANCE:g} is taken."
    return Conversion(None, reason, rows, difference)
