"""How much each row moves the area under the ROC curve, and the average precision."""

from __future__ import annotations

import numpy as np

from modelway.components.core.measures.metrics import Array, Predictions


def roc_auc_influence(metric: str, predictions: Predictions) -> Array | None:
    """How much each row moves the area under the ROC curve, shape (rows,); their squares' sum is its variance.

    The placement values of DeLong, DeLong and Clarke-Pearson (1988) in the form of Sun and Xu (2014), by ranks. Several
    classes, each against the rest: their mean (`roc_auc_ovr`), or that weighted by how frequent they are.

    Args:
        metric: The metric's name.
        predictions: Of the rows; every class must occur.

    Returns:
        The influences; None for other metrics.
    """
    if metric == "roc_auc" and predictions.ranking is not None:
        return _binary(predictions.truth == 1, predictions.ranking)[1]
    if predictions.probabilities is None or metric not in {"roc_auc_ovr", "roc_auc_ovr_weighted"}:
        return None
    classes, rows = range(len(predictions.classes)), len(predictions.truth)
    curves = [_binary(predictions.truth == code, predictions.probabilities[:, code]) for code in classes]
    if metric == "roc_auc_ovr":
        return np.mean([influence for _, influence in curves], axis=0)  # type: ignore[no-any-return]
    total = np.zeros(rows)
    for code, (area, influence) in zip(classes, curves, strict=True):
        is_class = predictions.truth == code
        total += is_class.mean() * influence + (is_class - is_class.mean()) * area / rows
    return total


def roc_auc_freedom(influence: Array, truth: Array) -> float:
    """The degrees of freedom of the influences' variance, which the rows of each class give (Satterthwaite 1946).

    Of a class whose influences are mostly those of a few rows, those rows count: a variance has the freedom
    2n / (kurtosis - 1), n - 1 at most (O'Neill 2014).

    Args:
        influence: Of each row, shape (rows,).
        truth: The class of each row.
    """
    _, codes, counts = np.unique(truth, return_inverse=True, return_counts=True)
    parts, fourth = (np.bincount(codes, weights=influence**power) for power in (2, 4))
    kurtosis = np.divide(counts * fourth, parts**2, out=np.ones(len(counts)), where=parts > 0)
    freedoms = np.minimum(counts - 1, 2 * counts / np.maximum(kurtosis - 1, 1e-9))
    below = float((parts**2 / np.maximum(freedoms, 1e-9)).sum())
    return max(float(parts.sum()) ** 2 / below, 1e-3) if below > 0 else 1.0


def _binary(positive: Array, scores: Array) -> tuple[float, Array]:
    """The area, and each row's influence on it."""
    from scipy.stats import rankdata

    positives, negatives = int(positive.sum()), int((~positive).sum())
    ranks = rankdata(scores)
    above = np.empty(len(scores))
    above[positive] = (ranks[positive] - rankdata(scores[positive])) / negatives  # the share of negatives below
    above[~positive] = 1 - (ranks[~positive] - rankdata(scores[~positive])) / positives  # of positives above
    area = float(above[positive].mean())
    influence = above - area
    for part, rows in ((positive, positives), (~positive, negatives)):
        influence[part] /= np.sqrt(rows * max(rows - 1, 1))
    return area, influence


def average_precision_influence(metric: str, predictions: Predictions) -> Array | None:
    """How much each row moves scikit-learn's average precision, shape (rows,); their squares' sum is its variance.

    The derivative by the row's weight. The average precision is the mean over the positive rows of the precision among
    all rows that are ranked as high as they; a row moves it by its own precision, and by the precisions of those
    ranked no higher, among whose rows it is.

    Args:
        metric: The metric's name.
        predictions: Of the rows.

    Returns:
        The influences; None for other metrics, or where there is no ranking or no positive row.
    """
    scores, positive = predictions.ranking, (predictions.truth == 1).astype(np.float64)
    total, rows = positive.sum(), len(positive)
    if metric != "average_precision" or scores is None or not total:
        return None
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), rows - 1)  # of each run of equal scores
    run = np.searchsorted(last, np.arange(rows))
    hits, count = np.cumsum(positive[order])[last], last + 1.0
    precision, gained = hits / count, np.diff(hits, prepend=0.0)
    below = np.cumsum((gained / count)[::-1])[::-1]
    precision_below = np.cumsum((gained * precision / count)[::-1])[::-1]
    value = (gained * precision).sum() / total
    ordered = (positive[order] * (precision[run] - value + below[run]) - precision_below[run]) / total
    influence = np.empty(rows)
    influence[order] = ordered * np.sqrt(rows / max(rows - 1, 1))
    return influence
