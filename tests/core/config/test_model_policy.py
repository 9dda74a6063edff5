from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError

Text = Callable[..., str]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"model.metrics": {}}, "model.metrics"),
        ({"model.no_regression": {"metric": "f1", "margin": -0.1}}, "model.no_regression.margin"),
        ({"model.no_regression": {"margin": 0.1}}, "model.no_regression.metric"),
        ({"model.no_regression": {"metric": "f1", "first_model": "yes"}}, "model.no_regression.first_model"),
        ({"model.slices": {"columns": [], "metrics": {"f1": {"min": 0}}}}, "model.slices.columns"),
        ({"model.slices": {"columns": ["a"], "metrics": {}}}, "model.slices.metrics"),
        ({"model.slices": {"columns": ["a"], "metrics": {"f1": {"min": 0}}, "bins": 1}}, "model.slices.bins"),
        ({"model.rules": [{"name": "r", "monotone": "age", "invariant_to": "age"}]}, "model.rules.0"),
        ({"model.fairness": {"columns": ["sex"]}}, "model.fairness"),
        ({"model.fairness.groups": {"recall": {}}}, "model.fairness.groups.recall"),
    ],
)
def test_broken_keys_are_named(policy_text: Text, changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ModelwayError) as error:
        Policy.parse(policy_text(changes))
    assert error.value.key == key


def test_thresholds_stand_by_the_key_that_they_are_written_under(policy_text: Text) -> None:
    changes = {
        "model.weak_segments.metrics.recall": {"min": 0.4},
        "model.fairness.groups.recall": {"difference": 0.2},
    }
    thresholds = Policy.parse(policy_text(changes)).model.thresholds()
    assert {key: list(metrics) for key, metrics in thresholds.items()} == {
        "model.metrics": ["roc_auc"],
        "model.unseen": [],
        "model.weak_segments.metrics": ["recall"],
        "model.fairness.groups": ["recall"],
    }
