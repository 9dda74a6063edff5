"""Fitted estimators as ONNX.

Histogram gradient boosting and forests of trees are written here, since skl2onnx writes them in single precision: a row
may then fall on the other side of a split, and a tied vote may go the other way. skl2onnx converts all others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modelway.components.core.errors import first_line
from modelway.components.package.onnx.graph import ML, OPSET, Graph, UnsupportedError
from modelway.components.package.onnx.trees import add_boosted_trees, add_forest

if TYPE_CHECKING:
    from onnx import GraphProto

LABEL, PROBABILITIES = "label", "probabilities"


def add_estimator(graph: Graph, estimator: Any, *, features: str, width: int) -> dict[str, str]:
    """Adds a fitted estimator.

    Args:
        graph: The graph to add to.
        estimator: A fitted scikit-learn classifier or regressor.
        features: Its input, doubles of shape (rows, width).
        width: The number of features.

    Returns:
        The names of the outputs in the graph: `LABEL`, of shape (rows,), and of a classifier with probabilities
        `PROBABILITIES`, doubles of shape (rows, classes).

    Raises:
        UnsupportedError: the estimator cannot be converted, and why.
    """
    kind = type(estimator).__name__
    if type(estimator).__module__.startswith("sklearn.") and kind.startswith("HistGradientBoosting"):
        raw = add_boosted_trees(graph, estimator, features=features, width=width)
        if kind.endswith("Classifier"):
            return _add_classes(graph, estimator, raw=raw)
        link = type(estimator._loss.link).__name__  # noqa: SLF001
        if link not in {"IdentityLink", "LogLink"}:
            raise UnsupportedError(f"the link function {link} is not supported in ONNX")
        return {LABEL: _flat(graph, raw if link == "IdentityLink" else graph.add("Exp", raw))}
    if kind in {"RandomForestClassifier", "ExtraTreesClassifier"} and estimator.n_outputs_ == 1:
        votes = add_forest(graph, estimator, features=features)
        return {LABEL: _likeliest_class(graph, estimator, scores=votes), PROBABILITIES: votes}
    return _add_by_skl2onnx(graph, estimator, features=features, width=width)


def _flat(graph: Graph, value: str) -> str:
    return graph.add("Reshape", value, graph.constant([-1], np.int64))


def _add_classes(graph: Graph, estimator: Any, *, raw: str) -> dict[str, str]:
    classes = class_values(estimator)
    if len(classes) != 2:
        return {LABEL: _likeliest_class(graph, estimator, scores=raw), PROBABILITIES: graph.add("Softmax", raw, axis=1)}
    above = graph.add("Greater", _flat(graph, raw), graph.constant(0.0))
    label = graph.add("Where", above, *(graph.constant(classes[[index]], classes.dtype) for index in (1, 0)))
    positive = graph.add("Sigmoid", raw)
    negative = graph.add("Sub", graph.constant(1.0), positive)
    return {LABEL: label, PROBABILITIES: graph.add("Concat", negative, positive, axis=1)}


def _likeliest_class(graph: Graph, estimator: Any, *, scores: str) -> str:
    """Returns the class with the greatest score, the first of equal ones."""
    classes = class_values(estimator)
    return graph.add("Gather", graph.constant(classes, classes.dtype), graph.add("ArgMax", scores, axis=1, keepdims=0))


def class_values(estimator: Any) -> np.ndarray[Any, Any]:
    """Returns a classifier's classes as the type that the graph has them in: whole numbers or text."""
    classes = np.asarray(estimator.classes_)
    return classes.astype(np.int64) if classes.dtype.kind in "iub" else classes.astype(object)


def _add_by_skl2onnx(graph: Graph, estimator: Any, *, features: str, width: int) -> dict[str, str]:
    """Adds an estimator as skl2onnx converts it, in double precision if it can, else in single."""
    for dtype in (np.float64, np.float32):
        try:
            onnx_graph, outputs = _convert_by_skl2onnx(estimator, width, dtype=dtype)
        except Exception as error:  # skl2onnx may raise anything
            failure = error
            continue
        inputs = features if dtype is np.float64 else graph.cast(features, np.float32)
        names = graph.embed(onnx_graph, inputs)
        values = {LABEL: _flat(graph, names[outputs[0]])}
        if len(outputs) > 1 and hasattr(estimator, "predict_proba"):
            values[PROBABILITIES] = graph.cast(names[outputs[1]], np.float64)
        return values
    raise UnsupportedError(f"{type(estimator).__name__} does not convert: {first_line(failure)}") from failure


def _convert_by_skl2onnx(estimator: Any, width: int, *, dtype: Any) -> tuple[GraphProto, list[str]]:
    import onnxruntime  # type: ignore[import-untyped]
    from skl2onnx import convert_sklearn  # type: ignore[import-untyped]
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType  # type: ignore[import-untyped]

    tensor_type = DoubleTensorType if dtype is np.float64 else FloatTensorType
    options = {"zipmap": False} if hasattr(estimator, "predict_proba") else {}
    opsets = {"": OPSET, ML: Graph.ml_opset}
    types = [("X", tensor_type([None, width]))]
    onnx_model = convert_sklearn(estimator, initial_types=types, target_opset=opsets, options={id(estimator): options})
    for output in onnx_model.graph.output:  # declared double though the operator gives single precision: left to infer
        output.ClearField("type")
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 4
    onnxruntime.InferenceSession(onnx_model.SerializeToString(), quiet, providers=["CPUExecutionProvider"])  # or raises
    return onnx_model.graph, [output.name for output in onnx_model.graph.output]
