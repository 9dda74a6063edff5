"""The data gate: contract, drift, and the report of both."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from modelway.components.core.contract import Contract
from modelway.components.core.policy import Policy
from modelway.components.core.project import Project
from modelway.components.core.tables import read_table
from modelway.components.core.tracking import BASELINE_FILE, Tracking
from modelway.components.core.verdict import Gate
from modelway.components.validate.contract_checks import contract_checks
from modelway.components.validate.drift import Baseline, drift_checks, measure, measure_like
from modelway.components.validate.report import render


def validate(
    train_path: str,
    test_path: str,
    project: str,
    contract: str,
    policy: str,
    data_hash: str,
    champion: str,
    *,
    baseline_path: str,
    report_path: str,
) -> Gate:
    """Judges the data, and writes the report and the statistics that later data will be measured against.

    Args:
        train_path: The training split, as Parquet.
        test_path: The test split, as Parquet.
        project: The project file: its text, path or URI.
        contract: The contract file, likewise.
        policy: The policy file, likewise.
        data_hash: The SHA-256 of the source's content.
        champion: The champion's version in the registry, whose baseline is compared with; empty: there is none.
        baseline_path: Where this data's own statistics go, as JSON.
        report_path: Where the HTML report goes.
    """
    described, asked, rules = Project.load(project), Contract.load(contract), Policy.load(policy)
    table = pl.scan_parquet([train_path, test_path], glob=False)
    schema = table.collect_schema()
    columns = [name for name in (*described.features.columns, described.label) if name in schema]
    train = read_table(train_path, columns)
    approved = _approved_baseline(described.name, champion)
    made = measure(train, columns, data_hash)
    made.write(baseline_path)
    now = made if approved is None else measure_like(train, approved, data_hash)
    checks = contract_checks(table, asked, described) + drift_checks(now, approved, rules.data)
    rows = int(table.select(pl.len()).collect().item())
    gate = Gate(
        name="data",
        checks=tuple(checks),
        facts={
            "data_hash": data_hash,
            "contract_hash": asked.sha256(),
            "policy_hash": rules.sha256(),
            "rows": rows,
            "train_rows": len(train),
            "test_rows": rows - len(train),
            "baseline": f"{described.name} version {champion}" if approved is not None else None,
        },
    )
    Path(report_path).write_text(render(gate, described, now, approved), encoding="utf-8")
    return gate


def _approved_baseline(name: str, champion: str) -> Baseline | None:
    """The statistics that were registered with the champion."""
    if not champion:
        return None
    content = Tracking.from_environment().evidence(name, champion, BASELINE_FILE)
    return None if content is None else Baseline.model_validate_json(content)
