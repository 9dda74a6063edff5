from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import yaml
from gate_checks import failed_checks, find_check
from user_files import minimal_project_text

from modelway.components.core.checks import Mode, Verdict
from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.models import folder_sha256
from modelway.components.core.tables.parquet import to_model_input
from modelway.components.prepare.stage import prepare
from modelway.components.probe.stage import dashboard_metrics, probe
from modelway.components.train.fit import fit_pipeline
from modelway.components.train.saving import save


def test_a_good_model_passes_every_check_and_all_is_measured(prober: Any, servers: Callable[[], list[str]]) -> None:
    gate = prober(sla={"p50_ms": 5_000, "requests_per_second": 0.1})
    undecided = {check.name for check in gate.checks if check.verdict is not Verdict.PASSED}
    assert undecided <= {"throughput"}, "on a busy machine the rate's interval is wide; nothing else may depend on time"
    names = [check.name for check in gate.checks]
    assert len(names) == len(set(names))
    assert {
        "model_hash",
        "server_starts",
        "cold_start",
        "same_answer_twice",
        "errors",
        "latency[p50]",
        "throughput",
    } < set(names)
    assert [name for name in names if name.startswith("predictions_match")] == [
        "predictions_match[v2 single]",
        "predictions_match[v2 batch]",
        "predictions_match[v1 single]",
        "predictions_match[v1 batch]",
    ]
    assert sum(name.startswith("malformed") for name in names) == 11
    assert (gate.name, gate.proceed, gate.facts["test_rows"], gate.facts["requests"]) == ("serving", True, 30, 40)
    metrics = dashboard_metrics(gate)
    assert 0 < metrics["p50_ms"] <= metrics["p95_ms"] <= metrics["p99_ms"]
    assert 0 < metrics["ready_seconds"] < metrics["cold_start_seconds"] < 30
    assert metrics["requests_per_second"] > 1
    assert 20 < metrics["peak_memory_mib"] < 2_000
    low, high = find_check(gate, "latency[p50]").interval or (0.0, 0.0)
    assert low <= metrics["p50_ms"] <= high
    assert "Latency of 40 requests" in prober.page
    assert "Malformed requests" in prober.page
    assert not servers()


def test_a_trained_pipeline_with_nulls_and_times_answers_as_offline(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    count = 90
    income = dice.normal(size=count)
    rows = pl.DataFrame(
        {
            "income": [None if number % 7 == 0 else float(value) for number, value in enumerate(income)],
            "region": [None, "n", "s", "n", "s"] * (count // 5),
            "opened": [dt.date(2024, 1, 1) + dt.timedelta(days=int(day)) for day in dice.integers(0, 300, count)],
            "grade": np.select([income > 0.5, income > -0.5], ["a", "b"], "c"),
        }
    )
    text = minimal_project_text(
        task="multiclass",
        label="grade",
        features={"numeric": ["income"], "categorical": ["region"], "datetime": ["opened"], "scale": "standard"},
        model={"estimator": "sklearn.linear_model.LogisticRegression", "parameters": {"max_iter": 50}},
    )
    rows.write_parquet(tmp_path / "rows")
    prepare(str(tmp_path / "rows"), text, steps_path=str(tmp_path / "steps"), prepared_path=str(tmp_path / "prepared"))
    project = Project.parse(text)
    pipeline = fit_pipeline(project, pl.read_parquet(tmp_path / "prepared"), steps=tmp_path / "steps" / "steps.skops")
    raw = to_model_input(rows.head(5), project.features.columns)
    location = (tmp_path / "artifacts").as_uri()
    save(pipeline, str(tmp_path / "model"), examples=raw, model_id="m-" + "0" * 32, run_id="1" * 32, location=location)
    policy = {"model": {"metrics": {"accuracy": {"min": 0.01}}}, "serving": {"requests": 20, "warm_up": 5}}
    gate = probe(
        str(tmp_path / "model"),
        str(tmp_path / "rows"),
        project_text=text,
        policy_text=yaml.safe_dump(policy),
        model_hash=folder_sha256(tmp_path / "model"),
        report_path=str(tmp_path / "report.html"),
    )
    assert gate.verdict is Verdict.PASSED, gate.reasons


def test_a_disabled_gate_starts_nothing_and_proceeds(prober: Any, spy: tuple[type, Path]) -> None:
    model, trace = spy
    gate = prober(model, mode="disabled")
    assert (gate.mode, gate.checks, gate.proceed) == (Mode.DISABLED, (), True)
    assert dashboard_metrics(gate) == {}
    assert "disabled" in prober.page
    assert not trace.exists()


class Slow:
    def predict(self, rows: pd.DataFrame) -> Any:
        time.sleep(0.05)
        return rows["income"].to_numpy() * 2


def test_a_slow_model_fails_what_its_service_levels_forbid(prober: Any) -> None:
    sla = {"p50_ms": 20, "p95_ms": 20, "requests_per_second": 100, "cold_start_seconds": 0.001}
    gate = prober(Slow, connections=1, rows=4, requests=20, sla=sla)
    assert failed_checks(gate) == ["cold_start", "latency[p50]", "latency[p95]", "throughput"]
    assert "the policy allows 0.001" in find_check(gate, "cold_start").message
    check = find_check(gate, "latency[p50]")
    assert check.interval is not None
    assert check.interval[0] > 50
    assert "the policy allows at most 20 ms; make the model faster" in check.message


def test_a_test_split_without_a_column_is_an_error_that_names_it(prober: Any) -> None:
    with pytest.raises(ModelwayError, match="the model needs the column 'region'"):
        prober(test=prober.table().drop("region"))
