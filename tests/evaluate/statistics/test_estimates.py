from __future__ import annotations

import numpy as np

from modelway.components.core.measures.metrics import Predictions
from modelway.components.evaluate.statistics.estimates import Subset
from modelway.components.evaluate.statistics.resampling import Resampling


def test_a_subset_has_its_own_predictions_and_groups() -> None:
    predictions = Predictions(np.array([0, 1, 1]), np.array([0, 0, 1]), None, ("a", "b"))
    rows, grouped = Subset(predictions, np.array([0, 2])), Resampling(3, np.array([5, 5, 6]))
    assert rows.own_predictions.truth.tolist() == [0, 1]
    groups = rows.groups(grouped)
    assert groups is not None
    assert groups.tolist() == [5, 6]
    assert Subset(predictions).groups(grouped) is grouped.groups
    assert rows.groups(Resampling(3)) is None
