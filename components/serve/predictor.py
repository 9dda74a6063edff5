"""Predicts with a model in MLflow's folder format."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modelway.components.core.errors import DamagedError, ModelwayError, first_line
from modelway.components.core.storage.models import folder_sha256, load_model
from modelway.components.serve.errors import RequestError, quote
from modelway.components.serve.signature import Signature

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Predictor:
    """A loaded model.

    Attributes:
        model: A fitted scikit-learn pipeline, or anything with its `predict`.
        signature: Its input columns.
    """

    model: Any
    signature: Signature

    platform = "sklearn"
    quick = False

    @classmethod
    def load(cls, folder: str, model_hash: str = "") -> Predictor:
        """Loads a model from its folder in MLflow's format.

        Args:
            folder: The model's folder.
            model_hash: The SHA-256 that the folder must have; empty: not verified.

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
            return cls(load_model(folder), signature)
        except ModelwayError:
            raise
        except Exception as error:  # of any kind from a pickle or a damaged file
            raise ModelwayError(
                f"the model cannot be loaded: {first_line(error)}",
                file=folder,
                remedy="train it again, with its own modules installed where it is served",
            ) from error

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the model's outputs."""
        return ("predict", "predict_proba") if hasattr(self.model, "predict_proba") else ("predict",)

    @property
    def dtypes(self) -> dict[str, np.dtype[Any]]:
        """The type of each output: the classes' type, or float64 for regression; probabilities are float64."""
        classes = getattr(self.model, "classes_", None)
        predicted = np.dtype(np.float64) if classes is None else np.asarray(classes).dtype
        return {"predict": predicted, "predict_proba": np.dtype(np.float64)}

    def predict(self, columns: Mapping[str, Array], requested_outputs: Sequence[str] = ()) -> dict[str, Array]:
        """Predicts a batch of rows.

        Args:
            columns: As `Signature.convert` returns them, each of shape (rows,).
            requested_outputs: Names of outputs; empty: all.

        Returns:
            ``predict``, shape (rows,), and ``predict_proba``, shape (rows, classes), those of them that the model has.

        Raises:
            RequestError: 422; the model has no such output, or takes no missing values and the rows hold some.
        """
        for name in requested_outputs:
            if name not in self.outputs:
                raise RequestError(422, f"the model has no output {quote(name)}; it has {' and '.join(self.outputs)}")
        try:
            last, rows = self._last_step(columns)
            return {name: np.asarray(getattr(last, name)(rows)) for name in requested_outputs or self.outputs}
        except ValueError as error:
            missing = _with_missing(columns)
            if missing and "contains NaN" in str(error):  # scikit-learn's message
                raise RequestError(
                    422, f"the model takes no missing values, but column {missing[0]!r} holds one"
                ) from error
            raise

    def _last_step(self, columns: Mapping[str, Array]) -> tuple[Any, Any]:
        """Returns the last step and its input, so that the steps before it run once for all outputs."""
        import pandas as pd

        rows: Any = pd.DataFrame({name: _series(values) for name, values in columns.items()}, copy=False)
        if not _is_pipeline(self.model):
            return self.model, rows
        for _, step in self.model.steps[:-1]:
            if step is not None and step != "passthrough":
                rows = step.transform(rows)
        return self.model.steps[-1][1], rows


def _is_pipeline(model: Any) -> bool:
    """Whether the model is scikit-learn's own pipeline; does not import scikit-learn for one that is not."""
    module = sys.modules.get("sklearn.pipeline")
    return module is not None and type(model) is module.Pipeline


def _series(values: Array) -> Any:
    """Keeps text as Python strings, for which pandas would infer a type of its own."""
    import pandas as pd

    return pd.Series(values, dtype=object) if values.dtype == object else values


def _with_missing(columns: Mapping[str, Array]) -> list[str]:
    import pandas as pd

    return [name for name, values in columns.items() if pd.isna(values).any()]
