"""A gate's checks, found by their names and verdicts."""

from __future__ import annotations

from modelway.components.core.checks import Check, Gate, Verdict


def find_check(gate: Gate, name: str) -> Check:
    (check,) = [check for check in gate.checks if check.name == name]
    return check


def failed_checks(gate: Gate) -> list[str]:
    return [check.name for check in gate.checks if check.verdict is Verdict.FAILED]
