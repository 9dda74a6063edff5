"""`modelway runs`: the runs that have records in a project's store."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from modelway.components.core.evidence.runs import Outcome, State, recorded_runs
from modelway.pipelines.cli.options import Folder, Home, Store, home_of, project_folder, store_of
from modelway.pipelines.cli.output import Answer, Console, escape, to_minute

_OPEN = "no outcome"
_COLOURS = {State.REGISTERED: "green", State.PROMOTED: "green", _OPEN: "yellow"}
_COLOURS |= dict.fromkeys((State.STOPPED, State.INTERRUPTED), "yellow")


def runs(
    project: Folder = None,
    home: Home = None,
    *,
    store: Store = None,
    last: Annotated[int, typer.Option(min=0, help="Only the newest so many; 0: all.")] = 20,
) -> Answer:
    """Lists the project's runs, here or on a cluster, the newest first, by name, id, state and version.

    A run without an outcome is still running, or was killed before anything could be recorded.
    """
    folder = project_folder(project)
    entries = recorded_runs(store_of(store, home_of(folder, home)))
    rows = [_row(run, outcome) for run, outcome in (entries[:last] if last else entries)]
    return Answer(rows, lambda: _print(rows))


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("ended", "name", "run", "state", "version", "error or first reason"):
        table.add_column(title, overflow="fold")  # a part of an id is of no use
    for row in rows:
        colour = _COLOURS.get(row["state"], "red")
        state = f"[{colour}]{row['state']}[/{colour}]"
        name, run, error = (escape(row[key]) for key in ("name", "run", "error"))
        table.add_row(to_minute(row["at"]), name, run, state, row["version"], error)
    Console().print(table if rows else "no run has left records there; `modelway run` starts one")


def _row(run: str, outcome: Outcome | None) -> dict[str, Any]:
    if outcome is None:
        return {"run": run, "name": "", "state": _OPEN, "version": "", "at": "", "error": "", "attempts": 0}
    error = outcome.error or (outcome.reasons[0] if outcome.reasons else "")
    return {
        "run": run,
        "name": outcome.name,
        "state": outcome.state.value,
        "version": outcome.model.version if outcome.model is not None else "",
        "at": outcome.at,
        "error": error,
        "attempts": len(outcome.attempts) + 1,
    }
