"""The ASGI messages: request bodies, read within limits, and responses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from modelway.components.serve.errors import RequestError, quote

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON, OCTETS = "application/json", "application/octet-stream"
JSON_LENGTH = "inference-header-content-length"
_JSON_TYPE = (b"content-type", JSON.encode())
_JSON_LENGTH = JSON_LENGTH.encode()


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
    content_type, stated_length, json_length = b"application/json", b"", None
    for name, value in scope["headers"]:
        if name == b"content-type":
            content_type = value
        elif name == b"content-length":
            stated_length = value
        elif name == _JSON_LENGTH:
            json_length = value
    if content_type != b"application/json":
        _check_kind(content_type.decode("latin-1"), json_length is not None)
    if stated_length.isdigit() and int(stated_length) > limits.request_bytes:
        raise _too_large(limits)
    receiving = receive().__await__()
    try:
        waiting = next(receiving)
    except StopIteration as completion:  # nearly always: a small body arrives with the headers
        message: Message = completion.value
        content = _part(message)
        if message.get("more_body", False):
            content = await _in_time(_rest(receive, content, limits=limits), limits)
    else:
        content = await _in_time(_rest(receive, b"", limits=limits, begun=_Begun(waiting, receiving)), limits)
    if len(content) > limits.request_bytes:
        raise _too_large(limits)
    return RequestBody(content, None if json_length is None else _length(json_length))


async def send_response(send: Send, response: Response, *, last: bool) -> None:
    """Sends a response; `last` closes the connection after it."""
    headers = [(b"content-length", b"%d" % len(response.body))]
    if "content-type" not in response.headers:
        headers.append(_JSON_TYPE)
    headers += [(name.encode(), value.encode()) for name, value in response.headers.items()]
    if last:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


class _Begun:
    """An awaitable that was started by hand and still has to be awaited."""

    def __init__(self, waiting: Any, rest: Generator[Any, Any, Message]) -> None:
        self._waiting, self._rest = waiting, rest

    def __await__(self) -> Generator[Any, Any, Message]:
        value = yield self._waiting
        while True:
            try:
                waiting = self._rest.send(value)
            except StopIteration as completion:
                message: Message = completion.value
                return message
            value = yield waiting


async def _in_time(reading: Awaitable[bytes], limits: Limits) -> bytes:
    try:
        async with asyncio.timeout(limits.read_seconds):
            return await reading
    except TimeoutError as error:
        message = f"the body did not arrive within {limits.read_seconds:g} seconds"
        raise RequestError(408, message, headers={"connection": "close"}) from error


async def _rest(receive: Receive, first: bytes, *, limits: Limits, begun: Awaitable[Message] | None = None) -> bytes:
    parts, size = [first], len(first)
    while size <= limits.request_bytes:
        message = await (begun or receive())
        begun = None
        parts.append(_part(message))
        size += len(parts[-1])
        if not message.get("more_body", False):
            break
    return b"".join(parts)


def _part(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise ConnectionResetError
    part: bytes = message.get("body", b"")
    return part


def _check_kind(content_type: str, is_binary: bool) -> None:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON or (is_binary and kind == OCTETS):
        return
    hint = " without the header Inference-Header-Content-Length" if kind == OCTETS else ""
    raise RequestError(415, f"the body must be application/json, not {quote(kind)}{hint}")


def _length(value: bytes) -> int:
    if not value.isdigit():
        raise RequestError(400, "the header Inference-Header-Content-Length must be a whole number of bytes")
    return int(value)


def _too_large(limits: Limits) -> RequestError:
    return RequestError(413, f"the body is larger than {limits.request_bytes:,} bytes; send fewer rows at a time")
