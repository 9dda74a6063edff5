"""Fitted trees as ONNX, with their thresholds and sums in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelway.components.package.onnx.graph import ML, Graph, UnsupportedError

_SUM, _NO_TRANSFORM, _LESS_OR_EQUAL = 1, 0, 0  # TreeEnsemble's codes
_INNER = (
    "featureids",
    "splits",
    "truenodeids",
    "trueleafs",
    "falsenodeids",
    "falseleafs",
    "missing_value_tracks_true",
)
_NODES = (
    "treeids",
    "nodeids",
    "featureids",
    "truenodeids",
    "falsenodeids",
    "missing_value_tracks_true",
)


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
    inner: dict[str, list[Any]] = {name: [] for name in _INNER}
    leaves: dict[str, list[Any]] = {"targetids": [], "weights": []}
    for iteration in estimator._predictors:  # noqa: SLF001
        for target, tree in enumerate(iteration):
            roots.append(len(inner["featureids"]))
            _append_tree(tree.nodes, target, inner=inner, leaves=leaves)
    modes = numpy_helper.from_array(np.full(len(inner["featureids"]), _LESS_OR_EQUAL, dtype=np.uint8))
    graph.ml_opset = 5
    nodes: dict[str, Any] = {f"nodes_{name}": values for name, values in inner.items() if name != "splits"}
    sums = graph.add(
        "TreeEnsemble",
        features,
        domain=ML,
        aggregate_function=_SUM,
        post_transform=_NO_TRANSFORM,
        n_targets=estimator.n_trees_per_iteration_,
        tree_roots=roots,
        nodes_modes=modes,
        nodes_splits=numpy_helper.from_array(np.asarray(inner["splits"], dtype=np.float64)),
        leaf_targetids=leaves["targetids"],
        leaf_weights=numpy_helper.from_array(np.asarray(leaves["weights"], dtype=np.float64)),
        **nodes,
    )
    baseline = np.asarray(estimator._baseline_prediction, dtype=np.float64).reshape(1, -1)  # noqa: SLF001
    return graph.add("Add", sums, graph.constant(baseline))


def _append_tree(nodes: Any, target: int, *, inner: dict[str, list[Any]], leaves: dict[str, list[Any]]) -> None:
    """Appends a tree; TreeEnsemble numbers inner nodes and leaves separately, over all trees."""
    is_leaf = nodes["is_leaf"].astype(bool)
    if nodes["is_categorical"].any():
        raise UnsupportedError("the boosting encodes categories itself")
    first_inner, first_leaf = len(inner["featureids"]), len(leaves["weights"])
    numbers = np.where(is_leaf, first_leaf + np.cumsum(is_leaf) - 1, first_inner + np.cumsum(~is_leaf) - 1)
    leaves["targetids"] += [target] * int(is_leaf.sum())
    leaves["weights"] += nodes["value"][is_leaf].tolist()
    splits = nodes[~is_leaf]
    if not len(splits):  # a tree that is one leaf; TreeEnsemble's roots are inner nodes
        single = (0, 0.0, first_leaf, 1, first_leaf, 1, 0)
        for name, value in zip(_INNER, single, strict=True):
            inner[name].append(value)
        return
    inner["featureids"] += splits["feature_idx"].tolist()
    inner["splits"] += splits["num_threshold"].tolist()
    for side, child in (("true", splits["left"]), ("false", splits["right"])):
        inner[f"{side}nodeids"] += numbers[child].tolist()
        inner[f"{side}leafs"] += is_leaf[child].astype(int).tolist()
    inner["missing_value_tracks_true"] += splits["missing_go_to_left"].astype(int).tolist()


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

    nodes: dict[str, list[Any]] = {name: [] for name in (*_NODES, "values")}
    votes: dict[str, list[Any]] = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    for number, member in enumerate(forest.estimators_):
        tree = member.tree_
        is_leaf = tree.children_left == -1
        count = tree.node_count
        columns = (
            np.full(count, number),
            np.arange(count),
            np.where(is_leaf, 0, tree.feature),
            np.where(is_leaf, 0, tree.children_left),
            np.where(is_leaf, 0, tree.children_right),
            np.where(is_leaf, 0, tree.missing_go_to_left),
            np.where(is_leaf, 0.0, tree.threshold),
        )
        for name, values in zip(nodes, columns, strict=True):
            nodes[name] += values.tolist()
        leaf, classes = np.nonzero(is_leaf[:, None] & (tree.value[:, 0, :] != 0))
        for name, values in zip(
            votes, (np.full(len(leaf), number), leaf, classes, tree.value[leaf, 0, classes]), strict=True
        ):
            votes[name] += values.tolist()
    modes = [
        "LEAF" if left == right else "BRANCH_LEQ"
        for left, right in zip(nodes["truenodeids"], nodes["falsenodeids"], strict=True)
    ]
    attributes: dict[str, Any] = {f"nodes_{name}": nodes[name] for name in _NODES}
    attributes |= {f"target_{name}": votes[name] for name in ("treeids", "nodeids", "ids")}
    single = graph.cast(graph.cast(features, np.float32), np.float64)  # scikit-learn's trees take single precision
    sums = graph.add(
        "TreeEnsembleRegressor",
        single,
        domain=ML,
        n_targets=len(forest.classes_),
        nodes_modes=modes,
        nodes_values_as_tensor=numpy_helper.from_array(np.asarray(nodes["values"], dtype=np.float64)),
        target_weights_as_tensor=numpy_helper.from_array(np.asarray(votes["weights"], dtype=np.float64)),
        **attributes,
    )
    return graph.add("Div", graph.cast(sums, np.float64), graph.constant(float(len(forest.estimators_))))
