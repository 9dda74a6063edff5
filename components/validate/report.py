"""The data gate's HTML report."""

from __future__ import annotations

import datetime as dt
import sys
from itertools import pairwise
from typing import Any

from modelway.components.core.checks import Check, Gate, Verdict
from modelway.components.core.config.project import Project
from modelway.components.core.report.html import format_number, render_gate
from modelway.components.validate.distributions import Baseline, Distribution

MOST_COLUMNS = 40
MOST_BARS = 12
MOST_LETTERS = 30
MOST_FINDINGS = 40

_SECTIONS = (
    ("Leakage", ("leakage", "duplicate[", "identifier[", "shared_", "future[", "label_time[", "at_serving[")),
    ("Skew: what is served against what is trained on", ("skew",)),
    ("Drift of the columns together", ("drift[multivariate]",)),
)


def render(gate: Gate, project: Project, *, now: Baseline, before: Baseline | None) -> str:
    """The page: why, the columns' distributions beside the baseline's (most drifted first), and every check.

    Args:
        gate: What was judged.
        project: Whose data it is.
        now: The training split's distributions, in the baseline's bins where there is one.
        before: The baseline, if there is one.
    """
    earlier = before.columns if before is not None else {}
    checks = {check.name: check for check in gate.checks}
    drift = {name: checks.get(f"drift[{name}]", checks.get(f"label_drift[{name}]")) for name in now.columns}
    most = sorted(drift, key=lambda name: -_excess(drift[name]))[:MOST_COLUMNS]
    return render_gate(
        "modelway.components.validate",
        "data.html.j2",
        gate=gate,
        title=f"Data of {project.name}",
        columns=[_column(name, now.columns[name], before=earlier.get(name), check=drift[name]) for name in most],
        columns_left_out=len(drift) - len(most),
        baseline_rows=before.rows if before else None,
        rows=now.rows,
        sections=[section for title, starts in _SECTIONS if (section := _section(title, starts, gate=gate))],
    )


def _excess(check: Check | None) -> float:
    """How far a column has drifted, in multiples of its threshold."""
    if check is None or not isinstance(check.observed, float) or not isinstance(check.threshold, float):
        return -1.0
    return check.observed / check.threshold


def _section(title: str, starts: tuple[str, ...], *, gate: Gate) -> dict[str, Any] | None:
    """The checks of one kind that did not pass; how many did."""
    found = [check for check in gate.checks if check.name.startswith(starts)]
    if not found:
        return None
    open_ones = [check for check in found if check.verdict is not Verdict.PASSED]
    return {
        "title": title,
        "checks": sorted(open_ones, key=lambda check: check.verdict is not Verdict.FAILED)[:MOST_FINDINGS],
        "passed": len(found) - len(open_ones),
        "left_out": max(0, len(open_ones) - MOST_FINDINGS),
    }


def _column(name: str, now: Distribution, *, before: Distribution | None, check: Check | None) -> dict[str, Any]:
    return {
        "name": name,
        "labels": _labels(now),
        "now": _bars(now),
        "before": _bars(before) if before is not None else None,
        "verdict": check.verdict.value if check is not None else "",
        "says": check.message.split(" over ")[0] if check is not None else "",
    }


def _bars(shape: Distribution) -> list[float]:
    """The shares to draw: of a column with many values, the most frequent and all the others."""
    if shape.kind != "categorical" or len(shape.values) <= MOST_BARS:
        return shape.shares
    return [*shape.shares[:MOST_BARS], sum(shape.shares[MOST_BARS:-1]), shape.shares[-1]]


def _labels(shape: Distribution) -> list[str]:
    if shape.kind == "categorical":
        shown = [value if len(value) <= MOST_LETTERS else f"{value[:MOST_LETTERS]}…" for value in shape.values]
        return [*shown[:MOST_BARS], "other", "missing"]
    edges = [_moment(edge) if shape.of_times else _number(edge) for edge in shape.edges]
    if shape.kind == "discrete":
        return [*edges, "other", "missing"]
    if not edges:
        return ["all", "missing"]
    between = [f"{low} to {high}" for low, high in pairwise(edges)]
    return [f"up to {edges[0]}", *between, f"over {edges[-1]}", "missing"]


def _number(edge: float) -> str:
    """An edge as a number; the one next to zero, which parts a frequent zero from what is below it, in words."""
    return format_number(edge) if edge == 0 or abs(edge) >= sys.float_info.min else "just below 0"


def _moment(microseconds: float) -> str:
    try:
        moment = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=microseconds)
    except OverflowError:
        return format_number(microseconds)
    return f"{moment:%Y-%m-%d}" if moment.time() == dt.time() else f"{moment:%Y-%m-%d %H:%M}"
