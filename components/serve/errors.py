"""What a client can put right: a status and a sentence."""

from __future__ import annotations


class RequestError(Exception):
    """A request that is refused; the client sees the status and the message, and nothing else.

    Attributes:
        status: The HTTP status, 4xx or 503.
        message: What is wrong, in one sentence that names the column and the value where there is one.
        headers: Headers to answer with, such as ``Retry-After``.
    """

    def __init__(self, status: int, message: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}


def shown(value: object) -> str:
    """A client's value as it stands in a message, cut to a line's length."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
