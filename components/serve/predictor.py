"""Predicts with a model: with its pipeline, or with what it was converted to.

Neither pandas nor scikit-learn is imported for a converted model.
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
import timeit
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from modelway.components.core.bundle.bundle import MISSING_TEXT
from modelway.components.core.errors import DamagedError, ModelwayError, first_line
from modelway.components.core.storage.models import folder_sha256, load_model
from modelway.components.serve.errors import RequestError, quote
from modelway.components.serve.signature import Signature
from modelway.components.serve.tensors import Array

_ONNX_NAMES = {"predict": "label", "predict_proba": "probabilities"}
_NAMES = {onnx_name: name for name, onnx_name in _ONNX_NAMES.items()}
_DTYPES: dict[str, Any] = {
    "tensor(double)": np.float64,
    "tensor(float)": np.float32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
    "tensor(string)": object,
}
_SOME_VALUE: dict[str, Array] = {
    "number": np.zeros(1),
    "text": np.array([""], dtype=object),
    "time": np.zeros(1, dtype="datetime64[us]"),
}
_HUGE = 1e18  # its square is infinite in single precision
_QUICK_SECONDS = 0.002


class Predictor(ABC):
    """A loaded model.

    Attributes:
        signature: Its input columns.
        outputs: The type of each output, by its name: ``predict``, and ``predict_proba`` if the model has it.
        width: How many values all outputs have for a row.
        platform: What predicts, as the model's metadata names it.
        quick: Whether one row is predicted so fast that a thread of its own is not worth it.
    """

    signature: Signature
    outputs: dict[str, np.dtype[Any]]
    width: int
    platform: str
    quick: bool

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
            if name not in self.outputs:
                raise RequestError(422, f"the model has no output {quote(name)}; it has {' and '.join(self.outputs)}")
        return self._predict(columns, requested_outputs or list(self.outputs))

    @abstractmethod
    def _predict(self, columns: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """Predicts outputs that the model has."""


class PipelinePredictor(Predictor):
    """A model in MLflow's folder format.

    Args:
        model: A fitted scikit-learn pipeline, or anything with its `predict`.
        signature: Its input columns.
    """

    platform = "sklearn"
    quick = False

    def __init__(self, model: Any, signature: Signature) -> None:
        self._model = model
        self.signature = signature
        classes = getattr(model, "classes_", None)
        self.outputs = {"predict": np.dtype(np.float64) if classes is None else np.asarray(classes).dtype}
        if hasattr(model, "predict_proba"):
            self.outputs["predict_proba"] = np.dtype(np.float64)
        self.width = 1 if classes is None else 1 + len(classes)

    @classmethod
    def load(cls, folder: str, model_hash: str = "", *, trusted_types: Collection[str] = ()) -> PipelinePredictor:
        """Loads a model from its folder in MLflow's format.

        Args:
            folder: The model's folder.
            model_hash: The SHA-256 that the folder must have; empty: not verified.
            trusted_types: Types that the policy trusts, by their full names.

        Raises:
            ModelwayError: the files do not have the hash, the model is not trusted, or it has no signature.
        """
        if model_hash:
            actual_hash = folder_sha256(folder)
            if actual_hash != model_hash:
                raise DamagedError(
                    f"the model's files are not those that were released: their SHA-256 is not {model_hash}",
                    file=folder,
                    value=actual_hash,
                    remedy="fetch the model again from where it was released; it was not loaded",
                )
        signature = Signature.read(Path(folder))
        importlib.import_module("pandas")  # now, and not while the first client waits
        try:
            return cls(load_model(folder, trusted_types), signature)
        except ModelwayError:
            raise
        except Exception as error:  # of any kind from a pickle or a damaged file
            raise ModelwayError(
                f"the model cannot be loaded: {first_line(error)}",
                file=folder,
                remedy="train it again, with its own modules installed where it is served",
            ) from error

    def _predict(self, columns: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        try:
            last, rows = self._last_step(columns)
            return {name: np.asarray(getattr(last, name)(rows)) for name in outputs}
        except ValueError as error:
            if "contains NaN" in str(error):  # scikit-learn's message
                _refuse_missing(columns, columns)
            if "contains infinity" in str(error):  # of what a step computed of it
                _refuse_huge(columns)
            raise

    def _last_step(self, columns: Mapping[str, Array]) -> tuple[Any, Any]:
        """Returns the last step and its input, so that the steps before it run once for all outputs."""
        import pandas as pd

        # Text stays Python strings, for which pandas would infer a type of its own.
        series = {
            name: pd.Series(values, dtype=object) if values.dtype == object else values
            for name, values in columns.items()
        }
        rows: Any = pd.DataFrame(series, copy=False)
        sklearn_pipeline = sys.modules.get("sklearn.pipeline")  # not imported for a model of another kind
        if sklearn_pipeline is None or type(self._model) is not sklearn_pipeline.Pipeline:
            return self._model, rows
        for _, step in self._model.steps[:-1]:
            if step is not None and step != "passthrough":
                rows = step.transform(rows)
        return self._model.steps[-1][1], rows


class OnnxPredictor(Predictor):
    """A model converted to ONNX, which predicts through ONNX Runtime in one thread.

    Args:
        session: The loaded model.
        signature: Its input columns.
        no_missing: The columns in which a missing value is refused.
    """

    platform = "onnxruntime_onnx"

    def __init__(self, session: Any, signature: Signature, no_missing: Sequence[str] = ()) -> None:
        self.session = session
        self.signature = signature
        self.no_missing = no_missing
        self.outputs = {_NAMES[output.name]: np.dtype(_DTYPES[output.type]) for output in session.get_outputs()}
        self._inputs = [item.name for item in session.get_inputs()]
        row = {column.name: _SOME_VALUE[column.kind] for column in signature.columns}
        self.width = sum(values.size for values in self.predict(row).values())
        seconds = timeit.repeat(partial(self.predict, row), number=1, repeat=5)  # this also warms the session up
        self.quick = statistics.median(seconds) < _QUICK_SECONDS

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
        return cls(session, signature, metadata.get("no_missing", ()))

    def _predict(self, columns: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        _refuse_missing(columns, self.no_missing)
        names = [_ONNX_NAMES[name] for name in outputs]
        arrays = self.session.run(names, {name: _tensor(columns[name]) for name in self._inputs})
        return dict(zip(outputs, arrays, strict=True))


def _tensor(values: Array) -> Array:
    """Returns a column as the converted model takes it, of shape (rows, 1)."""
    if values.dtype == object:
        texts = values.tolist()
        if None in texts:
            values = np.array([MISSING_TEXT if value is None else value for value in texts], dtype=object)
    if values.dtype.kind == "M":
        values = values.view(np.int64)
    return values.reshape(-1, 1)


def _refuse_missing(columns: Mapping[str, Array], names: Iterable[str]) -> None:
    for name in names:
        values = columns[name]
        has_missing = None in values.tolist() if values.dtype == object else np.isnan(values).any()
        if has_missing:
            raise RequestError(422, f"the model takes no missing values, but column {name!r} holds one")


def _refuse_huge(columns: Mapping[str, Array]) -> None:
    """Refuses the greatest number, where it is so great that a step of the model may have made it infinite."""
    greatest = {
        name: float(np.abs(values).max(where=~np.isnan(values), initial=0.0))
        for name, values in columns.items()
        if values.dtype.kind == "f"
    }
    name = max(greatest, key=greatest.__getitem__, default="")
    if greatest and greatest[name] > _HUGE:
        raise RequestError(422, f"column {name!r} holds a number of size {greatest[name]:g}, too large for the model")
