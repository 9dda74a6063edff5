from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from modelway.components.core.checks import Check, Verdict
from modelway.components.core.config.serving_policy import Serving
from modelway.components.probe.answers import Answer
from modelway.components.probe.checks.cold_start import cold_start_check
from modelway.components.probe.client import Reply
from modelway.components.probe.measuring import Measurements
from modelway.components.probe.requests import Sample

SAMPLE = Sample.of(pd.DataFrame({"income": [1.0]}), [0])


def checks_of(answer: float, limit: float | None) -> list[Check]:
    first = Answer((0,), Reply(200), {"predict": np.array([answer])})
    policy = Serving.model_validate({"sla": {"cold_start_seconds": limit}})
    measurements = Measurements(first=first, first_seconds=3.0)
    return cold_start_check(measurements, SAMPLE, expected={"predict": np.array([2.0])}, policy=policy)


@pytest.mark.parametrize(
    ("answer", "limit", "verdict"),
    [(2.0, 3.0, Verdict.PASSED), (2.0, 2.9, Verdict.FAILED), (2.5, 3.0, Verdict.INCONCLUSIVE)],
)
def test_the_first_correct_answer_is_judged_by_its_time(answer: float, limit: float, verdict: Verdict) -> None:
    (check,) = checks_of(answer, limit)
    assert (check.name, check.verdict, check.threshold) == ("cold_start", verdict, limit)


def test_there_is_no_check_without_a_bound() -> None:
    assert checks_of(2.0, None) == []
