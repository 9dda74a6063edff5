from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from modelway.components.core.checks import OnInconclusive, Verdict
from modelway.components.core.config.model_policy import ModelPolicy
from modelway.components.core.measures.metrics import Predictions, score
from modelway.components.evaluate.checks.unseen import unseen_checks
from modelway.components.evaluate.predicting import Candidate
from modelway.components.evaluate.statistics.resampling import Resampling


def policy(rule: str = "block", rows: int = 2, **more: Any) -> ModelPolicy:
    section = {"metrics": {"f1": {"min": 0.1}}, "minimum_rows": rows, "on_inconclusive": rule, **more}
    return ModelPolicy.model_validate(section)


TRUTH = np.array([0, 1] * 100 + [1] * 20)


PREDICTED = np.array([0, 1] * 60 + [1, 0] * 40 + [1] * 20)


PREDICTIONS = Predictions(TRUTH, PREDICTED, np.eye(2)[PREDICTED] * 0.8 + 0.1, ("no", "yes"))


@pytest.mark.parametrize("rule", list(OnInconclusive))
def test_unseen_rows_that_are_not_there_are_open_with_the_remedy(rule: OnInconclusive) -> None:
    section = policy(rule.value, unseen={"f1": {"min": 0.1}, "accuracy": {"min": 0.1}})
    first, second = unseen_checks(None, section)
    assert (first.name, second.name) == ("unseen[f1]", "unseen[accuracy]")
    assert (first.verdict, first.blocks) == (Verdict.INCONCLUSIVE, rule is OnInconclusive.BLOCK)
    assert "data.split.unseen_fraction" in first.message
    assert unseen_checks(None, policy()) == []


@pytest.mark.parametrize(("least", "verdict"), [(0.4, Verdict.PASSED), (0.95, Verdict.FAILED)])
def test_unseen_rows_are_judged_like_the_test_split(least: float, verdict: Verdict) -> None:
    table = pl.DataFrame({"label": TRUTH})
    unseen = Candidate(lambda _: PREDICTIONS, table, PREDICTIONS, Resampling(len(TRUTH)))
    (check,) = unseen_checks(unseen, policy(unseen={"accuracy": {"min": least}}))
    assert (check.verdict, check.observed) == (verdict, round(score("accuracy", PREDICTIONS), 6))
    assert "on 220 unseen rows" in check.message
