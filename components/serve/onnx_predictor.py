"""A model converted to ONNX, asked through ONNX Runtime: neither pandas nor scikit-learn is imported."""

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
from modelway.components.serve.errors import RequestError, shown
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
    """A model that answers through ONNX Runtime, from one thread.

    Attributes:
        session: The loaded model.
        signature: The columns that it takes.
        no_missing: The columns in which a missing value is refused.
        quick: Whether one row is answered so fast that it is not worth a thread of its own.
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
            signature: The columns of the model that it was made of.

        Raises:
            ModelwayError: it cannot be loaded, or takes other columns.
        """
        import onnxruntime  # type: ignore[import-untyped]

        remedy = "package the version again; if it fails again, its pipeline can be served with --model"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors; it warns of machines that it cannot look up
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            said = json.loads(session.get_modelmeta().custom_metadata_map.get("modelway", "{}"))
        except Exception as error:  # ONNX Runtime's errors have no common type of their own
            raise ModelwayError(
                f"the converted model cannot be loaded: {first_line(error)}", file=str(path), remedy=remedy
            ) from error
        taken, stated = {one.name for one in session.get_inputs()}, {one.name for one in signature.columns}
        if not taken <= stated:
            raise ModelwayError(
                "the converted model takes a column that the model's signature does not state",
                file=str(path),
                column=min(taken - stated),
                remedy=remedy,
            )
        found = cls(session, signature, tuple(said.get("no_missing", ())))
        return replace(found, quick=found._seconds() < _QUICK_SECONDS)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of what the model answers with."""
        return tuple(self._asked)

    @property
    def dtypes(self) -> dict[str, np.dtype[Any]]:
        """What each output is made of."""
        return {_NAMES[one.name]: np.dtype(_DTYPES[one.type]) for one in self.session.get_outputs()}

    def predict(self, columns: Mapping[str, Array], wanted: Sequence[str] = ()) -> dict[str, Array]:
        """What the model answers for some rows.

        Args:
            columns: As `Signature.convert` gives them, each of shape (rows,).
            wanted: Names of outputs; empty: all of them.

        Returns:
            ``predict``, shape (rows,), and ``predict_proba``, shape (rows, classes), of which the model has them.

        Raises:
            RequestError: 422; the model has no such output, or a column holds a missing value and must not.
        """
        for name in wanted:
            if name not in self._asked:
                raise RequestError(422, f"the model has no output {shown(name)}; it has {' and '.join(self._asked)}")
        for name in self.no_missing:
            if _has_missing(columns[name]):
                raise RequestError(422, f"the model takes no missing values, but column {name!r} holds one")
        names = [self._asked[name] for name in wanted] or None
        answers = self.session.run(names, {name: _tensor(columns[name]) for name in self._inputs})
        return dict(zip(wanted or self._asked, answers, strict=True))

    @cached_property
    def _asked(self) -> dict[str, str]:
        return {_NAMES[one.name]: one.name for one in self.session.get_outputs()}

    @cached_property
    def _inputs(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.session.get_inputs())

    def _seconds(self) -> float:
        """How long a row takes; the first ones are slower, so that no client should get them."""
        row = {one.name: _SOME_VALUE[one.kind] for one in self.signature.columns}
        feed = {name: _tensor(row[name]) for name in self._inputs}
        times = []
        for _ in range(5):
            started = time.perf_counter()
            self.session.run(None, feed)
            times.append(time.perf_counter() - started)
        return statistics.median(times)


_SOME_VALUE: dict[str, Array] = {
    "number": np.zeros(1),
    "text": np.array([""], dtype=object),
    "time": np.zeros(1, dtype="datetime64[us]"),
}


def _tensor(values: Array) -> Array:
    """A column as the converted model takes it, of shape (rows, 1)."""
    if values.dtype == object:
        listed = values.tolist()
        if None in listed:
            values = np.array([MISSING_TEXT if value is None else value for value in listed], dtype=object)
    if values.dtype.kind == "M":
        values = values.view(np.int64)
    return values.reshape(-1, 1)


def _has_missing(values: Array) -> bool:
    if values.dtype == object:
        return any(value is None for value in values)
    return bool(np.isnat(values).any() if values.dtype.kind == "M" else np.isnan(values).any())
