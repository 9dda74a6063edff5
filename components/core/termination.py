"""A task that is told to end closes what it has open."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TerminatedError(SystemExit):
    """The process was told to end; unless something catches this, it does, as a shell counts it: with 143."""


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Has SIGTERM raise in the block, so that what is open is closed, wherever it would end the process at once.

    Python hands signals to the main thread alone. A handler of the program's own stays: it knows what to do.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _raise_terminated(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one must not cut the closing short
    raise TerminatedError(128 + number)
