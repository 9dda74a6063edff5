from __future__ import annotations

import asyncio
from typing import Any

import pytest

from modelway.components.serve.asgi import Limits, RequestBody, Response, read_body, send_response
from modelway.components.serve.errors import RequestError


def read(*chunks: bytes, delay: float = 0, limits: Limits | None = None, **headers: str) -> RequestBody:
    """Reads a body that arrives in chunks, all but the first after a delay."""
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages[-1]["more_body"] = False
    scope = {"headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]}

    async def receive() -> dict[str, Any]:
        if len(messages) < len(chunks):
            await asyncio.sleep(delay)
        return messages.pop(0)

    return asyncio.run(read_body(scope, receive, limits=limits or Limits()))


def test_a_body_is_read_at_once_or_in_chunks() -> None:
    assert read(b"{}") == read(b"{", b"", b"}") == RequestBody(b"{}")
    headers = {"inference_header_content_length": "2", "content_type": "application/octet-stream"}
    assert read(b"{}", b"\x00", **headers) == RequestBody(b"{}\x00", json_length=2)


@pytest.mark.parametrize("declares_length", [True, False], ids=["stated length", "in chunks"])
def test_a_body_that_is_too_large_is_refused(declares_length: bool) -> None:
    chunks = [b" " * 10] * 20
    with pytest.raises(RequestError) as error:
        read(*chunks, limits=Limits(request_bytes=100), **({"content_length": "200"} if declares_length else {}))
    assert error.value.status == 413
    assert error.value.message == "the body is larger than 100 bytes; send fewer rows at a time"


def test_a_body_that_does_not_arrive_is_given_up() -> None:
    with pytest.raises(RequestError) as error:
        read(b"{", b"}", delay=5, limits=Limits(read_seconds=0.05))
    assert error.value.status == 408


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ({"content_type": "text/csv"}, 415, "not 'text/csv'"),
        ({"content_type": "application/octet-stream"}, 415, "without the header Inference-Header-Content-Length"),
        ({"inference_header_content_length": "two"}, 400, "must be a whole number of bytes"),
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
        asyncio.run(read_body({"headers": []}, receive, limits=Limits()))


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
