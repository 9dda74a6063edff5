from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from modelway.components.core.checks import Check, Gate, Verdict
from modelway.components.core.errors import ModelwayError

Find = Callable[[Gate, str], Check]
PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE


def failed(gate: Gate) -> list[str]:
    return [check.name for check in gate.checks if check.verdict is FAILED]


class CrashesOnNull:
    def predict(self, rows: pd.DataFrame) -> Any:
        if rows["region"].isna().any():
            os._exit(77)
        return rows["income"].to_numpy() * 2


def test_a_crash_names_the_malformed_request_that_killed_the_server(prober: Any, find: Find) -> None:
    gate = prober(CrashesOnNull, sla={"p50_ms": 10_000})
    assert failed(gate) == ["malformed[null]", "server_alive"]
    message = find(gate, "malformed[null]").message
    assert message.startswith("null (region) was answered no answer")
    assert "it killed the server: null (region); it ended with status 77" in message
    assert find(gate, "malformed[all]").verdict is INCONCLUSIVE
    assert find(gate, "latency[p50]").verdict is PASSED
    assert "The server died." in prober.page


def test_a_crash_names_the_real_row_that_killed_the_server(prober: Any, find: Find) -> None:
    rows = prober.table().with_columns(region=pl.when(pl.int_range(pl.len()) < 29).then("region"))
    gate = prober(CrashesOnNull, test=rows, sla={"p50_ms": 10_000})
    assert failed(gate) == ["predictions_match[v2 single]", "server_alive"]
    assert "row 29 of the test split, which has no value in region" in find(gate, "server_alive").message
    check = find(gate, "latency[p50]")
    assert (check.verdict, check.message[:12]) == (INCONCLUSIVE, "not measured")


def test_a_model_that_rolls_dice_is_found(prober: Any, find: Find) -> None:
    class Dice:
        def predict(self, rows: pd.DataFrame) -> Any:
            return rows["income"].to_numpy() * 2 + np.random.default_rng().normal(scale=1e-7, size=len(rows))

    gate = prober(Dice, tolerance=1e-3)
    assert failed(gate) == ["same_answer_twice"]
    assert "9 were answered differently the second time, the first row 0" in find(gate, "same_answer_twice").message


def test_answers_other_than_offline_are_found(prober: Any, find: Find) -> None:
    class OffByAHundredth:
        def predict(self, rows: pd.DataFrame) -> Any:
            import sys  # the server's process is told a port, this one is not

            served = "--port" in sys.argv
            return rows["income"].to_numpy() * 2 + (0.01 if served else 0.0)

    gate = prober(OffByAHundredth)
    assert [name for name in failed(gate) if name.startswith("predictions_match")] == failed(gate)
    assert len(failed(gate)) == 4
    assert find(gate, "cold_start").verdict is INCONCLUSIVE
    message = find(gate, "predictions_match[v2 single]").message
    assert message.startswith("12 rows in 12 requests: 12 requests were answered other than offline; row 0")


def test_a_model_that_fails_on_missing_values_is_found_and_may_be_waived(prober: Any, find: Find) -> None:
    class Fussy:
        def predict(self, rows: pd.DataFrame) -> Any:
            if rows["region"].isna().any():
                raise RuntimeError("no region")
            return rows["income"].to_numpy() * 2

    waiver = {"gate": "serving", "check": "malformed[null*", "reason": "no nulls", "by": "Ada", "until": "2026-01-15"}
    gate = prober(Fussy, more={"waivers": [waiver]})
    assert failed(gate) == ["malformed[null]", "malformed[null in every column]"]
    assert "null (region) was answered 500" in find(gate, "malformed[null]").message
    assert gate.proceed
    assert "waived by Ada" in prober.page


def test_an_empty_test_split_is_inconclusive(prober: Any, find: Find) -> None:
    gate = prober(test=prober.table(0))
    assert find(gate, "server_starts").verdict is PASSED
    assert find(gate, "predictions_match[rows]").verdict is INCONCLUSIVE
    assert gate.verdict is INCONCLUSIVE


def test_a_test_split_without_a_column_is_an_error_that_names_it(prober: Any) -> None:
    with pytest.raises(ModelwayError, match="the model needs the column 'region'"):
        prober(test=prober.table().drop("region"))
