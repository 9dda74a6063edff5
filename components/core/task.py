"""The process of a task: its log has no secrets and ends with a readable error; termination leaves a record."""

from __future__ import annotations

import os
import sys
from types import TracebackType

from modelway.components.core.addresses import hide_secrets_in_output
from modelway.components.core.errors import readable_error
from modelway.components.core.termination import record_termination


def begin() -> None:
    """Prepares the process that runs a task, by KFP's executor."""
    hide_secrets_in_output()
    sys.excepthook = report
    if "--function_to_execute" in sys.argv:  # which a process that only forks tasks has not
        record_termination(_record_stop)


def report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An excepthook that ends a task's log with the readable error instead of a traceback."""
    readable = readable_error(error)
    if readable is not None and not os.environ.get("MODELWAY_DEBUG"):
        sys.stderr.write(f"error: {readable}\n")
    else:
        sys.__excepthook__(kind, error, trace)


def _record_stop() -> None:
    from modelway.components.core.evidence.stop_record import record_stop

    record_stop(sys.argv)
