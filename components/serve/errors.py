"""Errors that a client can correct: an HTTP status and a message."""

from __future__ import annotations

import reprlib

_LENGTH = 80
_short = reprlib.Repr()
_short.maxlevel, _short.maxlist, _short.maxdict = 3, 20, 20


class RequestError(Exception):
    """A request is refused; the client gets the status and the message, and nothing else.

    Attributes:
        status: The HTTP status, 4xx or 503.
        message: What is wrong, in one sentence that names the column and the value where there is one.
        headers: Headers of the response, such as ``Retry-After``.
    """

    def __init__(self, status: int, message: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}


def quote(value: object) -> str:
    """Quotes a client's value for a message, cut to a line's length."""
    if isinstance(value, str):
        value = value[:_LENGTH]
    # Of lists and objects only the beginning: the client chooses how long and how deep they are.
    text = _short.repr(value) if isinstance(value, list | dict) else repr(value)
    return text if len(text) <= _LENGTH else f"{text[: _LENGTH - 1]}…"
