"""How processes end: a task that is told to leaves a record, a command ends what it began, a child with its parent.

Argo signals all processes of a task at once, KFP's launcher among them, and ends the pod within a second after that.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_LONGEST_WAIT = 3.0  # seconds that a record may take before what is open is closed
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, a request, a terminal that was closed
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None  # a forked child had better not look it up
_SHOW_CURSOR = b"\x1b[?25h\n"


class TerminatedError(SystemExit):
    """The process was told to end by a signal; uncaught, it exits with 128 and its number, as a shell would say.

    Args:
        number: The signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


class _First:
    """A handler that reacts to the first signal; from then on each ends the process at once."""

    def __init__(self, react: Callable[[int], None]) -> None:
        self.react = react
        self.signals: list[signal.Signals] = []
        self.has_come = False

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self.has_come = True
        for other in self.signals:
            signal.signal(other, _end_at_once)
        self.react(number)


@contextmanager
def on_first_signal(react: Callable[[int], None]) -> Iterator[None]:
    """Has the first Ctrl-C, SIGTERM or SIGHUP inside the block call `react`; a second one ends the process at once.

    Inside another such block this one counts. Other handlers that the program has set stay in place, and so does what
    ignores a signal, as `nohup` does. Outside of the main thread it does nothing.

    Args:
        react: Gets the signal's number; may raise.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    first = _First(react)
    defaults = (signal.SIG_DFL, signal.default_int_handler)
    previous = {number: signal.getsignal(number) for number in _ENDS}
    first.signals = [
        number for number, handler in previous.items() if handler in defaults or isinstance(handler, _First)
    ]
    for number in first.signals:
        signal.signal(number, first)
    try:
        yield
    finally:
        for number in first.signals:
            if not (first.has_come and isinstance(previous[number], _First)):
                signal.signal(number, previous[number])


def raise_terminated(number: int) -> None:
    """Raises what ends a process that was told to.

    Raises:
        TerminatedError: always.
    """
    raise TerminatedError(number)


def _end_at_once(number: int, _frame: FrameType | None) -> None:
    if os.isatty(2):
        with suppress(OSError):
            os.write(2, _SHOW_CURSOR)  # which a progress bar has hidden
    os._exit(128 + number)


def end_with_parent() -> None:
    """Has the kernel kill this process when the thread that started it ends, however that ends; on Linux only."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def ending_with_this_process() -> Callable[[], None]:
    """A `preexec_fn` for a child that must not outlive this process, however it ends; see `end_with_parent`."""
    parent = os.getpid()

    def bind() -> None:
        end_with_parent()
        if os.getppid() != parent:  # it ended before the kernel was told
            os._exit(128 + signal.SIGKILL)

    return bind


@contextmanager
def termination_deferred() -> Iterator[None]:
    """Puts SIGTERM off until the block has ended, so that what it does is done as a whole; in the main thread only."""
    handler = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or handler in {signal.SIG_IGN, None}:
        yield
        return
    came: list[FrameType | None] = []
    signal.signal(signal.SIGTERM, lambda _, frame: came.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
        if came and callable(handler):
            handler(signal.SIGTERM, came[0])
        elif came:
            os.kill(os.getpid(), signal.SIGTERM)


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
    raise TerminatedError(number)
