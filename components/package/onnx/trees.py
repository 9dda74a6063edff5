"""Fitted trees as ONNX, with their thresholds and sums in double precision."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from modelway.components.package.onnx.graph import ML, Graph, UnsupportedError

_SUM, _NO_TRANSFORM, _LESS_OR_EQUAL = 1, 0, 0  # TreeEnsemble's codes


def add_boosted_trees(graph: Graph, estimator: Any, *, features: str, width: int) -> str:
    """Adds histogram gradient boosting, by the operator TreeEnsemble of ai.onnx.ml 5.

    Args:
        graph: The graph to add to.
        estimator: The fitted estimator.
        features: Its input, doubles of shape (rows, width).
        width: The number of features.

    Returns:
        The raw predictions, doubles of shape (rows, trees per iteration).

    Raises:
        UnsupportedError: the estimator encodes categories itself.
    """
    from onnx import numpy_helper

    if estimator._preprocessor is not None or estimator.n_features_in_ != width:  # noqa: SLF001
        raise UnsupportedError("the boosting encodes categories itself")
    roots: list[int] = []
    attributes: dict[str, Any] = defaultdict(list)
    for iteration in estimator._predictors:  # noqa: SLF001
        for target, tree in enumerate(iteration):
            roots.append(len(attributes["nodes_featureids"]))
            _append_tree(tree.nodes, target, attributes=attributes)
    for name in ("nodes_splits", "leaf_weights"):
        attributes[name] = numpy_helper.from_array(np.asarray(attributes[name], dtype=np.float64))
    modes = np.full(len(attributes["nodes_featureids"]), _LESS_OR_EQUAL, dtype=np.uint8)
    graph.ml_opset = 5
    sums = graph.add(
        "TreeEnsemble",
        features,
        domain=ML,
        aggregate_function=_SUM,
        post_transform=_NO_TRANSFORM,
        n_targets=estimator.n_trees_per_iteration_,
        tree_roots=roots,
        nodes_modes=numpy_helper.from_array(modes),
        **attributes,
    )
    baseline = np.asarray(estimator._baseline_prediction, dtype=np.float64).reshape(1, -1)  # noqa: SLF001
    return graph.add("Add", sums, graph.constant(baseline))


def _append_tree(nodes: Any, target: int, *, attributes: dict[str, Any]) -> None:
    """Appends a tree; TreeEnsemble numbers inner nodes and leaves separately, over all trees."""
    is_leaf = nodes["is_leaf"].astype(bool)
    if nodes["is_categorical"].any():
        raise UnsupportedError("the boosting encodes categories itself")
    first_inner, first_leaf = len(attributes["nodes_featureids"]), len(attributes["leaf_weights"])
    numbers = np.where(is_leaf, first_leaf + np.cumsum(is_leaf) - 1, first_inner + np.cumsum(~is_leaf) - 1)
    # TreeEnsemble's roots are inner nodes: one that is a leaf has itself on both sides.
    splits = nodes[~is_leaf] if len(nodes) > 1 else nodes
    columns = {
        "nodes_featureids": splits["feature_idx"],
        "nodes_splits": splits["num_threshold"],
        "nodes_truenodeids": numbers[splits["left"]],
        "nodes_trueleafs": is_leaf[splits["left"]].astype(int),
        "nodes_falsenodeids": numbers[splits["right"]],
        "nodes_falseleafs": is_leaf[splits["right"]].astype(int),
        "nodes_missing_value_tracks_true": splits["missing_go_to_left"].astype(int),
        "leaf_targetids": np.full(is_leaf.sum(), target),
        "leaf_weights": nodes["value"][is_leaf],
    }
    for name, values in columns.items():
        attributes[name] += values.tolist()


def add_forest(graph: Graph, forest: Any, *, features: str) -> str:
    """Adds a forest of classification trees, by the operator TreeEnsembleRegressor of ai.onnx.ml 3.

    The votes are summed and then divided, as in scikit-learn, and not weighted one by one: so a tie stays a tie.

    Args:
        graph: The graph to add to.
        forest: The fitted forest, of one output.
        features: Its input, doubles of shape (rows, features).

    Returns:
        The probabilities, doubles of shape (rows, classes).
    """
    from onnx import numpy_helper

    attributes: dict[str, Any] = defaultdict(list)
    for number, member in enumerate(forest.estimators_):
        tree = member.tree_
        is_leaf = tree.children_left == -1
        leaf, classes = np.nonzero(is_leaf[:, None] & (tree.value[:, 0, :] != 0))
        columns = {
            "nodes_treeids": np.full(tree.node_count, number),
            "nodes_nodeids": np.arange(tree.node_count),
            "nodes_modes": np.where(is_leaf, "LEAF", "BRANCH_LEQ"),
            "nodes_featureids": np.where(is_leaf, 0, tree.feature),
            "nodes_values_as_tensor": np.where(is_leaf, 0.0, tree.threshold),
            "nodes_truenodeids": np.where(is_leaf, 0, tree.children_left),
            "nodes_falsenodeids": np.where(is_leaf, 0, tree.children_right),
            "nodes_missing_value_tracks_true": np.where(is_leaf, 0, tree.missing_go_to_left),
            "target_treeids": np.full(len(leaf), number),
            "target_nodeids": leaf,
            "target_ids": classes,
            "target_weights_as_tensor": tree.value[leaf, 0, classes],
        }
        for name, values in columns.items():
            attributes[name] += values.tolist()
    for name in ("nodes_values_as_tensor", "target_weights_as_tensor"):
        attributes[name] = numpy_helper.from_array(np.asarray(attributes[name], dtype=np.float64))
    single = graph.cast(graph.cast(features, np.float32), np.float64)  # scikit-learn's trees take single precision
    sums = graph.add(
        "TreeEnsembleRegressor",
        single,
        domain=ML,
        n_targets=len(forest.classes_),
        **attributes,
    )
    return graph.add("Div", graph.cast(sums, np.float64), graph.constant(float(len(forest.estimators_))))
