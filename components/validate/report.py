"""The data gate's HTML report."""

from __future__ import annotations

import datetime as dt
import sys
from itertools import pairwise
from typing import Any

from modelway.components.core.checks import Check, Evidence, Gate, Verdict
from modelway.components.core.config.project import Project
from modelway.components.core.report.html import WORST_FIRST, format_number, render_gate
from modelway.components.validate.distributions import Distribution, TableStatistics

MOST_COLUMNS = 40
MOST_BARS = 12
MOST_LETTERS = 30
MOST_FINDINGS = 40
MOST_LINES = 100

_SPLIT = ("split_rule", "shared_", "copies")
_SECTIONS = (
    ("Leakage", (*_SPLIT, "leakage", "duplicate[", "identifier[", "future[", "label_time[", "at_serving[")),
    ("Skew: serving data against training data", ("skew",)),
    ("Multivariate drift", ("drift[multivariate]",)),
    ("Concept drift", ("concept_drift",)),
    ("New values", ("new_values[",)),
)


def render(gate: Gate, project: Project, *, current: TableStatistics, reference: TableStatistics | None) -> str:
    """Renders the page: why, the columns' distributions beside the baseline's (most drifted first), and every check.

    Args:
        gate: The judged gate.
        project: Whose data it is.
        current: The training split's distributions, in the baseline's bins where there is one.
        reference: The baseline, if there is one.
    """
    earlier = reference.columns if reference is not None else {}
    checks = {check.name: check for check in gate.checks}
    drift = {name: checks.get(f"drift[{name}]", checks.get(f"label_drift[{name}]")) for name in current.columns}
    columns = sorted(drift, key=lambda name: -_excess(drift[name]))[:MOST_COLUMNS]
    return render_gate(
        "modelway.components.validate",
        "data.html.j2",
        gate=gate,
        title=f"Data of {project.name}",
        columns=[
            _column(name, current.columns[name], reference=earlier.get(name), check=drift[name]) for name in columns
        ],
        columns_left_out=len(drift) - len(columns),
        lines=_lines(gate)[:MOST_LINES],
        lines_left_out=max(0, len(_lines(gate)) - MOST_LINES),
        baseline_rows=reference.rows if reference else None,
        rows=current.rows,
        sections=[section for title, starts in _SECTIONS if (section := _section(title, starts, gate=gate))],
    )


def _lines(gate: Gate) -> list[dict[str, Any]]:
    """The contract's lines that were judged by what was seen, those that did not pass first."""
    checks = [check for check in gate.checks if check.evidence is not None]
    return [_line(check, check.evidence) for check in sorted(checks, key=_order) if check.evidence is not None]


def _order(check: Check) -> int:
    return WORST_FIRST[check.verdict]


def _line(check: Check, evidence: Evidence) -> dict[str, Any]:
    return {
        "name": check.name,
        "verdict": check.verdict.value,
        "seen": _counted(evidence.seen_bad, evidence.seen_rows, unit=evidence.unit),
        "batch": _counted(evidence.bad, evidence.rows, unit=evidence.unit),
        "least": "none is certain" if evidence.least is None else f"{evidence.least:,}",
        "share": "none" if evidence.share is None else f"{100 * evidence.share:.2g} %",
    }


def _counted(bad: int, rows: int, *, unit: str) -> str:
    if unit == "values":
        return f"{bad:,} {'value' if bad == 1 else 'values'}"
    return f"{bad:,} of {rows:,}{' groups' if unit == 'groups' else ''}"


def _excess(check: Check | None) -> float:
    """How far a column has drifted, in multiples of its threshold."""
    if check is None or not isinstance(check.observed, float) or not isinstance(check.threshold, float):
        return -1.0
    return check.observed / check.threshold


def _section(title: str, starts: tuple[str, ...], *, gate: Gate) -> dict[str, Any] | None:
    """The checks of one kind that did not pass, and how many passed."""
    checks = [check for check in gate.checks if check.name.startswith(starts)]
    if not checks:
        return None
    open_ones = [check for check in checks if check.verdict is not Verdict.PASSED]
    return {
        "title": title,
        "checks": sorted(open_ones, key=lambda check: check.verdict is not Verdict.FAILED)[:MOST_FINDINGS],
        "passed": len(checks) - len(open_ones),
        "left_out": max(0, len(open_ones) - MOST_FINDINGS),
    }


def _column(name: str, current: Distribution, *, reference: Distribution | None, check: Check | None) -> dict[str, Any]:
    return {
        "name": name,
        "labels": _labels(current),
        "current": _bars(current),
        "reference": _bars(reference) if reference is not None else None,
        "verdict": check.verdict.value if check is not None else "",
        "message": check.message.split(" over ")[0] if check is not None else "",
    }


def _bars(distribution: Distribution) -> list[float]:
    """The shares to draw: of a column with many values, the most frequent and all the others."""
    if distribution.kind != "categorical" or len(distribution.values) <= MOST_BARS:
        return distribution.shares
    return [*distribution.shares[:MOST_BARS], sum(distribution.shares[MOST_BARS:-1]), distribution.shares[-1]]


def _labels(distribution: Distribution) -> list[str]:
    if distribution.kind == "categorical":
        names = [value if len(value) <= MOST_LETTERS else f"{value[:MOST_LETTERS]}…" for value in distribution.values]
        return [*names[:MOST_BARS], "other", "missing"]
    edges = [_moment(edge) if distribution.of_times else _number(edge) for edge in distribution.edges]
    if distribution.kind == "discrete":
        return [*edges, "other", "missing"]
    if not edges:
        return ["all", "missing"]
    between = [f"{low} to {high}" for low, high in pairwise(edges)]
    return [f"up to {edges[0]}", *between, f"over {edges[-1]}", "missing"]


def _number(edge: float) -> str:
    """An edge as a number; the one that separates a frequent zero from the values below it, in words."""
    return format_number(edge) if edge == 0 or abs(edge) >= sys.float_info.min else "just below 0"


def _moment(microseconds: float) -> str:
    try:
        moment = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=microseconds)
    except OverflowError:
        return format_number(microseconds)
    return f"{moment:%Y-%m-%d}" if moment.time() == dt.time() else f"{moment:%Y-%m-%d %H:%M}"
