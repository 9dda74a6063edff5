"""Which faults a drill injects."""

from __future__ import annotations

import pytest

from modelway.components.core.errors import ModelwayError
from modelway.pipelines.drill.drill import faults_named
from modelway.pipelines.drill.faults import FAULTS


def test_faults_are_chosen_by_name_in_the_order_given() -> None:
    assert [fault.name for fault in faults_named(["slow model", "null burst"])] == ["slow model", "null burst"]
    assert faults_named([]) == FAULTS
    with pytest.raises(ModelwayError, match="there is no fault 'gremlins'") as error:
        faults_named(["null burst", "gremlins"])
    assert "slow model" in error.value.remedy
