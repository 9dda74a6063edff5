"""The errors of all stages and commands: a class for each thing that a caller decides by."""

import errno
import os
import signal
from collections.abc import Mapping
from typing import Any

from modelway.components.core.addresses import without_secrets


class ModelwayError(Exception):
    """Something the user can put right: what is wrong, where, and the remedy.

    What is secret in an address (``https://user:password@host``) is hidden in all of it.

    Attributes:
        message: What is wrong, in one sentence.
        file: The file or URI concerned, if any.
        line: The line of the file, counted from 1, if known.
        key: The configuration key concerned, dotted (``model.estimator``), if any.
        column: The data column concerned, if any.
        value: The offending value as text, if any.
        remedy: What to do about it, in one sentence.
    """

    def __init__(
        self,
        message: str,
        *,
        remedy: str,
        file: str | None = None,
        line: int | None = None,
        key: str | None = None,
        column: str | None = None,
        value: object = None,
    ) -> None:
        self.message = without_secrets(message)
        super().__init__(self.message)
        self.remedy = without_secrets(remedy)
        self.file = None if file is None else without_secrets(file)
        self.line = line
        self.key = key
        self.column = column
        self.value = None if value is None else without_secrets(str(value))[:200]

    @property
    def kind(self) -> str:
        """The name of the class in this module that it is of: what a caller in another process decides by."""
        return next(base.__name__ for base in type(self).__mro__ if base.__module__ == __name__)

    def fields(self) -> dict[str, Any]:
        """The fields that are set, for ``--json`` output."""
        names = ("message", "file", "line", "key", "column", "value", "remedy")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def details(self) -> dict[str, str]:
        """The lines below the message: the fields that are set, the line number after its file."""
        texts = {name: str(value) for name, value in self.fields().items() if name not in {"message", "line"}}
        if self.file is not None and self.line is not None:
            texts["file"] += f":{self.line}"
        return texts

    def __str__(self) -> str:
        details = [f"{name}: {value}" for name, value in self.details().items() if name != "remedy"]
        text = f"{self.message} [{', '.join(details)}]" if details else self.message
        return f"{text}\n  remedy: {self.remedy}"


class NotFoundError(ModelwayError):
    """A file, an object, a version or a record is not there."""


class DamagedError(ModelwayError):
    """Something is there, and its content is not what it must be."""


class RejectedError(ModelwayError):
    """A gate or the policy says no: everything works, and the answer is no."""


class UnavailableError(ModelwayError):
    """A service could not be reached or refused the connection; trying again may help."""


class CredentialsError(ModelwayError):
    """A service was reached and refused who we are or what we asked for."""


class SetupError(ModelwayError):
    """What the caller works with is wrong: a variable is not set, or names a key or a cluster that is not there.

    It says nothing about a version, and is recorded as nothing.
    """


class InterruptionError(ModelwayError):
    """The command was told to end, by Ctrl-C or by a signal.

    Attributes:
        number: The signal's number.
    """

    def __init__(self, message: str, number: int, *, remedy: str = "run it again") -> None:
        super().__init__(message, remedy=remedy)
        self.number = number


class CrashError(ModelwayError):
    """A defect of Modelway itself: its file is the log that has the traceback, and its remedy says how to report it."""

    def __init__(self, problem: str, log: str) -> None:
        super().__init__(f"modelway crashed: {problem}", file=log, remedy=_REPORT)


_REPORT = "report it to Modelway's maintainers, with the log that has the traceback"
_KINDS = (NotFoundError, DamagedError, RejectedError, UnavailableError, CredentialsError, SetupError)
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FULL_TEXTS = ("No space left on device", "database or disk is full")
_NO_TEMPORARY = "No usable temporary directory found"  # by `tempfile`
_FREE = "free some space there, then run again"
_OTHER_PLACE = "name another place: --home, --store, or the path that was given"
# What a system call can fail by that is no defect: why, and the remedy.
_SURROUNDINGS = {
    errno.ENOSPC: ("the disk is full", _FREE),
    errno.EDQUOT: ("the disk quota is used up", _FREE),
    errno.EFBIG: ("the file would be larger than is allowed", "raise the limit (`ulimit -f`), then run again"),
    errno.EROFS: ("the file system is read-only", _OTHER_PLACE),
    errno.EACCES: ("this account has no permission", f"correct the permissions, or {_OTHER_PLACE}"),
    errno.EPERM: ("this account has no permission", f"correct the permissions, or {_OTHER_PLACE}"),
    errno.ENOTDIR: ("a file is where a folder must be", _OTHER_PLACE),
    errno.EISDIR: ("a folder is where a file must be", _OTHER_PLACE),
    errno.ENAMETOOLONG: ("the path is too long", _OTHER_PLACE),
    errno.ELOOP: ("its links lead in a circle", _OTHER_PLACE),
    errno.EMFILE: ("too many files are open", "raise the limit (`ulimit -n`), then run again"),
    errno.ENFILE: ("too many files are open", "raise the system's limit, then run again"),
    errno.EIO: ("the file system fails", "check the disk or the mount, then run again"),
    errno.ESTALE: ("the file system fails", "check the disk or the mount, then run again"),
    errno.ENOTCONN: ("the file system fails", "check the disk or the mount, then run again"),
}


def from_fields(kind: str, fields: Mapping[str, Any]) -> ModelwayError:
    """The error that another process described by its `kind` and its `fields`."""
    error = next((error for error in _KINDS if error.__name__ == kind), ModelwayError)
    return error(**fields)


def exit_code_of(error: ModelwayError) -> int:
    """What a command that an error ends exits with.

    1 is a judged no, 3 a crash of ours, 128 and more a signal, 2 anything else.
    """
    if isinstance(error, InterruptionError):
        return 128 + error.number
    return 1 if isinstance(error, RejectedError) else 3 if isinstance(error, CrashError) else 2


def interruption(number: int) -> str:
    """How a signal is called: ``Ctrl-C``, or ``SIGTERM``."""
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name


def os_error(error: OSError, path: str | None = None, *, deed: str = "used") -> ModelwayError | None:
    """What to do about a file system's error; None if it may be a defect of ours.

    Args:
        error: The error.
        path: The file or folder; None: the one that the error names, if it names one.
        deed: What was to be done: ``read``, ``written``, or ``used``.
    """
    if error.errno not in _SURROUNDINGS:
        return None
    why, remedy = _SURROUNDINGS[error.errno]
    path = path or (os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else None)
    system = os.strerror(error.errno)
    message = f"{path} cannot be {deed}: {why} ({system})" if path is not None else f"{why} ({system})"
    kind: type[ModelwayError] = CredentialsError if isinstance(error, PermissionError) else ModelwayError
    if isinstance(error, NotADirectoryError | IsADirectoryError):
        kind = NotFoundError
    return kind(message, file=path, remedy=remedy)


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, or its type's name."""
    lines = str(error).strip().splitlines()
    return without_secrets(lines[0])[:300] if lines else type(error).__name__


def readable_error(error: BaseException) -> ModelwayError | None:
    """The readable error behind an exception, if there is one: itself, its cause, or a file system that fails."""
    current: BaseException | None = error
    while current is not None:
        if isinstance(current, ModelwayError):
            return current
        if isinstance(current, OSError) and (system_error := os_error(current)) is not None:
            return system_error
        if getattr(current, "errno", None) in _FULL or any(text in str(current) for text in _FULL_TEXTS):
            return ModelwayError("the disk is full", remedy=_FREE)
        if _NO_TEMPORARY in str(current):
            return ModelwayError(
                "no folder for temporary files can be written to",
                key="TMPDIR",
                remedy="free some space in /tmp, or set TMPDIR to a folder that can be written to",
            )
        current = current.__cause__ or current.__context__
    return None
