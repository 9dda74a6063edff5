from __future__ import annotations

from typing import Any

import pandas as pd
from crashing_models import CrashesOnNull
from gate_checks import failed_checks, find_check

from modelway.components.core.checks import Verdict


def test_a_crash_names_the_malformed_request_that_killed_the_server(prober: Any) -> None:
    gate = prober(CrashesOnNull, sla={"p50_ms": 10_000})
    assert failed_checks(gate) == ["malformed[null]", "server_alive"]
    message = find_check(gate, "malformed[null]").message
    assert message.startswith("null (region) was answered no answer")
    assert "it killed the server: null (region); it ended with status 77" in message
    assert find_check(gate, "malformed[all]").verdict is Verdict.INCONCLUSIVE
    assert find_check(gate, "latency[p50]").verdict is Verdict.PASSED
    assert "The server died." in prober.page


def test_a_model_that_fails_on_missing_values_is_found_and_may_be_waived(prober: Any) -> None:
    class Fussy:
        def predict(self, rows: pd.DataFrame) -> Any:
            if rows["region"].isna().any():
                raise RuntimeError("no region")
            return rows["income"].to_numpy() * 2

    waiver = {"gate": "serving", "check": "malformed[null*", "reason": "no nulls", "by": "Ada", "until": "2026-01-15"}
    gate = prober(Fussy, more={"waivers": [waiver]})
    assert failed_checks(gate) == ["malformed[null]", "malformed[null in every column]"]
    assert "null (region) was answered 500" in find_check(gate, "malformed[null]").message
    assert gate.proceed
    assert "waived by Ada" in prober.page
