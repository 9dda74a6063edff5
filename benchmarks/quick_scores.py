"""Metrics of many drawn splits without scikit-learn's scorers, which take most of a benchmark's time.

Sums and ranks give the same values, which `check_quick_score` holds to scikit-learn's.
"""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
from scipy.stats import rankdata

from modelway.components.core.measures import metrics
from modelway.components.core.measures.metrics import Predictions
from modelway.components.evaluate.statistics import comparisons, intervals
from modelway.components.evaluate.statistics.sum_metrics import sum_metric

scikit_learns_score = metrics.score


def quick_score(metric: str, predictions: Predictions) -> float:
    """A metric's value; by scikit-learn's scorer where sums or ranks do not give it."""
    scores, positive = predictions.ranking, predictions.truth == 1
    if metric in {"roc_auc", "average_precision"} and scores is not None and positive.any() and not positive.all():
        ranks, count = rankdata(scores), int(positive.sum())
        if metric == "roc_auc":
            return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(ranks) - count)))
        hits = np.sort(-scores[positive])  # scores are drawn from continuous worlds, without ties
        return float((np.arange(1, count + 1) / np.searchsorted(np.sort(-scores), hits, side="right")).mean())
    terms = sum_metric(metric, predictions)
    return scikit_learns_score(metric, predictions) if terms is None else float(terms.value(terms.terms.sum(axis=0)))


def check_quick_score(metric: str, predictions: Predictions) -> None:
    """Makes sure that a metric's value is scikit-learn's."""
    quick, expected = quick_score(metric, predictions), scikit_learns_score(metric, predictions)
    assert np.isclose(quick, expected, equal_nan=True), f"{metric} is {quick}, and by scikit-learn {expected}"


def use_quick_scores() -> None:
    """Makes this process's intervals use them."""
    for module in (intervals, comparisons):
        patch.object(module, "score", quick_score).start()
