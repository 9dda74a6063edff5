from __future__ import annotations

import asyncio
from typing import Any

import pytest

from modelway.components.serve.asgi import RequestBody, Response, read_body, send_response
from modelway.components.serve.errors import RequestError


def read(*chunks: bytes, **headers: str) -> RequestBody:
    """Reads a body that arrives in chunks."""
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages[-1]["more_body"] = False
    scope = {"headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]}

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    return asyncio.run(read_body(scope, receive))


def test_a_body_is_read_at_once_or_in_chunks() -> None:
    assert read(b"{}") == read(b"{", b"", b"}") == RequestBody(b"{}")
    headers = {"inference_header_content_length": "2", "content_type": "application/octet-stream"}
    assert read(b"{}", b"\x00", **headers) == RequestBody(b"{}\x00", json_length=2)


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ({"content_type": "text/csv"}, 415, "not 'text/csv'"),
        ({"content_type": "application/octet-stream"}, 415, "without the header Inference-Header-Content-Length"),
        ({"inference_header_content_length": "two"}, 400, "must be a whole number of bytes"),
        ({"inference_header_content_length": "-1"}, 400, "must be a whole number of bytes"),
        ({"inference_header_content_length": "9" * 5000}, 400, "must be a whole number of bytes"),
        ({"content_encoding": "gzip"}, 415, "must not be encoded, but is 'gzip'"),
    ],
)
def test_headers_that_do_not_describe_json_are_refused(headers: dict[str, str], status: int, message: str) -> None:
    with pytest.raises(RequestError) as error:
        read(b"{}", **headers)
    assert error.value.status == status
    assert message in error.value.message


def test_a_client_that_has_gone_ends_the_reading() -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    with pytest.raises(ConnectionError):
        asyncio.run(read_body({"headers": []}, receive))


def test_a_last_response_closes_the_connection() -> None:
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    asyncio.run(send_response(send, Response(200, b"{}"), last=True))
    head, body = messages
    assert dict(head["headers"]) == {
        b"content-length": b"2",
        b"content-type": b"application/json",
        b"connection": b"close",
    }
    assert body["body"] == b"{}"
