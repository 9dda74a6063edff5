"""The data gate's HTML report."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from modelway.components.core.html import format_number, render_gate
from modelway.components.core.project import Project
from modelway.components.core.verdict import Gate
from modelway.components.validate.drift import Baseline, Distribution, population_stability_index

MOST_COLUMNS = 40
MOST_BARS = 12
MOST_LETTERS = 30


def render(gate: Gate, project: Project, now: Baseline, before: Baseline | None) -> str:
    """The page: why, the columns' distributions beside the baseline's (most drifted first), and every check.

    Args:
        gate: What was judged.
        project: Whose data it is.
        now: The training split's distributions, in the baseline's bins where there is one.
        before: The baseline, if there is one.
    """
    earlier = before.columns if before is not None else {}
    drift = {
        name: population_stability_index(earlier[name].shares, shape.shares) if name in earlier else 0.0
        for name, shape in now.columns.items()
    }
    most = sorted(drift, key=lambda name: -drift[name])[:MOST_COLUMNS]
    return render_gate(
        "modelway.components.validate",
        "data.html.j2",
        gate,
        f"Data of {project.name}",
        columns=[_column(name, now.columns[name], earlier.get(name), drift[name]) for name in most],
        columns_left_out=len(drift) - len(most),
        baseline_rows=before.rows if before else None,
        rows=now.rows,
    )


def _column(name: str, now: Distribution, before: Distribution | None, psi: float) -> dict[str, Any]:
    return {
        "name": name,
        "labels": _labels(now),
        "now": _bars(now),
        "before": _bars(before) if before is not None else None,
        "psi": psi,
    }


def _bars(shape: Distribution) -> list[float]:
    """The shares to draw: of a column with many values, the most frequent and all the others."""
    if shape.kind == "numeric" or len(shape.values) <= MOST_BARS:
        return shape.shares
    return [*shape.shares[:MOST_BARS], sum(shape.shares[MOST_BARS:-1]), shape.shares[-1]]


def _labels(shape: Distribution) -> list[str]:
    if shape.kind == "categorical":
        shown = [value if len(value) <= MOST_LETTERS else f"{value[:MOST_LETTERS]}…" for value in shape.values]
        return [*shown[:MOST_BARS], "other", "missing"]
    edges = [format_number(edge) for edge in shape.edges]
    if not edges:
        return ["all", "missing"]
    between = [f"{low} to {high}" for low, high in pairwise(edges)]
    return [f"up to {edges[0]}", *between, f"over {edges[-1]}", "missing"]
