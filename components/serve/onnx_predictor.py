"""Predicts with a model converted to ONNX, without importing pandas or scikit-learn."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from modelway.components.core.bundle.bundle import MISSING_TEXT
from modelway.components.core.errors import ModelwayError, first_line
from modelway.components.serve.errors import RequestError, quote
from modelway.components.serve.signature import Signature

Array = np.ndarray[Any, Any]

_NAMES = {"label": "predict", "probabilities": "predict_proba"}
_DTYPES: dict[str, Any] = {
    "tensor(double)": np.float64,
    "tensor(float)": np.float32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
    "tensor(string)": object,
}
_QUICK_SECONDS = 0.002


@dataclass(frozen=True)
class OnnxPredictor:
    """A model that predicts through ONNX Runtime, in one thread.

    Attributes:
        session: The loaded model.
        signature: Its input columns.
        no_missing: The columns in which a missing value is refused.
        quick: Whether one row is predicted so fast that a thread of its own is not worth it.
    """

    session: Any
    signature: Signature
    no_missing: tuple[str, ...] = ()
    quick: bool = True

    platform = "onnxruntime_onnx"

    @classmethod
    def load(cls, path: Path, signature: Signature) -> OnnxPredictor:
        """Loads a converted model.

        Args:
            path: The ONNX file.
            signature: The input columns of the model that it was converted from.

        Raises:
            ModelwayError: it cannot be loaded, or has other columns.
        """
        import onnxruntime  # type: ignore[import-untyped]

        remedy = "package the version again; if it fails again, its pipeline can be served with --model"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors only; it warns on machines whose hardware it does not know
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            metadata = json.loads(session.get_modelmeta().custom_metadata_map.get("modelway", "{}"))
        except Exception as error:  # ONNX Runtime's errors have no common type of their own
            raise ModelwayError(
                f"the converted model cannot be loaded: {first_line(error)}", file=str(path), remedy=remedy
            ) from error
        unknown_columns = {item.name for item in session.get_inputs()} - {column.name for column in signature.columns}
        if unknown_columns:
            raise ModelwayError(
                "the converted model takes a column that the model's signature does not have",
                file=str(path),
                column=min(unknown_columns),
                remedy=remedy,
            )
        predictor = cls(session, signature, tuple(metadata.get("no_missing", ())))
        return replace(predictor, quick=predictor._row_seconds() < _QUICK_SECONDS)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the model's outputs."""
        return tuple(self._output_names)

    @property
    def dtypes(self) -> dict[str, np.dtype[Any]]:
        """The type of each output."""
        return {_NAMES[output.name]: np.dtype(_DTYPES[output.type]) for output in self.session.get_outputs()}

    def predict(self, columns: Mapping[str, Array], requested_outputs: Sequence[str] = ()) -> dict[str, Array]:
        """Predicts a batch of rows.

        Args:
            columns: As `Signature.convert` returns them, each of shape (rows,).
            requested_outputs: Names of outputs; empty: all.

        Returns:
            ``predict``, shape (rows,), and ``predict_proba``, shape (rows, classes), those of them that the model has.

        Raises:
            RequestError: 422; the model has no such output, or a column holds a missing value and must not.
        """
        for name in requested_outputs:
            if name not in self._output_names:
                raise RequestError(422, f"the model has no output {quote(name)}; it has {' and '.join(self.outputs)}")
        for name in self.no_missing:
            if _has_missing(columns[name]):
                raise RequestError(422, f"the model takes no missing values, but column {name!r} holds one")
        names = [self._output_names[name] for name in requested_outputs] or None
        answers = self.session.run(names, {name: _tensor(columns[name]) for name in self._inputs})
        return dict(zip(requested_outputs or self._output_names, answers, strict=True))

    @cached_property
    def _output_names(self) -> dict[str, str]:
        return {_NAMES[output.name]: output.name for output in self.session.get_outputs()}

    @cached_property
    def _inputs(self) -> tuple[str, ...]:
        return tuple(item.name for item in self.session.get_inputs())

    def _row_seconds(self) -> float:
        """Measures the time for one row; this also warms the session up before the first client."""
        row = {column.name: _SOME_VALUE[column.kind] for column in self.signature.columns}
        feed = {name: _tensor(row[name]) for name in self._inputs}
        times = []
        for _ in range(5):
            start = time.perf_counter()
            self.session.run(None, feed)
            times.append(time.perf_counter() - start)
        return statistics.median(times)


_SOME_VALUE: dict[str, Array] = {
    "number": np.zeros(1),
    "text": np.array([""], dtype=object),
    "time": np.zeros(1, dtype="datetime64[us]"),
}


def _tensor(values: Array) -> Array:
    """Returns a column as the converted model takes it, of shape (rows, 1)."""
    if values.dtype == object:
        texts = values.tolist()
        if None in texts:
            values = np.array([MISSING_TEXT if value is None else value for value in texts], dtype=object)
    if values.dtype.kind == "M":
        values = values.view(np.int64)
    return values.reshape(-1, 1)


def _has_missing(values: Array) -> bool:
    if values.dtype == object:
        return any(value is None for value in values)
    return bool(np.isnat(values).any() if values.dtype.kind == "M" else np.isnan(values).any())
