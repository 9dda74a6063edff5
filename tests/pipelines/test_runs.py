"""The runs of a store, as `modelway runs` lists them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelway.components.core.records import (
    DECISION,
    LATEST,
    OUTCOME,
    Outcome,
    RegisteredModel,
    State,
    recorded_runs,
)
from modelway.components.core.verdict import Gate, passed_or_failed
from modelway.pipelines.cli.main import app

MODEL = RegisteredModel(name="loans", version="4", alias="champion", model_hash="h")
BAD = Gate(name="data", checks=(passed_or_failed("columns", False, "income is missing"),))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """An old run under its name, a rejected one, a registered one, and one that has not ended."""
    outcomes = (
        Outcome(
            run="release-2025", project="loans", state=State.REGISTERED, model=MODEL, at="2025-11-01T05:00:00+00:00"
        ),
        Outcome(
            run="id-1",
            name="weekly",
            project="loans",
            state=State.REJECTED,
            gates=(BAD,),
            at="2026-11-01T05:00:00+00:00",
        ),
        Outcome(
            run="id-2",
            name="weekly",
            project="loans",
            state=State.REGISTERED,
            model=MODEL,
            at="2026-11-08T05:00:00+00:00",
        ),
    )
    for outcome in outcomes:
        outcome.write(str(tmp_path), OUTCOME)
    Outcome(run="id-3", project="loans", state=State.REGISTERED, model=MODEL).write(str(tmp_path), DECISION)
    outcomes[-1].model_copy(update={"run": LATEST}).write(str(tmp_path), OUTCOME)
    return tmp_path


def test_what_has_not_ended_comes_first_and_then_the_newest(store: Path) -> None:
    assert [(run, outcome.state if outcome else None) for run, outcome in recorded_runs(str(store))] == [
        ("id-3", None),
        ("id-2", State.REGISTERED),
        ("id-1", State.REJECTED),
        ("release-2025", State.REGISTERED),
    ]


def test_a_store_without_runs_has_none(tmp_path: Path) -> None:
    assert recorded_runs(str(tmp_path / "nowhere")) == []
    printed = CliRunner().invoke(app, ["runs", "--store", str(tmp_path)])
    assert (printed.exit_code, "no run has left records" in printed.output) == (0, True)


def test_they_are_listed_by_name_id_state_and_version(store: Path) -> None:
    printed = CliRunner().invoke(app, ["runs", "--store", str(store), "--json"])
    rows = json.loads(printed.output)
    assert [(row["run"], row["name"], row["state"], row["version"]) for row in rows] == [
        ("id-3", "", "no outcome", ""),
        ("id-2", "weekly", "registered", "4"),
        ("id-1", "weekly", "rejected", ""),
        ("release-2025", "", "registered", "4"),
    ]
    assert rows[2]["error"] == "columns: income is missing"


@pytest.mark.parametrize(("last", "count"), [("1", 1), ("0", 4)])
def test_only_so_many_are_listed(last: str, count: int, store: Path) -> None:
    printed = CliRunner().invoke(app, ["runs", "--store", str(store), "--last", last, "--json"])
    assert len(json.loads(printed.output)) == count


def test_people_read_a_table(store: Path) -> None:
    printed = CliRunner().invoke(app, ["runs", "--store", str(store)], env={"COLUMNS": "160"})
    assert printed.exit_code == 0
    for text in ("weekly", "id-2", "registered", "no outcome", "income is missing"):
        assert text in printed.output
