from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modelway.components.core.config.policy import Policy

Text = Callable[..., str]


@pytest.mark.parametrize(
    ("environments", "traffic"),
    [
        (None, {"staging": "smoke", "production": "live"}),
        (
            {"development": {}, "staging": {}, "production": {}},
            {"development": "smoke", "staging": "smoke", "production": "live"},
        ),
        (
            {"staging": {"traffic": "live"}, "production": {"traffic": "smoke"}},
            {"staging": "live", "production": "smoke"},
        ),
        ({"staging": {"namespace": "models"}}, {"staging": "smoke"}),
    ],
)
def test_only_production_has_traffic_of_its_own_unless_the_policy_says_so(
    policy_text: Text, environments: Any, traffic: dict[str, str]
) -> None:
    policy = Policy.parse(policy_text({"environments": environments} if environments else {}))
    assert {name: section.traffic for name, section in policy.environments.items()} == traffic
    assert Policy.parse(policy.canonical()) == policy
