"""The area under the ROC curve of one column of scores, with its interval."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from modelway.components.core.config.thresholds import Interval

Scores = np.ndarray[Any, np.dtype[np.float64]]
Positive = np.ndarray[Any, np.dtype[np.bool_]]

CONFIDENCE = 0.95
_FEW = 200  # rows of the rarer class below which DeLong's interval alone covers too little near an area of 1


def roc_auc(positive: Positive, scores: Scores, *, confidence: float = CONFIDENCE) -> tuple[float, Interval]:
    """The area under the ROC curve, ties counting half, and its confidence interval.

    The variance is that of DeLong, DeLong and Clarke-Pearson (1988), by ranks (Sun and Xu, 2014); the interval is on
    the logit scale (Pepe, 2003), with Student's quantile at one degree of freedom less than rows of the rarer class.
    With fewer than 200 of these it is widened to Newcombe's interval (2006, method 5), since the few placements that it
    estimates the variance from may all be good by chance. Where every pair is ordered alike, the bound is that of as
    many agreeing rows as the rarer class has (Clopper and Pearson, 1934).

    Args:
        positive: Which rows are of the class that should rank higher; some are, and some are not.
        scores: What ranks them, none missing.
        confidence: The interval's level, two-sided.
    """
    from scipy.special import stdtrit
    from scipy.stats import rankdata

    positives, tail = int(positive.sum()), (1 - confidence) / 2
    negatives = len(positive) - positives
    rarer, ranks = min(positives, negatives), rankdata(scores)
    above = (ranks[positive] - rankdata(scores[positive])) / negatives  # the share of negatives below each positive row
    below = (ranks[~positive] - rankdata(scores[~positive])) / positives
    area = float(above.mean())
    if area in {0.0, 1.0}:
        bound = float(tail ** (1 / rarer))
        return area, (bound, 1.0) if area else (0.0, 1 - bound)
    variance = sum(float(part.var(ddof=1)) / len(part) for part in (above, below) if len(part) > 1)
    low = high = area
    if variance > 0 and rarer > 1:
        odds, reach = math.log(area / (1 - area)), -float(stdtrit(rarer - 1, tail)) * math.sqrt(variance)
        low, high = (float(1 / (1 + np.exp(sign * reach / (area * (1 - area)) - odds))) for sign in (1, -1))
    if rarer < _FEW:
        lower, upper = _newcombe(area, positives, negatives=negatives, tail=tail)
        low, high = min(low, lower), max(high, upper)
    return area, (low, high)


def _newcombe(area: float, positives: int, *, negatives: int, tail: float) -> Interval:
    """The areas from which the observed one is as far as the normal quantile times their own standard error.

    The variance is that of Hanley and McNeil (1982) with both classes' sizes replaced by their mean in its two
    covariance terms.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtri

    pairs, others = positives * negatives, (positives + negatives) / 2 - 1
    z = float(ndtri(tail))

    def excess(other: float) -> float:
        covariances = (1 - other) / (2 - other) + other / (1 + other)
        return (area - other) ** 2 - z**2 * other * (1 - other) * (1 + others * covariances) / pairs

    edge = 1e-12  # the excess is positive at 0 and 1, where no area varies, and negative at the observed one
    low = float(brentq(excess, edge, area)) if excess(edge) > 0 else 0.0
    return low, float(brentq(excess, area, 1 - edge)) if excess(1 - edge) > 0 else 1.0
