"""Termination of a task by SIGTERM: it closes what it has open, and leaves a record in its run's folder.

Argo signals all processes of a task at once, KFP's launcher among them, and ends the pod within a second after that.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_LONGEST_WAIT = 0.5  # seconds that a record may take before what is open is closed


class TerminatedError(SystemExit):
    """The process was terminated by SIGTERM; uncaught, it exits with 143, as a shell would say."""


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Makes SIGTERM raise inside the block, so that what is open is closed, if it would end the process at once.

    Python delivers signals to the main thread only. A handler that the program has set stays in place.
    """
    if not _ends_at_once():
        yield
        return
    signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def record_termination(record: Callable[[], None]) -> None:
    """Makes SIGTERM leave a record and then raise, if it would end the process at once.

    The record is left by a thread of its own, which the signal wakes: the main thread notices only when it returns from
    compiled code, such as the fitting of a model. Forked processes are not affected.

    Args:
        record: Leaves the record; its errors are ignored.
    """
    if not _ends_at_once():
        return
    is_recorded = threading.Event()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def wait() -> None:
        while os.read(reader, 1) != bytes([signal.SIGTERM]):
            pass
        with suppress(Exception):
            record()
        is_recorded.set()

    def end(number: int, frame: FrameType | None) -> None:
        is_recorded.wait(_LONGEST_WAIT)
        _raise_terminated(number, frame)

    def forget() -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGTERM, end)
    os.register_at_fork(after_in_child=forget)
    threading.Thread(target=wait, daemon=True).start()


def _ends_at_once() -> bool:
    main = threading.current_thread() is threading.main_thread()
    return main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def _raise_terminated(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one must not cut the closing short
    raise TerminatedError(128 + number)
