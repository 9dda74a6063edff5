from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import yaml
from user_files import minimal_project_text

from modelway.components.core.checks import Check, Gate, Mode, Verdict
from modelway.components.core.config.project import Project
from modelway.components.core.storage.models import folder_sha256
from modelway.components.core.tables.parquet import to_model_input
from modelway.components.prepare.stage import prepare
from modelway.components.probe.stage import dashboard_metrics, probe
from modelway.components.train.fit import fit_pipeline
from modelway.components.train.saving import save

Find = Callable[[Gate, str], Check]
PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE


def servers() -> list[str]:
    """The model servers that run on this machine and were started by this process."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_text().split("\0")
            parent = (folder / "stat").read_text().rpartition(") ")[2].split()[1]
        except OSError:
            continue
        if "modelway.components.serve" in command and int(parent) == os.getpid():
            found.append(folder.name)
    return found


def failed(gate: Gate) -> list[str]:
    return [check.name for check in gate.checks if check.verdict is FAILED]


def test_a_good_model_passes_every_check_and_all_is_measured(prober: Any, find: Find) -> None:
    gate = prober(sla={"p50_ms": 5_000, "requests_per_second": 0.1})
    left = {check.name for check in gate.checks if check.verdict is not PASSED}
    assert left <= {"throughput"}, "on a busy machine the rate's interval is wide; nothing else may depend on the time"
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
    found = dashboard_metrics(gate)
    assert 0 < found["p50_ms"] <= found["p95_ms"] <= found["p99_ms"]
    assert 0 < found["ready_seconds"] < found["cold_start_seconds"] < 30
    assert found["requests_per_second"] > 1
    assert 20 < found["peak_memory_mib"] < 2_000
    low, high = find(gate, "latency[p50]").interval or (0.0, 0.0)
    assert low <= found["p50_ms"] <= high
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
    policy = {"model": {"metrics": {"accuracy": {"min": 0}}}, "serving": {"requests": 20, "warm_up": 5}}
    gate = probe(
        str(tmp_path / "model"),
        str(tmp_path / "rows"),
        project_text=text,
        policy_text=yaml.safe_dump(policy),
        model_hash=folder_sha256(tmp_path / "model"),
        report_path=str(tmp_path / "report.html"),
    )
    assert gate.verdict is PASSED, gate.reasons


def test_a_tampered_model_fails_and_nothing_is_started(prober: Any, tmp_path: Path) -> None:
    gate = prober(_spy(tmp_path / "loaded"), model_hash="0" * 64)
    assert failed(gate) == ["model_hash"]
    assert [check.name for check in gate.checks] == ["model_hash"]
    assert not gate.proceed
    assert folder_sha256(prober.model) in gate.checks[0].message
    assert not (tmp_path / "loaded").exists()


def test_a_disabled_gate_starts_nothing_and_proceeds(prober: Any, tmp_path: Path) -> None:
    gate = prober(_spy(tmp_path / "loaded"), mode="disabled")
    assert (gate.mode, gate.checks, gate.proceed) == (Mode.DISABLED, (), True)
    assert dashboard_metrics(gate) == {}
    assert "disabled" in prober.page
    assert not (tmp_path / "loaded").exists()


def _spy(trace: Path) -> type:
    class Spy:
        def __reduce__(self) -> Any:
            return Path.touch, (trace,)

    return Spy


def test_a_server_that_does_not_start_fails_with_its_last_words(prober: Any, find: Find) -> None:
    class Unloadable:
        def __reduce__(self) -> Any:
            return int, ("no number",)

    gate = prober(Unloadable)
    assert failed(gate) == ["server_starts"]
    assert "ended with status 3; its log ends with: error: the model cannot be loaded: invalid literal" in (
        find(gate, "server_starts").message
    )
    assert "The server&#39;s last words" in prober.page or "The server's last words" in prober.page


def test_a_server_that_is_not_ready_in_time_fails_and_is_stopped(prober: Any, find: Find) -> None:
    class Endless:
        def __reduce__(self) -> Any:
            return time.sleep, (60,)

    gate = prober(Endless, timeout_seconds=2)
    assert failed(gate) == ["server_starts"]
    assert "was not ready within 2 seconds" in find(gate, "server_starts").message
    assert not servers()


class Slow:
    def predict(self, rows: pd.DataFrame) -> Any:
        time.sleep(0.05)
        return rows["income"].to_numpy() * 2


def test_a_slow_model_fails_what_its_service_levels_forbid(prober: Any, find: Find) -> None:
    sla = {"p50_ms": 20, "p95_ms": 20, "requests_per_second": 100, "cold_start_seconds": 0.001}
    gate = prober(Slow, connections=1, rows=4, requests=20, sla=sla)
    assert failed(gate) == ["cold_start", "latency[p50]", "latency[p95]", "throughput"]
    assert "the policy allows 0.001" in find(gate, "cold_start").message
    check = find(gate, "latency[p50]")
    assert check.interval is not None
    assert check.interval[0] > 50
    assert "the policy asks for at most 20 ms; make the model faster" in check.message
