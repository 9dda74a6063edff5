from __future__ import annotations

import httptools
import pytest

from modelway.components.serve.refusals import Refusal, RefusedError, encode_refusal, parser_refusal


def test_a_refusal_is_a_whole_response_in_json() -> None:
    head, _, body = encode_refusal(Refusal(431, "head", "too large"), [(b"date", b"today")]).partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    assert first == b"HTTP/1.1 431 Request Header Fields Too Large"
    assert body == b'{"error":"too large"}'
    assert lines == [b"date: today", b"content-type: application/json", b"content-length: 21", b"connection: close"]
    assert b"retry-after: 1" in encode_refusal(Refusal(503, "memory", "full"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x16\x03\x01", "encrypted with TLS"),
        (b"PRI * HTTP/2.0", "is HTTP/2; use HTTP/1.1"),
        (b"BREW", "the request is not HTTP/1.1: Invalid method"),
    ],
)
def test_what_the_parser_refuses_is_malformed(data: bytes, message: str) -> None:
    refusal = parser_refusal(httptools.HttpParserError("Invalid method"), data)
    assert (refusal.status, refusal.reason) == (400, "malformed")
    assert message in refusal.message


def test_what_a_callback_refuses_is_the_reason() -> None:
    error = httptools.HttpParserCallbackError("callback failed")
    error.__context__ = RefusedError(414, "head", "the path is too large")
    assert parser_refusal(error, b"GET") == Refusal(414, "head", "the path is too large")
