"""Predictions of the rows of groups, and the fairness checks of them by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from modelway.components.core.checks import Check
from modelway.components.core.config.model_policy import Fairness
from modelway.components.core.measures.metrics import Predictions
from modelway.components.evaluate.checks.fairness import fairness_checks
from modelway.components.evaluate.predicting import Candidate
from modelway.components.evaluate.statistics.resampling import Resampling

MEASURES = [
    f"{measure}_{kind}"
    for measure in ("demographic_parity", "equalized_odds", "equal_opportunity")
    for kind in ("difference", "ratio")
]


def binary(sizes: dict[Any, int], tilt: dict[Any, float] | None = None, seed: int = 0) -> tuple[Predictions, Any]:
    """Predictions of groups of some sizes, whose scores are tilted, and the groups of the rows in random order."""
    random = np.random.default_rng(seed)
    rows = random.permutation(sum(sizes.values()))
    group = np.repeat(np.array(list(sizes), dtype=object), list(sizes.values()))[rows]
    truth = (random.random(len(group)) < 0.4).astype(np.int64)
    shift = np.array([(tilt or {}).get(name, 0.0) for name in group])
    positive = np.clip(0.35 + 0.3 * truth + shift + random.normal(0, 0.2, len(group)), 0.01, 0.99)
    predicted = (positive > 0.5).astype(np.int64)
    return Predictions(truth, predicted, np.stack([1 - positive, positive], axis=1), ("no", "yes")), group


def fairness(
    predictions: Predictions,
    members: Sequence[Any],
    /,
    confidence: float | None = 0.95,
    columns: Sequence[str] = ("sex",),
    more: dict[str, Any] | None = None,
    **policy: Any,
) -> dict[str, Check]:
    """The checks of groups in a column `sex`, by what is in their names after `fairness`."""
    table = pl.DataFrame({"sex": pl.Series(list(members), strict=False), **(more or {})})
    candidate = Candidate(lambda _: predictions, table, predictions, Resampling(len(table), confidence=confidence))
    checks = fairness_checks(candidate, columns, policy=Fairness.model_validate(policy))
    assert len({check.name for check in checks}) == len(checks)
    return {check.name.removeprefix("fairness"): check for check in checks}


def limits_of(*measures: str, limit: float = 0.1, ratio: float = 0.8) -> dict[str, dict[str, float]]:
    return {measure: {"min": ratio} if measure.endswith("ratio") else {"max": limit} for measure in measures}
