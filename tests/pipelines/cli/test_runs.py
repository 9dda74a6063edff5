"""The runs of a store, as `modelway runs` lists them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelway.components.core.evidence.runs import (
    State,
    recorded_runs,
)
from modelway.pipelines.cli.main import app


def test_what_has_not_ended_comes_first_and_then_the_newest(store: Path) -> None:
    assert [(run, outcome.state if outcome else None) for run, outcome in recorded_runs(str(store))] == [
        ("id-3", None),
        ("id-4", State.STOPPED),
        ("id-2", State.REGISTERED),
        ("id-1", State.REJECTED),
        ("release-2025", State.REGISTERED),
    ]


def test_a_store_without_runs_has_none(tmp_path: Path) -> None:
    assert recorded_runs(str(tmp_path / "nowhere")) == []
    result = CliRunner().invoke(app, ["runs", "--store", str(tmp_path)])
    assert (result.exit_code, "no run has left records" in result.output) == (0, True)


def test_they_are_listed_by_name_id_state_and_version(store: Path) -> None:
    result = CliRunner().invoke(app, ["runs", "--store", str(store), "--json"])
    rows = json.loads(result.output)
    assert [(row["run"], row["name"], row["state"], row["version"]) for row in rows] == [
        ("id-3", "", "no outcome", ""),
        ("id-4", "", "stopped", ""),
        ("id-2", "weekly", "registered", "4"),
        ("id-1", "weekly", "rejected", ""),
        ("release-2025", "", "registered", "4"),
    ]
    assert rows[1]["error"].startswith("train_model was terminated")
    assert rows[3]["error"] == "columns: income is missing"


@pytest.mark.parametrize(("last", "count"), [("1", 1), ("0", 5)])
def test_only_so_many_are_listed(last: str, count: int, store: Path) -> None:
    result = CliRunner().invoke(app, ["runs", "--store", str(store), "--last", last, "--json"])
    assert len(json.loads(result.output)) == count


def test_people_read_a_table(store: Path) -> None:
    result = CliRunner().invoke(app, ["runs", "--store", str(store)], env={"COLUMNS": "160"})
    assert result.exit_code == 0
    for text in ("weekly", "id-2", "registered", "stopped", "no outcome", "income is missing"):
        assert text in result.output


def test_runs_of_earlier_versions_are_listed_by_their_names(old_store: Path) -> None:
    result = CliRunner().invoke(app, ["runs", "--store", str(old_store), "--json"])
    assert [
        (row["run"], row["name"], row["state"], row["version"], row["error"]) for row in json.loads(result.output)
    ] == [
        ("Täglich #3", "", "failed", "", "the task train_model failed"),
        ("claims-release-x7k2p", "", "registered", "7", ""),
        ("release 2026-11-20", "", "rejected", "", "nulls[age]: 3 of 600 rows are null"),
    ]
