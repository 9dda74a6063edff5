"""The stage's function: ends a run whose gate blocks, and records why."""

from __future__ import annotations

from modelway.components.core.checks import Gate
from modelway.components.core.config.user_files import UserFiles
from modelway.components.core.evidence.rejection import reject
from modelway.components.core.evidence.runs import RunContext

__all__ = ["RunContext", "enforce"]


def enforce(gate_path: str, report_path: str, *, files: dict[str, str], context: RunContext) -> Gate:
    """Reads a gate, and ends the run if it blocks.

    Args:
        gate_path: The gate's checks, as JSON.
        report_path: The gate's report.
        files: The project, contract and policy file: each one's text, path or URI.
        context: The run; without a store nothing is recorded.

    Returns:
        The gate, which lets the run proceed.

    Raises:
        RejectedError: the gate blocks; the message has its reasons.
    """
    gate = Gate.read(gate_path)
    if not gate.proceed:
        reject([gate], {gate.name: report_path}, files=UserFiles.load(**files), context=context)
    return gate
