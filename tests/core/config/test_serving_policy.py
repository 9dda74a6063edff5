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
        ({"serving.sla.p95_ms": 0}, "serving.sla.p95_ms"),
        ({"serving.sla.p90_ms": 9}, "serving.sla.p90_ms"),
        ({"serving.requests": 19}, "serving.requests"),
        ({"serving.mode": "off"}, "serving.mode"),
    ],
)
def test_broken_keys_are_named(policy_text: Text, changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ModelwayError) as error:
        Policy.parse(policy_text(changes))
    assert error.value.key == key
