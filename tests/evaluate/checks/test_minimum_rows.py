from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelway.components.core.checks import Verdict
from modelway.components.core.config.model_policy import ModelPolicy
from modelway.components.core.measures.metrics import Predictions
from modelway.components.evaluate.checks.minimum_rows import class_checks, row_checks


def policy(rule: str = "block", rows: int = 2, **more: Any) -> ModelPolicy:
    section = {"metrics": {"f1": {"min": 0.1}}, "minimum_rows": rows, "on_inconclusive": rule, **more}
    return ModelPolicy.model_validate(section)


@pytest.mark.parametrize(("rule", "blocks"), [("block", True), ("warn", False)])
def test_too_few_rows_to_judge_by(rule: str, blocks: bool) -> None:
    (check,) = row_checks(199, policy(rule, 200))
    assert (check.name, check.verdict, check.blocks) == ("test_rows", Verdict.INCONCLUSIVE, blocks)
    assert (check.observed, check.threshold) == (199, 200)
    assert row_checks(200, policy(rule, 200)) == []


@pytest.mark.parametrize("rule", ["block", "warn"])
def test_no_rows_at_all_fail_whatever_the_rule(rule: str) -> None:
    (check,) = row_checks(0, policy(rule, 200))
    assert (check.name, check.verdict, check.blocks) == ("test_rows", Verdict.FAILED, True)


def test_classes_of_one_row_and_without_training_rows_are_named() -> None:
    predictions = Predictions(np.array([0, 0, 1, 2, 2]), np.zeros(5, int), None, ("a", "b"), ("c",))
    (check,) = class_checks(predictions)
    assert (check.name, check.verdict, check.blocks) == ("test_classes", Verdict.INCONCLUSIVE, False)
    assert "'b' has 1 test row; 'c' has 2 test rows and none that the model was trained on" in check.message
    assert class_checks(predictions.take(np.array([0, 1]))) == []
