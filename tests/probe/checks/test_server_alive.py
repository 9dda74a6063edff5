from __future__ import annotations

from typing import Any

import polars as pl
from crashing_models import CrashesOnNull
from gate_checks import failed_checks, find_check

from modelway.components.core.checks import Verdict


def test_a_crash_names_the_real_row_that_killed_the_server(prober: Any) -> None:
    rows = prober.table().with_columns(region=pl.when(pl.int_range(pl.len()) < 29).then("region"))
    gate = prober(CrashesOnNull, test=rows, sla={"p50_ms": 10_000})
    assert failed_checks(gate) == ["predictions_match[v2 single]", "server_alive"]
    assert "row 29 of the test split, which has no value in region" in find_check(gate, "server_alive").message
    check = find_check(gate, "latency[p50]")
    assert (check.verdict, check.message[:12]) == (Verdict.INCONCLUSIVE, "not measured")
