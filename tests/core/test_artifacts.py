from __future__ import annotations

import json
from pathlib import Path

from kfp import dsl

from modelway.components.core.artifacts import write_comparison
from modelway.components.core.checks import Gate, passed_or_failed

POLICY = "model: {metrics: {roc_auc: {min: 0.6}}}"


def test_what_is_compared_between_runs_is_logged_and_written(tmp_path: Path) -> None:
    metrics = dsl.Metrics(name="metrics", uri=str(tmp_path / "metrics"))
    check = passed_or_failed("metric[roc_auc]", True, message="0.7 on 512 rows", observed=0.7, threshold=0.6)
    write_comparison(
        metrics, Gate(name="model", checks=(check,)), policy=POLICY, measurements={"f1": 0.4, "r2": float("nan")}
    )
    numbers = {
        "checks_passed": 1.0,
        "checks_failed": 0.0,
        "checks_inconclusive": 0.0,
        "roc_auc": 0.7,
        "roc_auc_min": 0.6,
        "f1": 0.4,
    }
    assert metrics.metadata == numbers
    assert json.loads((tmp_path / "metrics").read_text(encoding="utf-8")) == numbers
