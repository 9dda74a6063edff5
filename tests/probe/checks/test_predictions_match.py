from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from gate_checks import failed_checks, find_check

from modelway.components.core.checks import Verdict


def test_a_model_that_rolls_dice_is_found(prober: Any) -> None:
    class Dice:
        def predict(self, rows: pd.DataFrame) -> Any:
            return rows["income"].to_numpy() * 2 + np.random.default_rng().normal(scale=1e-7, size=len(rows))

    gate = prober(Dice, tolerance=1e-3)
    assert failed_checks(gate) == ["same_answer_twice"]
    assert (
        "9 were answered differently the second time, the first row 0" in find_check(gate, "same_answer_twice").message
    )


def test_answers_other_than_offline_are_found(prober: Any) -> None:
    class OffByAHundredth:
        def predict(self, rows: pd.DataFrame) -> Any:
            import sys  # the server's process is told a port, this one is not

            served = "--port" in sys.argv
            return rows["income"].to_numpy() * 2 + (0.01 if served else 0.0)

    gate = prober(OffByAHundredth)
    assert [name for name in failed_checks(gate) if name.startswith("predictions_match")] == failed_checks(gate)
    assert len(failed_checks(gate)) == 4
    assert find_check(gate, "cold_start").verdict is Verdict.INCONCLUSIVE
    message = find_check(gate, "predictions_match[v2 single]").message
    assert message.startswith("12 rows in 12 requests: 12 answers differ from offline predictions; row 0")


def test_an_empty_test_split_is_inconclusive(prober: Any) -> None:
    gate = prober(test=prober.table(0))
    assert find_check(gate, "server_starts").verdict is Verdict.PASSED
    assert find_check(gate, "predictions_match[rows]").verdict is Verdict.INCONCLUSIVE
    assert gate.verdict is Verdict.INCONCLUSIVE
