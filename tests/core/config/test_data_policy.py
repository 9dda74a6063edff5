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
        ({"data.drift.psi": 0}, "data.drift.psi"),
        ({"data.drift.minimum_rows": 1}, "data.drift.minimum_rows"),
        ({"data.on_inconclusive": "pass"}, "data.on_inconclusive"),
        ({"data.leakage.single_feature": 0.5}, "data.leakage.single_feature"),
        ({"data.drift.multivariate.roc_auc": 1}, "data.drift.multivariate.roc_auc"),
    ],
)
def test_broken_keys_are_named(policy_text: Text, changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ModelwayError) as error:
        Policy.parse(policy_text(changes))
    assert error.value.key == key
