"""Converts a model's pipeline to ONNX, and keeps the result only if it predicts what the pipeline does.

The converted model takes one tensor of shape (rows, 1) per column, by the column's name: numbers double (missing:
NaN), text string (missing: `MISSING_TEXT`), dates and times int64 microseconds since 1970 (missing: `MISSING_TIME`). It
gives ``label`` of shape (rows,), a regressor's prediction likewise, and a classifier's ``probabilities``, doubles of
shape (rows, classes). Its metadata key ``modelway`` holds JSON: ``no_missing`` names the columns in which the pipeline
refuses missing values.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from modelway.components.core.bundle.bundle import MISSING_TEXT
from modelway.components.core.errors import first_line
from modelway.components.core.parsing import parse_json
from modelway.components.core.storage.model_code import separate_modules
from modelway.components.core.storage.models import load_model
from modelway.components.core.storage.yaml_text import parse_yaml
from modelway.components.core.tables.parquet import to_model_input
from modelway.components.package.onnx.estimators import LABEL, PROBABILITIES, add_estimator, class_values
from modelway.components.package.onnx.graph import Graph, UnsupportedError
from modelway.components.package.onnx.preparation import add_preparation

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, Any]
TOLERANCE = 1e-5
SAMPLE_ROWS, CORNER_ROWS = 5000, 500
_DTYPES: dict[str, Any] = {"double": np.float64, "string": object, "datetime": np.int64}
_CORNERS: dict[str, tuple[Any, ...]] = {
    "double": (-1e9, 1e9, 0.1),
    "string": ("a category that no table has", ""),
    "datetime": (datetime(1903, 2, 28, 23, 59, 59), datetime(2400, 2, 29)),
}


@dataclass(frozen=True)
class Conversion:
    """The result of converting a model.

    Attributes:
        content: The ONNX model; None if the pipeline itself is to be served.
        reason: How far the two agree, or why there is none; a sentence.
        rows: How many rows the two were compared on.
        difference: The greatest difference of a probability, or of a prediction relative to its size; None if they
            were not compared.
    """

    content: bytes | None
    reason: str
    rows: int = 0
    difference: float | None = None


@separate_modules()
def convert(model: Path, sample: pl.DataFrame, trusted_types: Collection[str] = ()) -> Conversion:
    """Converts a model to ONNX, and compares the two on real rows.

    The rows are the sample's and, made of them, rows with missing values, unseen categories and extreme numbers. The
    conversion is accepted if all labels are equal and no probability differs by more than 1e-5; of a regressor, if no
    prediction differs by more than that times its size, or 1 if that is smaller.

    Args:
        model: The model's folder, in MLflow's format.
        sample: Rows with the columns that the model takes.
        trusted_types: Types that the policy trusts, by their full names.
    """
    pipeline = load_model(model, trusted_types)
    column_types = _column_types(model)
    missing = [name for name in column_types if name not in sample.columns]
    if missing or not len(sample):
        lacks = f"the column {missing[0]!r}" if missing else "rows"
        return Conversion(None, f"The sample of rows to compare on lacks {lacks}.")
    rows = to_model_input(sample.head(SAMPLE_ROWS), list(column_types))
    try:
        no_missing = _columns_refusing_missing(pipeline, rows.head(1), columns=list(column_types))
        content = _to_onnx(pipeline, column_types, rows=rows, no_missing=no_missing)
        rows = _with_corners(rows, column_types, no_missing=no_missing)
        return _compare(pipeline, content, rows=rows)
    except UnsupportedError as error:
        return Conversion(None, f"It does not convert: {error}.")
    except Exception as error:  # a user's own estimator may raise anything; the pipeline serves it then
        return Conversion(None, f"It does not convert: {first_line(error)}.")


def to_feed(columns: Mapping[str, Array]) -> dict[str, Array]:
    """Returns the converted model's inputs for columns of shape (rows,)."""
    return {name: _tensor(np.asarray(values)) for name, values in columns.items()}


def _tensor(values: Array) -> Array:
    if values.dtype.kind == "M":
        return values.astype("datetime64[us]").astype(np.int64).reshape(-1, 1)
    if values.dtype == object:
        texts = [value if isinstance(value, str) else MISSING_TEXT for value in values]
        return np.array(texts, dtype=object).reshape(-1, 1)
    return values.astype(np.float64).reshape(-1, 1)


def _column_types(model: Path) -> dict[str, str]:
    """Returns the type of each column in the model's signature."""
    inputs = parse_yaml((model / "MLmodel").read_text(encoding="utf-8")).content["signature"]["inputs"]
    return {str(column["name"]): str(column["type"]) for column in parse_json(inputs)}


def _to_onnx(pipeline: Any, column_types: Mapping[str, str], *, rows: pd.DataFrame, no_missing: Sequence[str]) -> bytes:
    preparation, estimator = pipeline.steps[0][1], pipeline.steps[-1][1]
    if len(pipeline.steps) != 2 or type(preparation).__name__ != "ColumnTransformer":
        raise UnsupportedError("the pipeline is not a preparation and an estimator")
    graph = Graph()
    inputs = {name: graph.input(name, _DTYPES[kind]) for name, kind in column_types.items()}
    width = preparation.transform(rows.head(1)).shape[1]
    features = add_preparation(graph, preparation, inputs=inputs)
    values = add_estimator(graph, estimator, features=features, width=width)
    dtype = class_values(estimator).dtype if hasattr(estimator, "classes_") else np.dtype(np.float64)
    label = graph.add("Identity", values[LABEL]) if dtype.kind == "O" else graph.cast(values[LABEL], dtype)
    outputs: list[tuple[str, Any, tuple[int | None, ...]]] = [(LABEL, dtype, (None,))]
    graph.add("Identity", label, output=LABEL)
    if PROBABILITIES in values:
        outputs.append((PROBABILITIES, np.float64, (None, len(estimator.classes_))))
        graph.add("Identity", values[PROBABILITIES], output=PROBABILITIES)
    onnx_model = graph.model(outputs, {"modelway": json.dumps({"no_missing": list(no_missing)}, sort_keys=True)})
    return bytes(onnx_model.SerializeToString(deterministic=True))


def _columns_refusing_missing(pipeline: Any, row: pd.DataFrame, *, columns: Sequence[str]) -> list[str]:
    """Returns the columns in which the pipeline refuses a missing value."""
    probe = row.copy()
    for name in columns:
        probe[name] = _repeated(None, row[name])
    try:
        pipeline.predict(probe)
    except ValueError:
        if len(columns) == 1:
            return list(columns)
        half = len(columns) // 2
        halves = (columns[:half], columns[half:])
        return [name for names in halves for name in _columns_refusing_missing(pipeline, row, columns=names)]
    return []


def _with_corners(rows: pd.DataFrame, column_types: Mapping[str, str], *, no_missing: Sequence[str]) -> pd.DataFrame:
    """Adds copies of the first rows with each column in turn missing, unseen or extreme."""
    import pandas as pd

    parts = [rows]
    per_column = max(1, CORNER_ROWS // (4 * len(column_types)))
    for name, kind in column_types.items():
        missing = [] if name in no_missing else [None]
        for value in (*missing, *_CORNERS[kind]):
            copy = rows.head(per_column).copy()
            copy[name] = _repeated(value, copy[name])
            parts.append(copy)
    return pd.concat(parts, ignore_index=True)


def _repeated(value: Any, like: pd.Series[Any]) -> Any:
    import pandas as pd

    return pd.Series([value] * len(like), index=like.index, dtype=like.dtype)


def _compare(pipeline: Any, content: bytes, *, rows: pd.DataFrame) -> Conversion:
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    feed = to_feed({str(name): rows[name].to_numpy() for name in rows.columns})
    outputs = dict(zip(names, session.run(names, feed), strict=True))
    expected = pipeline.predict(rows)
    if getattr(pipeline, "classes_", None) is None:
        numbers, subject = np.asarray(expected, dtype=np.float64), "A prediction"
        differences = np.abs(outputs[LABEL] - numbers) / np.maximum(1.0, np.abs(numbers))
    else:
        different = int(np.sum(np.asarray(outputs[LABEL]) != np.asarray(expected)))
        if different:
            reason = f"The converted model predicts another label for {different} of {len(rows)} rows."
            return Conversion(None, reason, len(rows))
        if PROBABILITIES not in outputs:
            if hasattr(pipeline, "predict_proba"):
                return Conversion(None, "The converted model predicts no probabilities.", len(rows))
            return Conversion(content, f"All labels of {len(rows)} rows are equal.", len(rows), 0.0)
        subject, differences = "A probability", np.abs(outputs[PROBABILITIES] - pipeline.predict_proba(rows))
    difference = float(np.max(differences))
    if difference <= TOLERANCE:
        reason = f"{subject} differs by at most {difference:.2g} on {len(rows)} rows."
        return Conversion(content, reason, len(rows), difference)
    reason = f"{subject} differs by up to {difference:.2g} on {len(rows)} rows; at most {TOLERANCE:g} is accepted."
    return Conversion(None, reason, len(rows), difference)
