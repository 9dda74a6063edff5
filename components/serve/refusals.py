"""Refusals of requests that the application does not see: their reasons, and their responses in JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from modelway.components.serve.json import encode_object

_TLS, _HTTP2 = b"\x16\x03", b"PRI * HTTP/2"


class Refusal(NamedTuple):
    """Why a request is refused before the application sees it.

    Attributes:
        status: The HTTP status. What a client does wrong is 4xx, since 5xx undo canaries.
        reason: The kind, a label of ``modelway_refused_total``.
        message: What is wrong, in one sentence.
    """

    status: int
    reason: str
    message: str


class RefusedError(Exception):
    """Raised where the parser calls back; the parser ends with it."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.refusal = Refusal(status, reason, message)


def parser_refusal(error: httptools.HttpParserError, data: bytes) -> Refusal:
    """Returns why the parser ended.

    Args:
        error: What it raised.
        data: What it had last been given.
    """
    if isinstance(error.__context__, RefusedError):
        return error.__context__.refusal
    message = f"the request is not HTTP/1.1: {error}"
    if data.startswith(_TLS):
        message = "the request is encrypted with TLS; this port speaks plain HTTP"
    elif data.startswith(_HTTP2):
        message = "the request is HTTP/2; use HTTP/1.1"
    return Refusal(400, "malformed", message)


def encode_refusal(refusal: Refusal, headers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """Encodes a response that is the last of its connection; headers are further ones."""
    body = encode_object({"error": refusal.message})
    lines = [*headers, (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    lines.append((b"connection", b"close"))
    if refusal.status == 503:
        lines.append((b"retry-after", b"1"))
    return b"".join([STATUS_LINE[refusal.status], *(b"%b: %b\r\n" % line for line in lines), b"\r\n", body])
