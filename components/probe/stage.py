"""The serving gate: starts the real server, measures it, judges the measurements, and writes the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from modelway.components.core.checks import Check, Gate, Mode
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.project import Project
from modelway.components.core.config.serving_policy import Serving
from modelway.components.core.config.waivers import judged_gate
from modelway.components.core.errors import ModelwayError, first_line
from modelway.components.core.storage.model_code import separate_modules
from modelway.components.core.storage.models import folder_sha256, load_model
from modelway.components.core.tables.parquet import read_table, to_model_input
from modelway.components.probe.answers import Outputs, predict_offline
from modelway.components.probe.checks.cold_start import cold_start_check
from modelway.components.probe.checks.malformed import malformed_checks
from modelway.components.probe.checks.model_hash import model_hash_check
from modelway.components.probe.checks.predictions_match import answer_checks, no_rows_check
from modelway.components.probe.checks.server_alive import server_alive_check
from modelway.components.probe.checks.server_starts import server_starts_check
from modelway.components.probe.checks.sla import load_checks
from modelway.components.probe.measuring import QUANTILES, Measurements, measure
from modelway.components.probe.report import render
from modelway.components.probe.requests import Sample
from modelway.components.probe.server import ServerProcess

Facts = dict[str, str | int | float | None]

_DASHBOARD_FACTS = (
    "ready_seconds",
    "cold_start_seconds",
    *(f"{name}_ms" for name in QUANTILES),
    "requests_per_second",
    "requests",
    "failed_requests",
    "peak_memory_mib",
)


def probe(
    model_path: str,
    test_path: str,
    *,
    project_text: str,
    policy_text: str,
    model_hash: str = "",
    as_of: str = "",
    report_path: str,
) -> Gate:
    """Judges how a model serves: by the real server, real rows, malformed requests and timed load.

    Args:
        model_path: The model's folder, in MLflow's format.
        test_path: The test split, as Parquet.
        project_text: The project file: its text, path or URI.
        policy_text: The policy file, likewise.
        model_hash: The SHA-256 that the model's folder had when it was trained; empty: not compared.
        as_of: The day that waivers are judged at, ISO 8601; empty: today.
        report_path: The path of the HTML report.

    Returns:
        The gate, named ``serving``; its facts hold every measurement, judged or not.

    Raises:
        ModelwayError: the test split lacks a column that the project names.
    """
    project, policy = Project.load(project_text), Policy.load(policy_text)
    serving = policy.serving
    sha256 = folder_sha256(model_path)
    facts: Facts = {"model_hash": sha256, "project_hash": project.sha256(), "policy_hash": policy.sha256()}
    measurements, checks = Measurements(), []
    if serving.mode is not Mode.DISABLED:
        if model_hash:
            checks.append(model_hash_check(sha256, model_hash))
        if not model_hash or sha256 == model_hash:
            table = read_table(test_path)
            measurements, probe_checks = _measure_and_judge(
                model_path,
                table,
                columns=project.features.columns,
                policy=serving,
                model_hash=sha256,
                trusted_types=policy.model.trusted_types,
            )
            checks += probe_checks
            facts |= {"test_rows": len(table), **_facts(measurements, serving)}
    gate = judged_gate("serving", checks, facts=facts, mode=serving.mode, waivers=policy.waivers, as_of=as_of)
    Path(report_path).write_text(render(gate, project, measurements=measurements, policy=serving), encoding="utf-8")
    return gate


def dashboard_metrics(gate: Gate) -> dict[str, float]:
    """Returns the measured numbers, for the dashboard."""
    facts = {name: gate.facts.get(name) for name in _DASHBOARD_FACTS}
    return {name: value for name, value in facts.items() if isinstance(value, int | float)}


def _measure_and_judge(
    model_path: str,
    table: pl.DataFrame,
    *,
    columns: Sequence[str],
    policy: Serving,
    model_hash: str,
    trusted_types: Sequence[str],
) -> tuple[Measurements, list[Check]]:
    """Returns the measurements and their checks."""
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise ModelwayError(
            f"the model needs the column {missing[0]!r}, which the test split does not have",
            column=missing[0],
            remedy="restore the column, or train a model without it",
        )
    numbers = np.unique(np.linspace(0, max(len(table) - 1, 0), min(policy.rows, len(table))).astype(int)).tolist()
    frame = to_model_input(table[numbers], columns)
    sample = Sample.of(frame, numbers)
    with (
        TemporaryDirectory() as work,
        ServerProcess(model_path, model_hash, trusted_types=trusted_types, log=Path(work, "server.log")) as server,
    ):
        seconds = server.wait_until_ready(policy.timeout_seconds)
        checks = [server_starts_check(seconds, policy, exit_status=server.exit_status, log=server.log_tail())]
        if seconds is None:
            return Measurements(log=server.log_tail()), checks
        if not len(sample):
            return Measurements(ready_seconds=seconds), [*checks, no_rows_check(policy.on_inconclusive)]
        measurements = measure(server, seconds, sample=sample, policy=policy)
    expected: Outputs | None = None
    error_text = "the server died"
    if not measurements.killed_by_row:  # a row that ends the server's process would end this one, too
        try:
            with separate_modules():
                expected, error_text = predict_offline(load_model(model_path, trusted_types), frame), ""
        except Exception as error:  # whatever the model raises
            error_text = f"the model fails on these rows offline: {first_line(error)}"
    checks += cold_start_check(measurements, sample, expected=expected, policy=policy)
    if measurements.answers is not None:
        checks += answer_checks(measurements.answers, sample, expected=expected, error=error_text, policy=policy)
    checks += load_checks(measurements, policy)
    checks += malformed_checks(measurements, policy)
    return measurements, [*checks, server_alive_check(measurements)]


def _facts(measurements: Measurements, policy: Serving) -> Facts:
    load, warm_up = measurements.load, measurements.warm_up
    facts: Facts = {
        "ready_seconds": measurements.ready_seconds,
        "cold_start_seconds": measurements.first_seconds,
        "connections": policy.connections,
        "peak_memory_mib": measurements.peak_memory_mib,
    }
    if load is not None and warm_up is not None:
        facts |= {"requests": load.requests, "failed_requests": len(load.failures) + len(warm_up.failures)}
        facts["requests_per_second"] = load.rate
        if load.requests:
            facts |= {f"{name}_ms": load.quantile(quantile) for name, quantile in QUANTILES.items()}
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in facts.items()}
