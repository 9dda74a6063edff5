"""Keeps this process from changing anything but temporary files, and from reaching the network.

Where Linux has Landlock (since 5.13) the kernel holds that for compiled code and child processes too, connections by
TCP since 6.7. Elsewhere only what Python itself does is refused.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Where the arguments of Python's audit events have paths that are changed, and where the folder that each is below.
_CHANGES: dict[str, tuple[tuple[int, int | None], ...]] = {
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.link": ((1, 3),),
    "os.mkdir": ((0, 2),),
    "os.remove": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.rmdir": ((0, 1),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "os.utime": ((0, 3),),
}
_CONNECTIONS = {"socket.connect", "socket.sendmsg", "socket.sendto"}

# From linux/landlock.h and the tables of system calls, where its three have the same numbers on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _RULE_PATH_BENEATH = 1, 1
_WRITE_FILE, _REMOVE_AND_MAKE, _REFER, _TRUNCATE = 1 << 1, 0b1_1111_1111_0000, 1 << 13, 1 << 14
_CONNECT_TCP = 1 << 1
_PR_SET_NO_NEW_PRIVS = 38


class _RefusedError(PermissionError):
    """What is refused, without an error's number before it."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.EPERM, message)

    def __str__(self) -> str:
        return str(self.strerror)


def confine(folders: Sequence[Path]) -> None:
    """Has this process, and where the kernel can its children, write below some folders alone, and connect nowhere.

    What is refused fails with a `PermissionError`, as on a read-only disk. It cannot be undone.

    Args:
        folders: Where files may be written.
    """
    places = sorted({place for folder in folders for place in (folder.absolute(), folder.resolve())})
    _restrict_by_landlock(places)

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            if isinstance(arguments[2], int) and arguments[2] & _WRITING:
                _check(arguments[0], None, places=places)
        elif event in _CHANGES:
            for position, below in _CHANGES[event]:
                _check(arguments[position], None if below is None else arguments[below], places=places)
        elif event in _CONNECTIONS and isinstance(arguments[1], tuple):
            raise _RefusedError(f"a call on made-up rows may not connect to {arguments[1][0]}")

    sys.addaudithook(refuse)


def _check(name: Any, below: Any, *, places: Sequence[Path]) -> None:
    """Refuses a path that lies in none of the places; what is open already may be changed."""
    if not isinstance(name, bytes | str | os.PathLike):
        return
    folder = Path.cwd()
    if isinstance(below, int) and below >= 0:
        try:
            folder = Path(f"/proc/self/fd/{below}").readlink()
        except OSError:  # not on Linux: the folder was opened by its path, which is not checked twice
            return
    path = Path(os.path.normpath(folder / os.fsdecode(name)))
    if not any(path.is_relative_to(place) for place in places):
        raise _RefusedError(f"a call on made-up rows may not write {path}")


class _Ruleset(ctypes.Structure):
    _fields_ = (("filesystem", ctypes.c_uint64), ("network", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("access", ctypes.c_uint64), ("folder", ctypes.c_int32))


def _restrict_by_landlock(places: Sequence[Path]) -> None:
    """As `confine`, by the kernel; does nothing where it cannot."""
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None, use_errno=True)
    version = library.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_FLAG)
    if version < 1:
        return
    writes = _WRITE_FILE | _REMOVE_AND_MAKE | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    rules = _Ruleset(writes, _CONNECT_TCP if version >= 4 else 0)
    size = ctypes.c_size_t(ctypes.sizeof(rules) if version >= 4 else 8)
    ruleset = library.syscall(_CREATE_RULESET, ctypes.byref(rules), size, 0)
    if ruleset < 0:
        return
    try:
        for place in places:
            with suppress(OSError):
                folder = os.open(place, os.O_PATH | os.O_CLOEXEC)
                try:
                    rule = _PathBeneath(writes, folder)
                    library.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0)
                finally:
                    os.close(folder)
        library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        library.syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
