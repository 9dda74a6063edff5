from __future__ import annotations

from typing import Any

import pytest

from modelway.components.core.checks import Verdict
from modelway.components.core.config.model_policy import ModelPolicy
from modelway.components.evaluate.checks.minimum_rows import row_checks


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
