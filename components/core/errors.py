"""The errors of all stages and commands: a class for each thing that a caller decides by."""

import errno
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


class CrashError(ModelwayError):
    """A defect of Modelway itself: its file is the log that has the traceback, and its remedy says how to report it."""

    def __init__(self, problem: str, log: str) -> None:
        super().__init__(f"modelway crashed: {problem}", file=log, remedy=_REPORT)


_REPORT = "report it to Modelway's maintainers, with the log that has the traceback"
_KINDS = (NotFoundError, DamagedError, RejectedError, UnavailableError, CredentialsError)


def from_fields(kind: str, fields: Mapping[str, Any]) -> ModelwayError:
    """The error that another process described by its `kind` and its `fields`."""
    error = next((error for error in _KINDS if error.__name__ == kind), ModelwayError)
    return error(**fields)


def exit_code_of(error: ModelwayError) -> int:
    """What a command that an error ends exits with: 1 a judged no, 3 a crash of ours, 2 anything else."""
    return 1 if isinstance(error, RejectedError) else 3 if isinstance(error, CrashError) else 2


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, or its type's name."""
    lines = str(error).strip().splitlines()
    return without_secrets(lines[0])[:300] if lines else type(error).__name__


def readable_error(error: BaseException) -> ModelwayError | None:
    """The readable error behind an exception, if there is one: itself, its cause, or a full disk."""
    current: BaseException | None = error
    while current is not None:
        if isinstance(current, ModelwayError):
            return current
        if getattr(current, "errno", None) in {errno.ENOSPC, errno.EDQUOT} or any(
            text in str(current) for text in ("No space left on device", "database or disk is full")
        ):
            file = getattr(current, "filename", None)
            return ModelwayError(
                "the disk is full", file=file, remedy="free some space there, then run again; nothing was registered"
            )
        current = current.__cause__ or current.__context__
    return None
