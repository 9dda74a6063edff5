from __future__ import annotations

import numpy as np
import pytest
from group_predictions import MEASURES, binary, fairness, limits_of

from modelway.components.core.checks import Verdict
from modelway.components.core.errors import ModelwayError


def test_many_small_groups_are_one_check() -> None:
    predictions, groups = binary({f"g{number:02}": 10 for number in range(25)} | {"a": 300, "b": 300})
    checks = fairness(predictions, groups, metrics=limits_of(MEASURES[0], limit=0.9))
    assert list(checks) == ["[sex].small_groups", f"[sex].{MEASURES[0]}"]
    assert "25 groups" in checks["[sex].small_groups"].message
    assert checks["[sex].small_groups"].verdict is Verdict.INCONCLUSIVE


def test_missing_values_are_a_group() -> None:
    predictions, groups = binary({"F": 200, None: 150})
    checks = fairness(predictions, groups, groups={"accuracy": {"min": 0.1}})
    assert set(checks) == {"[sex=F].accuracy", "[sex=missing].accuracy"}


def test_a_number_with_many_values_makes_ranges() -> None:
    predictions, _ = binary({"all": 1000})
    age = np.random.default_rng(2).integers(18, 90, 1000)
    checks = fairness(
        predictions, ["all"] * 1000, columns=["age"], more={"age": age}, groups={"accuracy": {"min": 0.1}}
    )
    assert len(checks) == 4
    assert all("age" in name and ("<" in name or ">" in name) for name in checks)


@pytest.mark.parametrize(
    ("columns", "says", "remedy"),
    [
        (["name"], "too many to make groups", "bin it"),
        (["gender"], "not in the data", "sex"),
        ([], "names no column", "sensitive"),
    ],
)
def test_columns_that_make_no_groups_are_refused(columns: list[str], says: str, remedy: str) -> None:
    predictions, groups = binary({"F": 200, "M": 200})
    names = [f"person {number}" for number in range(400)]
    with pytest.raises(ModelwayError, match=says) as error:
        fairness(predictions, groups, columns=columns, more={"name": names}, metrics=limits_of(MEASURES[0]))
    assert error.value.key == "model.fairness.columns"
    assert remedy in error.value.remedy
