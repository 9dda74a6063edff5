"""The ASGI messages: request bodies, read within limits, and responses."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from modelway.components.serve.errors import RequestError, quote

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON, OCTETS = "application/json", "application/octet-stream"
JSON_LENGTH = "inference-header-content-length"
_JSON, _JSON_LENGTH = JSON.encode(), JSON_LENGTH.encode()


@dataclass(frozen=True)
class Limits:
    """The limits on requests.

    Attributes:
        request_bytes: The largest size of a request's body.
        requests: How many predictions may be in progress or waiting; further ones are answered 503.
        read_seconds: How long a body may take to arrive.
    """

    request_bytes: int = 4 * 1024 * 1024
    requests: int = 128
    read_seconds: float = 10.0


class Response(NamedTuple):
    """A response; JSON unless its headers say otherwise."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


class RequestBody(NamedTuple):
    """The body of a request.

    Attributes:
        content: Its bytes.
        json_length: How many of them are JSON, where binary tensors follow; None: all of them.
    """

    content: bytes
    json_length: int | None = None


async def read_body(scope: Scope, receive: Receive, *, limits: Limits) -> RequestBody:
    """Reads a request's body.

    Raises:
        RequestError: it is too large, too slow, or of another content type.
        ConnectionError: the client has gone.
    """
    headers: dict[bytes, bytes] = dict(scope["headers"])
    content_type, json_length = headers.get(b"content-type", _JSON), headers.get(_JSON_LENGTH)
    if content_type != _JSON:
        _check_content_type(content_type.decode("latin-1"), json_length is not None)
    stated_length = headers.get(b"content-length", b"")
    if stated_length.isdigit() and int(stated_length) > limits.request_bytes:
        raise _too_large(limits)
    reading = _read_parts(receive, limits)
    try:
        future = reading.send(None)
    except StopIteration as completion:  # nearly always: a small body arrives with the headers, and needs no timer
        content: bytes = completion.value
    else:
        try:
            async with asyncio.timeout(limits.read_seconds):
                content = await _resume(reading, future)
        except TimeoutError as error:
            message = f"the body did not arrive within {limits.read_seconds:g} seconds"
            raise RequestError(408, message, headers={"connection": "close"}) from error
    if json_length is None:
        return RequestBody(content)
    if not json_length.isdigit():
        raise RequestError(400, "the header Inference-Header-Content-Length must be a whole number of bytes")
    return RequestBody(content, int(json_length))


async def send_response(send: Send, response: Response, *, last: bool) -> None:
    """Sends a response; `last` closes the connection after it."""
    headers = [(b"content-length", b"%d" % len(response.body))]
    if "content-type" not in response.headers:
        headers.append((b"content-type", _JSON))
    headers += [(name.encode(), value.encode()) for name, value in response.headers.items()]
    if last:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


async def _read_parts(receive: Receive, limits: Limits) -> bytes:
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limits.request_bytes:
            raise _too_large(limits)
        more = message.get("more_body", False)
    return b"".join(parts)


@types.coroutine
def _resume(coroutine: Coroutine[Any, Any, bytes], future: Any) -> Generator[Any, Any, bytes]:
    """Awaits a coroutine that was begun by hand and waits for a future."""
    yield future
    return (yield from coroutine.__await__())


def _check_content_type(content_type: str, is_binary: bool) -> None:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON or (is_binary and kind == OCTETS):
        return
    hint = " without the header Inference-Header-Content-Length" if kind == OCTETS else ""
    raise RequestError(415, f"the body must be application/json, not {quote(kind)}{hint}")


def _too_large(limits: Limits) -> RequestError:
    return RequestError(413, f"the body is larger than {limits.request_bytes:,} bytes; send fewer rows at a time")
