"""The error every stage raises for something its user can put right."""

import errno
import os
import re
import sys
from types import TracebackType
from typing import Any

from modelway.components.core.termination import record_stop_of_task

_USER_INFO = re.compile(r"://[^/\s?#]*@")


class ModelwayError(Exception):
    """Something the user can put right: what is wrong, where, and the remedy.

    A password in an address (``https://user:password@host``) is left out of all of it.

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
        self.message = without_password(message)
        super().__init__(self.message)
        self.remedy = without_password(remedy)
        self.file = None if file is None else without_password(file)
        self.line = line
        self.key = key
        self.column = column
        self.value = None if value is None else without_password(str(value))[:200]

    def fields(self) -> dict[str, Any]:
        """The fields that are set, for ``--json`` output."""
        names = ("message", "file", "line", "key", "column", "value", "remedy")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def details(self) -> dict[str, str]:
        """What people read below the message: the fields that are set, the line after its file."""
        texts = {name: str(value) for name, value in self.fields().items() if name not in {"message", "line"}}
        if self.file is not None and self.line is not None:
            texts["file"] += f":{self.line}"
        return texts

    def __str__(self) -> str:
        where = [f"{name}: {value}" for name, value in self.details().items() if name != "remedy"]
        located = f"{self.message} [{', '.join(where)}]" if where else self.message
        return f"{located}\n  remedy: {self.remedy}"


class UnavailableError(ModelwayError):
    """A service could not be reached or refused the connection; trying again may help."""


class CredentialsError(ModelwayError):
    """A service was reached and refused who we are or what we asked for."""


def without_password(text: str) -> str:
    """The text with what stands before the host left out of each address: ``https://user:password@host``."""
    return _USER_INFO.sub("://", text)


def first_line(error: BaseException) -> str:
    """The first line of what an exception says, or its type's name."""
    lines = str(error).strip().splitlines()
    return without_password(lines[0])[:300] if lines else type(error).__name__


def explained(error: BaseException) -> ModelwayError | None:
    """The readable error behind an exception, if there is one: itself, its cause, or a full disk."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ModelwayError):
            return seen
        if getattr(seen, "errno", None) in {errno.ENOSPC, errno.EDQUOT} or any(
            text in str(seen) for text in ("No space left on device", "database or disk is full")
        ):
            file = getattr(seen, "filename", None)
            return ModelwayError(
                "the disk is full", file=file, remedy="free some space there, then run again; nothing was registered"
            )
        seen = seen.__cause__ or seen.__context__
    return None


def report_in_task(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An excepthook that ends a task's log with the readable error instead of a traceback."""
    readable = explained(error)
    if readable is not None and not os.environ.get("MODELWAY_DEBUG"):
        sys.stderr.write(f"error: {readable}\n")
    else:
        sys.__excepthook__(kind, error, trace)


if os.environ.get("_KFP_RUNTIME") == "true":  # inside a component's container
    sys.excepthook = report_in_task
    if "--function_to_execute" in sys.argv:  # which a process that only forks tasks has not
        record_stop_of_task()
